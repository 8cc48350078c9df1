//! The way back through weights and their step, in one pass over them.
//!
//! A few rows do so little with each weight that time is what it takes to pass them. So they are passed
//! block by block: the step finds a block where the way back has left it, near.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::job::{Cut, Job};
use super::share::Start;
use super::team::{Sole, Team};
use super::tile::Output;
use super::{Descent, check_shapes};
use crate::kernels::Real;
use crate::matrix::{MatMut, MatRef};

/// A block has about so many bytes: it stays in a core's own cache.
const BYTES: usize = 512 << 10;

/// It has a multiple of so many rows: its part of D is of whole tiles.
const UNIT: usize = 64;

/// More rows do so much with each weight that blocks are no gain.
const MOST_ROWS: usize = 16;

impl<T: Real> Team<'_, T> {
    /// D = R W^T, with `finish` as in [`Team::product`], and then W moved as by [`Team::descend`] against
    /// X^T R: X (rows, m), R (rows, n), W (m, n), D (rows, m). Returns the sum of what `finish` returns,
    /// and whether every new parameter is finite.
    ///
    /// # Panics
    /// Where the shapes do not belong together.
    pub fn back_and_descend(
        &self,
        (x, r): (MatRef<'_, T>, MatRef<'_, T>),
        descent: &mut Descent<'_, T>,
        d: &mut MatMut<'_, T>,
        finish: &(dyn Fn(&mut [T], usize, usize) -> u64 + Sync),
    ) -> (u64, bool) {
        let (m, n) = (x.columns(), r.columns());
        let bytes = m * n * size_of::<T>();
        let cut = if r.rows() <= MOST_ROWS && bytes > BYTES {
            let pieces = bytes.div_ceil(BYTES).next_multiple_of(self.crew.workers());
            Cut::new(m, pieces, UNIT)
        } else {
            Cut::whole(m)
        };
        if cut.pieces() <= 1 {
            let w = MatRef::new(descent.w, m, n);
            let sum = self.product(r, w.transposed(), d, finish);
            return (sum, self.descend(x.transposed(), r, descent));
        }
        check_shapes(r, MatRef::new(descent.w, m, n).transposed(), (d.rows(), d.columns()));
        descent.check(m * n);
        let (stride, to) = (d.row_stride(), Start(d.data().as_mut_ptr()));
        let w = Start(descent.w.as_mut_ptr());
        let v = descent.v.as_mut().map(|v| Start(v.as_mut_ptr()));
        let (sum, finite) = (AtomicU64::new(0), AtomicBool::new(true));
        self.crew.share(cut.pieces(), &|worker, piece| {
            #[cfg(test)]
            tests::count();
            let team = Team { crew: &Sole(worker), ..*self };
            let (first, count) = cut.piece(piece);
            let (start, length) = (first * n, count * n);
            // SAFETY: the vectors are borrowed for the call and have a row for each column of X, as is
            // checked; the pieces do not overlap, and each is handed out once.
            let part = |of: &Start<T>| unsafe {
                std::slice::from_raw_parts_mut(of.get().add(start), length)
            };
            let mut block = Descent {
                w: part(&w),
                v: v.as_ref().map(part),
                before: descent.before.map(|before| &before[start..start + length]),
                ..*descent
            };
            let b = MatRef::new(block.w, count, n).transposed();
            // SAFETY: D is borrowed for the call, of the product's shape, and no other piece has these columns.
            let found = unsafe {
                let c = Output::Set(to.get().add(first));
                team.finished(&Job::new((r, b), None, (c, stride)), &|d, i, j| {
                    finish(d, i, first + j)
                })
            };
            sum.fetch_add(found, Ordering::Relaxed);
            if !team.descend(x.columns_from(first, count).transposed(), r, &mut block) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        (sum.into_inner(), finite.into_inner())
    }
}

#[cfg(test)]
#[path = "once_tests.rs"]
mod tests;
