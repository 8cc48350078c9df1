//! Every chunk once, whatever happens to the workers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Pool, with};

/// The workers are the process's: these tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Shares jobs until two workers have taken part, if so many may, for a minute at most. On a busy
/// machine more need not come to it.
fn until_helped(threads: usize) -> usize {
    let start = Instant::now();
    loop {
        let ((), helped) = with(threads, |crew| {
            for _ in 0..100 {
                let done: Vec<_> = (0..17).map(|_| AtomicUsize::new(0)).collect();
                crew.share(17, &|worker, chunk| {
                    assert!(worker < crew.workers());
                    done[chunk].fetch_add(1, Ordering::Relaxed);
                    let since = Instant::now();
                    while since.elapsed() < Duration::from_micros(20) {
                        std::hint::spin_loop();
                    }
                });
                assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
            }
        });
        if helped >= threads.min(2) || start.elapsed() > Duration::from_secs(60) {
            return helped;
        }
    }
}

#[test]
fn every_chunk_is_done_once() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for threads in [1, 2, 3, 8, 3] {
        assert!((threads.min(2)..=threads).contains(&until_helped(threads)));
    }
}

#[test]
fn all_have_come_that_there_are_chunks_for() {
    let pool = Pool::new(0);
    for (chunks, came, expected) in
        [(0, 0b0, true), (1, 0b0, true), (2, 0b0, false), (2, 0b100, true), (17, 0b10, false)]
    {
        pool.most.store(chunks, Ordering::Relaxed);
        pool.came.store(came, Ordering::Relaxed);
        assert_eq!(pool.came(3), expected, "{chunks} {came}");
    }
    assert_eq!(pool.helped.load(Ordering::Relaxed), 0b110);
}

#[test]
fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let panicked = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let start = Instant::now();
    for bad in (0..8).cycle() {
        let result = std::panic::catch_unwind(|| {
            with(2, |crew| {
                crew.share(8, &|worker, chunk| {
                    if chunk == bad {
                        panicked[worker].fetch_add(1, Ordering::Relaxed);
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }
                });
            })
        });
        assert!(result.is_err());
        if panicked.iter().all(|count| count.load(Ordering::Relaxed) > 7) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{panicked:?}");
    }
    assert_eq!(until_helped(2), 2);
}

#[test]
fn a_crew_within_a_crew_is_alone() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (inner, _) = with(2, |_| with(2, |crew| crew.workers()));
    assert_eq!(inner, (1, 1));
}

#[test]
fn a_job_within_a_job_is_refused() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let result = std::panic::catch_unwind(|| {
        with(2, |crew| crew.share(8, &|_, _| crew.share(8, &|_, _| {})));
    });
    assert!(result.is_err());
    assert_eq!(until_helped(2), 2);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn workers_keep_subnormals() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let work = |worker, _| {
        let half = std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
        assert!(worker == 0 || half > 0.0);
        std::thread::sleep(Duration::from_micros(50));
    };
    crate::kernels::fpu::disturbed(|| {
        while with(2, |crew| crew.share(64, &work)).1 < 2 {
            assert!(start.elapsed() < Duration::from_secs(60));
        }
    });
}

#[test]
fn a_hitch_is_forgiven_and_many_at_once_are_not() {
    let pool = Pool::new(0);
    let wait = |milliseconds| pool.was_late(Duration::from_millis(milliseconds));
    wait(4);
    wait(4);
    assert!(!pool.rests());
    wait(4);
    assert!(pool.rests());
    let long = Pool::new(0);
    long.was_late(Duration::from_millis(11));
    assert!(long.rests());
}
