//! The quicker way, by a clock that the tests turn.

use std::time::Duration;

use super::{Gauge, LARGE, OTHERS};

/// A gauge, the time, and how many microseconds a turn takes together and alone.
struct Run {
    gauge: Gauge,
    now: Duration,
    takes: [u32; 2],
}

fn micros(count: u32) -> Duration {
    Duration::from_micros(count.into())
}

impl Run {
    fn new(takes: [u32; 2]) -> Self {
        Self { gauge: Gauge::new(), now: Duration::ZERO, takes }
    }

    /// Takes so many turns, in slices of so many. Returns the share of turns taken alone, and how
    /// much longer they all took than alone.
    fn turns(&mut self, count: u32, slice: u32) -> (f64, f64) {
        let (mut took, mut alone) = (Duration::ZERO, 0);
        for turn in 0..count {
            let is_alone = self.gauge.begin(1000, self.now);
            alone += u32::from(is_alone);
            let each = micros(self.takes[usize::from(is_alone)]);
            (self.now, took) = (self.now + each, took + each);
            if (turn + 1) % slice == 0 {
                self.gauge.end(self.now);
                self.now += micros(100);
            }
        }
        let took = took.div_duration_f64(micros(self.takes[1]) * count);
        (f64::from(alone) / f64::from(count), took)
    }
}

#[test]
fn the_quicker_way_is_taken() {
    for scale in [1, 10, 1000] {
        for slice in [1, 7, 1000] {
            let (alone, _) = Run::new([6 * scale, 10 * scale]).turns(10_000, slice);
            assert!(alone < 0.06, "{alone}");
            let (alone, took) = Run::new([20 * scale, 10 * scale]).turns(10_000, slice);
            assert!(alone > 0.94 && took < 1.06, "{alone} {took}");
        }
    }
}

#[test]
fn what_is_as_quick_is_done_alone() {
    assert!(Run::new([100, 100]).turns(10_000, 100).0 > 0.9);
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
fn a_shorter_turn_now_and_then_tells_nothing() {
    let mut run = Run::new([60, 100]);
    for _ in 0..1000 {
        run.turns(5, 100);
        run.gauge.begin(10, run.now);
        run.now += micros(1);
    }
    assert!(run.turns(1_000, 100).1 < 0.7);
}

#[test]
fn other_work_is_tried_anew() {
    let mut run = Run::new([200, 100]);
    run.turns(1_000, 100);
    assert!(run.gauge.chosen);
    for turn in 1..=OTHERS {
        assert_eq!(run.gauge.begin(2000, run.now), turn < OTHERS);
    }
}

#[test]
fn large_work_is_shared() {
    let mut gauge = Gauge::new();
    for turn in 0..100 {
        assert!(!gauge.begin(LARGE, Duration::from_secs(turn)));
    }
}
