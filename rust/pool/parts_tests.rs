//! Each chunk goes to one worker, its own part first.

use super::{Chunks, Parts};

#[test]
fn a_worker_alone_takes_all_its_own_first() {
    let parts = Parts::new();
    for number in 1..4 {
        let taken: Vec<_> = Chunks::new(&parts, number, (7, 3), 1).collect();
        assert_eq!(taken, [2, 3, 4, 5, 6, 0, 1]);
        assert_eq!(Chunks::new(&parts, number, (7, 3), 2).next(), None);
    }
}

#[test]
fn workers_in_turn_take_each_chunk_once() {
    for (chunks, workers) in [(1, 2), (2, 2), (3, 8), (17, 3), (64, 64), (100, 7)] {
        let parts = Parts::new();
        let mut taken = Vec::new();
        let each = |worker| Chunks::new(&parts, 5, (chunks, workers), worker);
        let mut all: Vec<_> = (0..workers).map(each).collect();
        while taken.len() < chunks {
            for worker in &mut all {
                taken.extend(worker.next());
            }
        }
        assert!(all.iter_mut().all(|worker| worker.next().is_none()));
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..chunks));
    }
}

#[test]
fn numbers_may_begin_anew() {
    let parts = Parts::new();
    assert_eq!(Chunks::new(&parts, 0, (4, 2), 0).count(), 4);
    parts.forget();
    assert_eq!(Chunks::new(&parts, 0, (4, 2), 0).count(), 4);
}
