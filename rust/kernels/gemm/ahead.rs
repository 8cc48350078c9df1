//! A step of weights W, and the product of the next rows with what becomes of them, in one pass over W: the way
//! forward meets each weight in the register in which the step has moved it.
//!
//! A few rows do so little with each weight that time is what it takes to pass them. Workers share the columns
//! of W: each finds those that it has moved before in its own cache, where they fit into it.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use std::sync::atomic::{AtomicBool, Ordering};

use super::job::{Cut, SHARED};
use super::panel::is_zero;
use super::settle::{load, store};
use super::team::{Crew, Sole, Team};
use super::thin::{Moved, NEAR, TOGETHER, is_zero_row, leaves_out, move_register};
use super::{BLOCK, Descent, check_shapes};
use crate::kernels::Real;
use crate::kernels::simd::{Simd, simd_kernel};
use crate::matrix::{MatMut, MatRef};

/// So many rows at most are met ahead.
pub const ROWS: usize = 4;

/// Each of several workers has at least so many columns: of fewer a row of W is begun anew too often.
const LEAST: usize = 64;

/// Pieces begin at multiples of so many columns: whole registers of any kind.
const UNIT: usize = 16;

/// What is moved, and what is met.
struct Pass<'a, T> {
    /// (rows, m).
    x: MatRef<'a, T>,
    /// (rows, n), each row's elements side by side.
    r: MatRef<'a, T>,
    /// (m, n).
    w: Moved<T>,
    /// The next rows, (rows, m).
    y: MatRef<'a, T>,
    /// What becomes of them, (rows, n): where it begins, and how far apart its rows are.
    c: (*mut T, usize),
}

// SAFETY: [`Pass::new`] asks that workers take columns that do not overlap.
unsafe impl<T: Real> Sync for Pass<'_, T> {}

impl<'a, T: Real> Pass<'a, T> {
    /// What is moved, and what is met, of shapes that belong together, and at most [`ROWS`] rows.
    ///
    /// # Safety
    /// As long as the pass is worked on, W and C are there, and no one else uses them; of columns that are worked on
    /// at the same time none overlap.
    unsafe fn new(
        (x, r): (MatRef<'a, T>, MatRef<'a, T>),
        w: Moved<T>,
        (y, c): (MatRef<'a, T>, (*mut T, usize)),
    ) -> Self {
        Self { x, r, w, y, c }
    }

    /// Calls `finish` for each row of some columns of C.
    fn finish(&self, (first, count): (usize, usize), finish: &dyn Fn(&mut [T], usize)) {
        for k in 0..self.y.rows() {
            // SAFETY: by the word of who made the pass these columns are there, and this worker's.
            let piece = unsafe {
                std::slice::from_raw_parts_mut(self.c.0.add(k * self.c.1 + first), count)
            };
            finish(piece, first);
        }
    }
}

impl<T: Real> Team<'_, T> {
    /// Whether so many rows had better be met ahead by rows of W of so many elements: a few, and each worker has
    /// enough columns.
    #[must_use]
    pub fn meets_ahead(&self, rows: usize, n: usize) -> bool {
        #[cfg(test)]
        if crate::kernels::testing::is_each_alone() {
            return false;
        }
        let least = match self.crew.workers() {
            1 => UNIT,
            workers => LEAST * workers,
        };
        (1..=ROWS).contains(&rows) && n >= least
    }

