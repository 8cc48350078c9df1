//! The way back through weights and their step, in one pass over them.
//!
//! A few rows do so little with each weight that time is what it takes to pass them. So they are passed
//! block by block: the step finds a block where the way back has left it, near.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::job::{Cut, Job};
use super::share::Start;
use super::team::{Sole, Team};
use super::tile::Output;
use super::{Descent, check_shapes, from_the_end};
use crate::kernels::Real;
use crate::matrix::{MatMut, MatRef};

/// A block of W has about so many bytes, which stay in a core's own cache; but no less than so many rows, by
/// which tiles of D are whole.
const BYTES: usize = 512 << 10;
const LEAST: usize = 64;

/// More rows do so much with each weight that blocks are no gain.
const MOST_ROWS: usize = 16;

/// Blocks begin at multiples of so many rows: of the lanes of any instruction set.
const UNIT: usize = 16;

/// The blocks of W (m, n) that so many rows pass: as many for each worker; one where two passes are better, of
/// few weights or of such long rows that a block would not stay near.
fn blocks<T>(rows: usize, (m, n): (usize, usize), workers: usize) -> Cut {
    let bytes = m * n * size_of::<T>();
    let pays = rows <= MOST_ROWS && bytes > BYTES && LEAST * n * size_of::<T>() <= 2 * BYTES;
    let most = if pays { m / LEAST / workers * workers } else { 0 };
    match bytes.div_ceil(BYTES).next_multiple_of(workers).min(most) {
        0 => Cut::whole(m),
        pieces => Cut::new(m, pieces, UNIT),
    }
}

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
        check_shapes(x.transposed(), r, (m, n));
        descent.check(m * n);
        let cut = blocks::<T>(r.rows(), (m, n), self.crew.workers());
        if cut.pieces() <= 1 {
            let w = MatRef::new(descent.w, m, n);
            let sum = self.product(r, w.transposed(), d, finish);
            return (sum, self.descend(x.transposed(), r, descent));
        }
        check_shapes(r, MatRef::new(descent.w, m, n).transposed(), (d.rows(), d.columns()));
        let (stride, to) = (d.row_stride(), Start(d.data().as_mut_ptr()));
        let w = Start(descent.w.as_mut_ptr());
        let v = descent.v.as_mut().map(|v| Start(v.as_mut_ptr()));
        let (sum, finite) = (AtomicU64::new(0), AtomicBool::new(true));
        let order = from_the_end(self.crew, cut.pieces());
        self.crew.share(cut.pieces(), &|worker, piece| {
            #[cfg(test)]
            crate::kernels::testing::PASSED_ONCE.count();
            let team = Team { crew: &Sole(worker), ..*self };
            let (first, count) = cut.piece(order(piece));
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
            let back =
                unsafe { Job::new((r, b), None, (Output::Set(to.get().add(first)), stride)) };
            let found = team.set_and_finish(&back, &|d, i, j| finish(d, i, first + j));
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
pub(super) mod tests;
