//! The quicker way, by a clock that the tests turn.

use std::time::Duration;

use super::{Gauges, LARGE, WORKS, Work};

/// Gauges, the time, and how many microseconds a turn takes together and alone.
struct Run {
    gauges: Gauges,
    work: Work,
    now: Duration,
    takes: [u32; 2],
    /// How long others need to wake up for a turn together, and when they are awake.
    wakes: Duration,
    awake: Option<Duration>,
    /// Whether they came to the present turn.
    came: bool,
}

fn micros(count: u32) -> Duration {
    Duration::from_micros(count.into())
}

impl Run {
    fn new(takes: [u32; 2]) -> Self {
        Self {
            gauges: Gauges::new(),
            work: (1000, 2),
            now: Duration::ZERO,
            takes,
            wakes: Duration::ZERO,
            awake: None,
            came: false,
        }
    }

    /// Takes so many turns, in slices of so many with a pause after each. Returns the share of turns
    /// taken alone, and how much longer they all took than alone.
    fn paused(&mut self, count: u32, slice: u32, pause: Duration) -> (f64, f64) {
        let (mut took, mut alone) = (Duration::ZERO, 0);
        for turn in 0..count {
            let is_alone = self.gauges.begin(self.work, self.now, self.came);
            alone += u32::from(is_alone);
            self.came = !is_alone && !self.sleeps(is_alone);
            let each = micros(match (is_alone, self.came) {
                (false, true) => self.takes[0],
                (true, _) => self.takes[1],
                (false, false) => self.takes[1] * 3 / 2, // whoever is late disturbs
            });
            (self.now, took) = (self.now + each, took + each);
            if (turn + 1) % slice == 0 {
                self.gauges.end(self.now, self.came);
                self.now += pause;
            }
        }
        let took = took.div_duration_f64(micros(self.takes[1]) * count);
        (f64::from(alone) / f64::from(count), took)
    }

    fn turns(&mut self, count: u32, slice: u32) -> (f64, f64) {
        self.paused(count, slice, micros(100))
    }

    /// Whether the others are asleep, as they are after a turn alone.
    fn sleeps(&mut self, alone: bool) -> bool {
        if alone {
            self.awake = None;
            return true;
        }
        self.now < *self.awake.get_or_insert(self.now + self.wakes)
    }
}

#[test]
fn the_quicker_way_is_taken() {
    for scale in [1, 10, 100] {
        for slice in [1, 7, 1000] {
            let (alone, _) = Run::new([6 * scale, 10 * scale]).turns(10_000, slice);
            assert!(alone < 0.06, "{alone}");
            let (alone, took) = Run::new([20 * scale, 10 * scale]).turns(10_000, slice);
            // Between slices of one short turn the pauses are ten times as long as the turns.
            let bound = if slice == 1 && scale == 1 { 0.12 } else { 0.06 };
            assert!(alone > 1.0 - bound && took < 1.0 + bound, "{alone} {took}");
        }
    }
}

#[test]
fn what_is_as_quick_is_done_alone() {
    assert!(Run::new([100, 100]).turns(10_000, 100).0 > 0.9);
}

#[test]
fn others_may_wake_up_slowly() {
    for wakes in [490, 4_900] {
        let mut run = Run { wakes: micros(wakes), ..Run::new([250, 100]) };
        run.turns(1_000, 100);
        run.takes = [60, 100];
        run.turns(4_000, 100);
        assert!(run.turns(1_000, 100).1 < 0.7, "{wakes}");
    }
}

#[test]
fn others_that_never_come_are_not_waited_for_long() {
    let mut run = Run { wakes: Duration::from_secs(1 << 30), ..Run::new([60, 100]) };
    let (alone, took) = run.turns(100_000, 100_000);
    assert!(alone > 0.9 && took < 1.02, "{alone} {took}");
}

#[test]
fn others_may_fall_asleep_in_a_trial() {
    let mut run = Run::new([60, 100]);
    run.turns(1, 100); // they have come
    run.gauges.begin(run.work, run.now, true);
    run.gauges.ignore();
    run.awake = None;
    run.wakes = micros(2_000);
    let (alone, _) = run.turns(100, 100);
    assert!(alone < 0.1, "{alone}");
}

#[test]
fn a_change_is_seen() {
    let mut run = Run::new([60, 100]);
    run.turns(10_000, 100);
    run.takes = [250, 100];
    assert!(run.turns(1_000, 100).1 < 1.1, "after a few turns");
    run.takes = [60, 100];
    run.turns(1_000, 100);
    assert!(run.turns(1_000, 100).1 < 0.7, "after a while");
}

#[test]
fn a_change_is_seen_where_fits_are_short_and_long_apart() {
    let mut run = Run::new([4_000, 2_000]);
    run.paused(20, 4, Duration::from_secs(600));
    run.takes = [1_000, 2_000];
    run.paused(40, 4, Duration::from_secs(600));
    let (alone, _) = run.paused(100, 4, Duration::from_secs(600));
    assert!(alone < 0.5, "{alone}");
    let (alone, _) = run.turns(10_000, 10_000);
    assert!(alone < 0.1, "{alone}");
}

#[test]
fn a_shorter_turn_now_and_then_tells_nothing() {
    let mut run = Run::new([60, 100]);
    for _ in 0..1000 {
        run.turns(5, 100);
        run.gauges.begin((10, 2), run.now, run.came);
        run.now += micros(1);
    }
    assert!(run.turns(1_000, 100).1 < 0.7);
}

#[test]
fn works_that_take_turns_are_told_apart() {
    let mut run = Run::new([0, 0]);
    for (work, takes) in [((1000, 2), [60, 100]), ((200, 2), [300, 100])].repeat(1000) {
        (run.work, run.takes) = (work, takes);
        run.turns(4, 100);
    }
    assert!(run.turns(4, 100).0 > 0.9, "the small one");
    (run.work, run.takes) = ((1000, 2), [60, 100]);
    assert!(run.turns(4, 100).0 < 0.1, "the large one");
}

#[test]
fn the_latest_works_are_known() {
    let mut run = Run::new([200, 100]);
    run.turns(1_000, 100);
    let mut together = 0;
    for other in 1..=3 * WORKS {
        run.work = (other, 2);
        run.turns(10, 100);
        run.work = (1000, 2);
        together += usize::from(run.turns(10, 100).0 < 0.5); // in a trial
    }
    assert!(together < WORKS, "{together} of {}", 3 * WORKS);
}

#[test]
fn large_work_is_shared() {
    let mut gauges = Gauges::new();
    for turn in 0..100 {
        assert!(!gauges.begin((LARGE, 2), Duration::from_secs(turn), true));
    }
}

#[test]
fn what_takes_long_is_shared() {
    assert!(Run::new([20_000, 10_000]).turns(100, 1).0 < 0.1);
}