    /// Moves W as [`Team::descend`] does, against X^T R, and then C = Y W: X and Y (rows, m), R (rows, n), W (m, n),
    /// C (rows, n), of at most [`ROWS`] rows. `finish` is called for each piece of a row of C, with its first column.
    /// Returns whether every new parameter is finite.
    ///
    /// # Panics
    /// Where the shapes do not belong together, there are no rows or more, there are blocks before, or the elements of
    /// R's rows do not lie side by side.
    pub fn descend_and_meet(
        &self,
        (x, r): (MatRef<'_, T>, MatRef<'_, T>),
        descent: &mut Descent<'_, T>,
        y: MatRef<'_, T>,
        c: &mut MatMut<'_, T>,
        finish: &(dyn Fn(&mut [T], usize) + Sync),
    ) -> bool {
        let (rows, m, n) = (x.rows(), x.columns(), r.columns());
        check_shapes(x.transposed(), r, (m, n));
        descent.check(m * n);
        check_shapes(y, MatRef::new(descent.w, m, n), (c.rows(), c.columns()));
        assert!(y.rows() == rows && (1..=ROWS).contains(&rows), "as many rows, and a few");
        assert!(descent.before.is_none(), "one block of gradients");
        assert!(r.column_stride() == 1, "the elements of R's rows lie side by side");
        let w = Moved {
            w: descent.w.as_mut_ptr(),
            v: descent.v.as_mut().map_or(std::ptr::null_mut(), |v| v.as_mut_ptr()),
            stride: n,
            hyper: [descent.rate, descent.momentum, descent.l2],
        };
        let c = (c.data().as_mut_ptr(), c.row_stride());
        // SAFETY: both are borrowed for the call and of these shapes, and a crew takes each piece once.
        let pass = unsafe { Pass::new((x, r), w, (y, c)) };
        let sole = Sole(self.crew.caller());
        let crew: &dyn Crew = if rows * m * n >= SHARED { self.crew } else { &sole };
        let most = NEAR / (2 * rows * size_of::<T>()); // of R and of the sums
        let cut = Cut::new(n, n.div_ceil(most).next_multiple_of(crew.workers()), UNIT);
        let finite = AtomicBool::new(true);
        crew.share(cut.pieces(), &|worker, piece| {
            #[cfg(test)]
            crate::kernels::testing::MET_AHEAD.count();
            let mut scratch = self.scratch.of(worker);
            if !columns(self.isa, &pass, cut.piece(piece), &mut scratch) {
                finite.store(false, Ordering::Relaxed);
            }
            pass.finish(cut.piece(piece), finish);
        });
        finite.into_inner()
    }
}

simd_kernel! {
    /// Some columns: the first, and how many. Returns whether their new parameters are finite.
    fn columns<T, S>(pass: &Pass<'_, T>, part: (usize, usize), scratch: &mut [T]) -> bool {
        // SAFETY: `simd_kernel` has compiled this for S; who made the pass answers for W and C, and that the columns
        // are within is checked.
        unsafe {
            match pass.x.rows() {
                1 => columns_by::<S, 1>(pass, part, scratch),
                2 => columns_by::<S, 2>(pass, part, scratch),
                3 => columns_by::<S, 3>(pass, part, scratch),
                ROWS => columns_by::<S, ROWS>(pass, part, scratch),
                _ => unreachable!("more rows are not met ahead"),
            }
        }
    }
}

/// The same by so many rows.
///
/// # Safety
/// As for [`Simd`]; the columns are within the pass, and no one else uses those of W and C meanwhile.
#[inline(always)]
unsafe fn columns_by<S: Simd, const K: usize>(
    pass: &Pass<'_, S::T>,
    part: (usize, usize),
    room: &mut [S::T],
) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        if pass.w.is_plain() {
            blocks::<S, K, true>(pass, part, room)
        } else {
            blocks::<S, K, false>(pass, part, room)
        }
    }
}

