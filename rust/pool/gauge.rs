//! Whether turns of work are quicker together than alone: found by taking some both ways.
//!
//! That depends on more than the work. Cores may be near each other or far, share what they compute
//! with or not; on a virtual machine this changes from one second to the next. So now and then there
//! is a trial, some turns together and some alone, and the quicker way is the one until the next.

use std::time::Duration;

/// How many turns of each way a trial counts at least, and how long they take at least. The first
/// turn of a way does not count: it finds its data in the other cache.
const TURNS: u32 = 2;
const LONG: Duration = Duration::from_micros(100);

/// Turns together do not count, either, before all others have come to one: they may have been asleep,
/// and a core of a virtual machine that was halted takes milliseconds to come back. Who has not come
/// after so long is awake, but comes too late for what there is to do.
const WAKING: Duration = Duration::from_millis(5);

/// From one trial to the next it is so many times as long as the trial's turns took, and at least so
/// long.
const REST: u32 = 40;
const PAUSE: Duration = Duration::from_millis(20);

/// Where so many turns in succession take a quarter longer than in the trial, the next one comes
/// sooner, after this many times its length.
const SLOW: u32 = 4;
const SOON: u32 = 8;

/// Turns of so many multiply-adds, or that take so long, are always taken together: they pay, and a
/// trial is dear.
const LARGE: usize = 1 << 26;
const DEAR: Duration = Duration::from_millis(10);

/// So many works are known at a time: networks that are trained in turn, each with a last batch.
const WORKS: usize = 8;

/// Turns that are alike: how many multiply-adds each has, and among how many workers.
pub(super) type Work = (usize, usize);

/// What is known of the works at hand.
#[derive(Debug)]
pub(super) struct Gauges {
    known: [Gauge; WORKS],
    /// That of the last turn.
    present: usize,
}

/// What is known of one work.
#[derive(Debug)]
struct Gauge {
    work: Work,
    /// When its last turn began, and whether it is still going on and its length will tell something.
    began: Duration,
    timed: bool,
    alone: bool,
    trial: Option<Trial>,
    /// The quickest turn together in the last trial, and how many have been slow since.
    together: Duration,
    slow: u32,
    /// When the last trial ended, and how long its turns took.
    ended: Duration,
    length: Duration,
}

/// Turns one way, then turns the other way.
#[derive(Debug, Default)]
struct Trial {
    /// The quickest turn together and alone.
    best: [Option<Duration>; 2],
    /// How many turns have counted this way, and what they took.
    counted: u32,
    spent: Duration,
    /// What turns took that did not count, and whether all others have come to one.
    waited: Duration,
    awake: bool,
    /// What the turns of both ways took; between fits may be hours.
    length: Duration,
}

impl Gauges {
    pub(super) const fn new() -> Self {
        Self { known: [const { Gauge::of((0, 0)) }; WORKS], present: 0 }
    }

    /// A turn of work begins now, and the one before, if any, has ended, to which all others had come
    /// or not. Returns whether it is to be taken alone.
    pub(super) fn begin(&mut self, work: Work, now: Duration, came: bool) -> bool {
        self.end(now, came);
        if work.0 >= LARGE {
            return false;
        }
        self.present = self.find(work);
        self.known[self.present].begin(now)
    }

    /// The present turn ends now, to which all others have come or not.
    pub(super) fn end(&mut self, now: Duration, came: bool) {
        self.known[self.present].end(now, came);
    }

    /// The present turn tells nothing: the crew was held up, and the others go to sleep.
    pub(super) fn ignore(&mut self) {
        let gauge = &mut self.known[self.present];
        gauge.timed = false;
        if let Some(trial) = &mut gauge.trial {
            trial.awake = false;
        }
    }

    /// The gauge of a work; of one that is new it takes the place that was not used for longest.
    fn find(&mut self, work: Work) -> usize {
        if let Some(found) = self.known.iter().position(|gauge| gauge.work == work) {
            return found;
        }
        let oldest = (0..WORKS).min_by_key(|&i| self.known[i].began).unwrap_or(0);
        self.known[oldest] = Gauge { trial: Some(Trial::default()), ..Gauge::of(work) };
        oldest
    }
}

impl Gauge {
    const fn of(work: Work) -> Self {
        Self {
            work,
            began: Duration::ZERO,
            timed: false,
            alone: false,
            trial: None,
            together: Duration::ZERO,
            slow: 0,
            ended: Duration::ZERO,
            length: Duration::ZERO,
        }
    }

    fn begin(&mut self, now: Duration) -> bool {
        (self.began, self.timed) = (now, true);
        self.alone
    }

    fn end(&mut self, now: Duration, came: bool) {
        if !std::mem::take(&mut self.timed) {
            return;
        }
        let took = now.saturating_sub(self.began);
        if let Some(trial) = &mut self.trial {
            if trial.add(self.alone, took, came) {
                self.go_on(now);
            }
        } else if self.trial_is_due(took, now) {
            self.trial = Some(Trial::default());
        }
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
        let (together, alone) = match trial.best {
            [Some(together), _] if together >= DEAR => (together, false),
            // As quick: the core is left to others.
            [Some(together), Some(alone)] => (together, together + together / 32 > alone),
            _ => {
                let (best, length) = (trial.best, trial.length);
                *trial = Trial { best, length, ..Trial::default() };
                self.alone = !self.alone;
                return;
            }
        };
        (self.alone, self.together, self.slow) = (alone, together, 0);
        (self.ended, self.length) = (now, trial.length);
        self.trial = None;
    }
}

impl Trial {
    /// Adds a turn, to which all others came or not. Returns whether there were enough this way.
    fn add(&mut self, alone: bool, took: Duration, came: bool) -> bool {
        self.length += took;
        let counts =
            if alone { !self.waited.is_zero() } else { self.awake || self.waited > WAKING };
        if counts {
            let best = &mut self.best[usize::from(alone)];
            *best = Some(best.map_or(took, |best| best.min(took)));
            self.counted += 1;
            self.spent += took;
        } else {
            self.waited += took;
            self.awake = came;
        }
        self.counted >= TURNS && self.spent >= LONG
    }
}

#[cfg(test)]
#[path = "gauge_tests.rs"]
mod tests;
