//! Whether turns of work are quicker together than alone: found by taking some both ways.
//!
//! That depends on more than the work. Cores may be near each other or far, share what they compute
//! with or not; on a virtual machine this changes from one second to the next. So now and then there
//! is a trial, some turns together and some alone, and the quicker way is the one until the next.

use std::time::Duration;

/// How many turns of each way a trial has at least, and how long they take at least. The first of
/// them does not count: it finds its data in the other cache.
const TURNS: u32 = 3;
const LONG: Duration = Duration::from_micros(100);

/// From one trial to the next it is so many times as long as the trial was, and at least so long.
const REST: u32 = 40;
const PAUSE: Duration = Duration::from_millis(20);

/// Where so many turns in succession take a quarter longer than in the trial, the next one comes
/// sooner, after this many times its length.
const SLOW: u32 = 4;
const SOON: u32 = 8;

/// Turns of so many multiply-adds are always taken together: they pay, and a trial is dear.
const LARGE: usize = 1 << 26;

/// After so many turns of other work in succession, that is the work.
const OTHERS: u32 = 8;

/// What is known of the work at hand.
#[derive(Debug)]
pub(super) struct Gauge {
    work: usize,
    /// How many turns of other work came in succession.
    others: u32,
    /// When the present turn began, where its length tells something.
    since: Option<Duration>,
    /// Whether the present turn is taken alone, and whether turns are outside a trial.
    alone: bool,
    chosen: bool,
    trial: Option<Trial>,
    /// The quickest turn together in the last trial, and how many have been slow since.
    together: Duration,
    slow: u32,
    /// When the last trial ended, and how long it took.
    ended: Duration,
    length: Duration,
}

/// Turns one way, then as many the other way.
#[derive(Debug, Default)]
struct Trial {
    began: Duration,
    /// The quickest turn together and alone.
    best: [Option<Duration>; 2],
    /// How many turns there were this way, and what they took together.
    turns: u32,
    spent: Duration,
}

impl Gauge {
    pub(super) const fn new() -> Self {
        Self {
            work: 0,
            others: 0,
            since: None,
            alone: false,
            chosen: false,
            trial: None,
            together: Duration::ZERO,
            slow: 0,
            ended: Duration::ZERO,
            length: Duration::ZERO,
        }
    }

    /// A turn of so many multiply-adds begins now, and the one before, if any, has ended. Returns
    /// whether it is to be taken alone.
    pub(super) fn begin(&mut self, work: usize, now: Duration) -> bool {
        self.end(now);
        if work >= LARGE {
            return false;
        }
        if work != self.work {
            self.others += 1;
            if self.others < OTHERS && self.work > 0 {
                return self.chosen;
            }
            *self = Self { work, trial: Some(Trial::at(now)), ..Self::new() };
        }
        self.others = 0;
        self.since = Some(now);
        self.alone
    }

    /// The present turn ends now.
    pub(super) fn end(&mut self, now: Duration) {
        let Some(since) = self.since.take() else { return };
        let took = now.saturating_sub(since);
        if let Some(trial) = &mut self.trial {
            if trial.add(self.alone, took) {
                self.go_on(now);
            }
        } else if self.trial_is_due(took, now) {
            self.trial = Some(Trial::at(now));
        }
    }

    /// The present turn tells nothing: the crew was held up.
    pub(super) fn ignore(&mut self) {
        self.since = None;
    }

    fn trial_is_due(&mut self, took: Duration, now: Duration) -> bool {
        let rested = now.saturating_sub(self.ended);
        let slow = !self.alone && took > self.together + self.together / 4;
        self.slow = if slow { self.slow + 1 } else { 0 };
        rested > (REST * self.length).max(PAUSE) || self.slow >= SLOW && rested > SOON * self.length
    }

    /// One way has been tried: the other is next, or the quicker one is chosen.
    fn go_on(&mut self, now: Duration) {
        let Some(trial) = &mut self.trial else { return };
        let [Some(together), Some(alone)] = trial.best else {
            (trial.turns, trial.spent) = (0, Duration::ZERO);
            self.alone = !self.alone;
            return;
        };
        self.chosen = together + together / 32 > alone; // as quick: the core is left to others
        self.alone = self.chosen;
        (self.together, self.slow) = (together, 0);
        (self.ended, self.length) = (now, now.saturating_sub(trial.began));
        self.trial = None;
    }
}

impl Trial {
    fn at(began: Duration) -> Self {
        Self { began, ..Self::default() }
    }

    /// Counts a turn. Returns whether there were enough this way.
    fn add(&mut self, alone: bool, took: Duration) -> bool {
        if self.turns > 0 {
            let best = &mut self.best[usize::from(alone)];
            *best = Some(best.map_or(took, |best| best.min(took)));
        }
        self.turns += 1;
        self.spent += took;
        self.turns >= TURNS && self.spent >= LONG
    }
}

#[cfg(test)]
#[path = "gauge_tests.rs"]
mod tests;