/// The same block by block of the inputs (rule 1), whose sums stand in `room` (rows, columns); by a `PLAIN` step,
/// without momentum and l2, or any.
///
/// # Safety
/// As for [`columns_by`].
#[inline(always)]
unsafe fn blocks<S: Simd, const K: usize, const PLAIN: bool>(
    pass: &Pass<'_, S::T>,
    (first, count): (usize, usize),
    room: &mut [S::T],
) -> bool {
    assert!(first + count <= pass.r.columns(), "columns of the pass");
    let stride = count.next_multiple_of(S::LANES);
    let sums = &mut room[..K * stride];
    let (m, r, w) = (pass.x.columns(), pass.r.columns_from(first, count), pass.w.skip(first));
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let mut check = zero;
        // Where the next rows are 0, too, such a row of W adds nothing to their sums (rule 8).
        let leaves_out = leaves_out::<S, K, PLAIN>(r, w.hyper[0]);
        let (x, y) = (pass.x.transposed(), pass.y.transposed());
        for block in (0..m.max(1)).step_by(BLOCK) {
            sums.fill(S::T::ZERO);
            let to = (sums.as_mut_ptr(), stride);
            let (mut rows, mut ready) = ([0; TOGETHER], 0);
            for i in block..m.min(block + BLOCK) {
                if leaves_out && is_zero_row::<S, K>(x, i) && is_zero_row::<S, K>(y, i) {
                    continue;
                }
                rows[ready] = i;
                ready += 1;
                if ready == TOGETHER {
                    meet::<S, TOGETHER, K, PLAIN>((x, y), (r, w), rows, to, &mut check);
                    ready = 0;
                }
            }
            for t in 0..ready {
                meet::<S, 1, K, PLAIN>((x, y), (r, w), [rows[t]], to, &mut check);
            }
            for k in 0..K {
                let c = pass.c.0.add(k * pass.c.1 + first);
                for j in (0..count).step_by(S::LANES) {
                    let width = S::LANES.min(count - j);
                    let before = if block == 0 { zero } else { load::<S>(c.add(j), width) };
                    let sum = S::load(to.0.add(k * stride + j));
                    store::<S>(c.add(j), width, S::add(before, sum));
                }
            }
        }
        is_zero::<S>(check)
    }
}

/// Moves some rows of W by X^T (m, rows), and adds their products with the next rows, Y^T (m, rows), to the sums.
///
/// # Safety
/// As for [`columns_by`]; the rows are there, and whole registers of sums.
#[inline(always)]
unsafe fn meet<S: Simd, const R: usize, const K: usize, const PLAIN: bool>(
    (x, y): (MatRef<'_, S::T>, MatRef<'_, S::T>),
    (b, w): (MatRef<'_, S::T>, Moved<S::T>),
    rows: [usize; R],
    (sums, stride): (*mut S::T, usize),
    check: &mut S::V,
) {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let (mut now, mut next) = ([[zero; K]; R], [[zero; K]; R]);
        for r in 0..R {
            for k in 0..K {
                now[r][k] = S::splat(x.at(rows[r], k));
                next[r][k] = S::splat(y.at(rows[r], k));
            }
        }
        let (n, mut j, mut met) = (b.columns(), 0, *check);
        while j + S::LANES <= n {
            let at = (rows, j, S::LANES);
            let moved = move_register::<S, R, K, PLAIN>(&now, b, w, at, &mut met);
            add::<S, R, K>(&next, &moved, (sums.add(j), stride));
            j += S::LANES;
        }
        if j < n {
            let moved = move_register::<S, R, K, PLAIN>(&now, b, w, (rows, j, n - j), &mut met);
            add::<S, R, K>(&next, &moved, (sums.add(j), stride));
        }
        *check = met;
    }
}

/// Adds the products of a register of some rows of W with the next rows to a register of each sum.
///
/// # Safety
/// As for [`meet`].
#[inline(always)]
unsafe fn add<S: Simd, const R: usize, const K: usize>(
    y: &[[S::V; K]; R],
    w: &[S::V; R],
    (sums, stride): (*mut S::T, usize),
) {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        for k in 0..K {
            let to = sums.add(k * stride);
            let mut sum = S::load(to);
            for r in 0..R {
                sum = S::mul_add(y[r][k], w[r], sum);
            }
            S::store(to, sum);
        }
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
