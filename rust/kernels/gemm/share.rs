//! What workers share by number, each once: elements of a slice, and windows of a matrix. A worker takes the
//! same numbers of like jobs, as far as it is not late, and so meets again what its cache holds.

use std::marker::PhantomData;

use super::team::Crew;

/// Where something begins of which workers take parts that do not overlap.
pub(super) struct Start<T>(pub(super) *mut T);

// SAFETY: what a worker makes of it is a part of its own, and elements that are `Send` may be another thread's.
unsafe impl<T: Send> Sync for Start<T> {}

impl<T> Start<T> {
    pub(super) fn get(&self) -> *mut T {
        self.0
    }
}

/// Calls `work` for each element, with its number.
pub fn share_each<I: Send>(
    crew: &dyn Crew,
    items: &mut [I],
    work: &(dyn Fn(usize, &mut I) + Sync),
) {
    let (count, start) = (items.len(), Start(items.as_mut_ptr()));
    crew.share(count, &|_, number| {
        // SAFETY: the number is below the length, and a crew takes each once.
        work(number, unsafe { &mut *start.get().add(number) });
    });
}

/// How a matrix is cut into windows.
#[derive(Clone, Copy, Debug)]
pub struct Cuts<'a> {
    /// How long its rows are.
    pub columns: usize,
    /// The columns at which windows begin and end, in ascending order.
    pub edges: &'a [usize],
    /// Of so many parts of the rows each is a window; or of fewer, as all but the last are as long.
    pub down: usize,
}

/// A part of a matrix that one worker fills.
#[derive(Debug)]
pub struct Window<'a, T> {
    start: *mut T,
    stride: usize,
    rows: usize,
    columns: usize,
    matrix: PhantomData<&'a mut [T]>,
}

impl<T> Window<'_, T> {
    /// How many rows it has.
    #[inline(always)]
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One of them.
    ///
    /// # Panics
    /// Where there are not so many.
    #[inline(always)]
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "a row of the window");
        // SAFETY: only `share_windows` makes windows, within the matrix that it has borrowed: of rows of its own, or
        // between edges of its own, as those ascend and a crew takes each number once.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(i * self.stride), self.columns) }
    }
}

/// Something to do.
#[derive(Debug)]
pub enum Task<'a, T> {
    /// To fill a window.
    Fill {
        /// The number of the edge that it begins at.
        edge: usize,
        /// Its first row.
        first: usize,
        /// It.
        window: Window<'a, T>,
    },
    /// Something beside.
    Other,
}

/// Calls `work` for each window of a matrix `to` (rows, columns), edge by edge, and so many times for something
/// beside, which each worker does at first. Where the windows can be shared evenly, each has as many of them.
///
/// # Panics
/// Where the edges do not ascend within the columns, there are none, or `to` does not hold whole rows.
pub fn share_windows<T: Send>(
    crew: &dyn Crew,
    to: &mut [T],
    cuts: Cuts<'_>,
    others: usize,
    work: &(dyn Fn(Task<'_, T>) + Sync),
) {
    let Cuts { columns, edges, down } = cuts;
    assert!(edges.is_sorted() && edges.last().is_none_or(|&last| last <= columns), "edges");
    assert!(columns > 0 && to.len().is_multiple_of(columns), "whole rows");
    let rows = to.len() / columns;
    let each = rows.div_ceil(down.max(1)).max(1);
    let (down, start) = (rows.div_ceil(each), Start(to.as_mut_ptr()));
    let windows = edges.len().saturating_sub(1) * down;
    let workers = crew.workers();
    crew.share(windows + others, &|_, number| {
        let Some(window) = window_of(number, (windows, others), workers) else {
            return work(Task::Other);
        };
        let (edge, first) = (window / down, window % down * each);
        let (from, end) = (edges[edge], edges[edge + 1]);
        let window = Window {
            // SAFETY: within `to`, as `first` is below its rows, and `from` at most `columns`.
            start: unsafe { start.get().add(first * columns + from) },
            stride: columns,
            rows: each.min(rows - first),
            columns: end - from,
            matrix: PhantomData,
        };
        work(Task::Fill { edge, first, window });
    });
}

/// The window of so many that a number stands for; none where that is something else. A worker has a part of the
/// numbers, from `worker * total / workers` on.
fn window_of(number: usize, (windows, others): (usize, usize), workers: usize) -> Option<usize> {
    if !windows.is_multiple_of(workers) {
        return number.checked_sub(others);
    }
    let total = windows + others;
    let worker = ((number + 1) * workers - 1) / total;
    let (first, end) = (worker * total / workers, (worker + 1) * total / workers);
    let (at, own) = (number - first, windows / workers);
    at.checked_sub(end - first - own).map(|at| worker * own + at)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::team::{Alone, Crew};
    use super::super::tests::Many;
    use super::{Cuts, Task, share_each, share_windows, window_of};

    #[test]
    fn each_element_is_taken_once() {
        for count in [0, 1, 7] {
            let mut items = vec![0; count];
            share_each(&Many(count), &mut items, &|i, item| *item += 1 + i);
            assert_eq!(items, (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn windows_cover_what_is_between_the_edges_once() {
        for (rows, columns, edges, down) in [
            (5, 7, &[0, 3, 6, 7][..], 2),
            (5, 7, &[1, 3, 3, 6], 3),
            (2, 4, &[0, 4], 8),
            (0, 4, &[0, 4], 1),
            (3, 4, &[], 1),
        ] {
            for (others, alone) in [(0, true), (4, true), (0, false), (1, false), (4, false)] {
                let (mut to, beside) = (vec![0; rows * columns], AtomicUsize::new(0));
                let cuts = Cuts { columns, edges, down };
                let crew: &dyn Crew = if alone { &Alone } else { &Many(0) };
                share_windows(crew, &mut to, cuts, others, &|task| match task {
                    Task::Fill { edge, first, mut window } => {
                        for i in 0..window.rows() {
                            let row = window.row(i);
                            assert_eq!(row.len(), edges[edge + 1] - edges[edge]);
                            for x in row {
                                *x += 1 + 10 * edge + 100 * (first + i);
                            }
                        }
                    }
                    Task::Other => _ = beside.fetch_add(1, Ordering::Relaxed),
                });
                let expected = |i: usize, j: usize| {
                    let edge = edges.windows(2).position(|edge| (edge[0]..edge[1]).contains(&j));
                    edge.map_or(0, |edge| 1 + 10 * edge + 100 * i)
                };
                for (at, found) in to.iter().enumerate() {
                    assert_eq!(*found, expected(at / columns, at % columns), "{edges:?} {at}");
                }
                assert_eq!(beside.into_inner(), others);
            }
        }
    }

    #[test]
    fn each_worker_has_its_windows_behind_something_else() {
        for (workers, own, others) in
            (1..=8).flat_map(|w| (0..=3).flat_map(move |k| (0..9).map(move |o| (w, k, o))))
        {
            let (windows, total) = (workers * own, workers * own + others);
            for worker in 0..workers {
                let part = worker * total / workers..(worker + 1) * total / workers;
                let found: Vec<_> =
                    part.map(|number| window_of(number, (windows, others), workers)).collect();
                let (beside, found) = found.split_at(found.len() - own);
                assert!(beside.iter().all(Option::is_none));
                let expected = worker * own..(worker + 1) * own;
                assert!(found.iter().copied().eq(expected.map(Some)), "{workers} {own} {others}");
            }
        }
        let found: Vec<_> = (0..7).map(|number| window_of(number, (5, 2), 2)).collect();
        assert_eq!(found, [None, None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn a_matrix_has_whole_rows() {
        let cuts = Cuts { columns: 3, edges: &[0, 3], down: 1 };
        share_windows(&Alone, &mut [0; 4], cuts, 0, &|_| ());
    }

    #[test]
    #[should_panic(expected = "a row of the window")]
    fn a_window_has_no_other_rows() {
        let cuts = Cuts { columns: 2, edges: &[0, 1], down: 2 };
        share_windows(&Alone, &mut [0; 4], cuts, 0, &|task| {
            if let Task::Fill { mut window, .. } = task {
                window.row(1)[0] = 1;
            }
        });
    }

    #[test]
    #[should_panic(expected = "edges")]
    fn edges_lie_within_the_columns() {
        let cuts = Cuts { columns: 2, edges: &[0, 3], down: 1 };
        share_windows(&Alone, &mut [0; 4], cuts, 0, &|_| ());
    }
}
