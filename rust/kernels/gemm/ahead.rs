//! A step of weights W, and the product of the next rows with what becomes of them, in one pass over W: the way
//! forward meets each weight in the register in which the step has moved it.
//!
//! A few rows do so little with each weight that time is what it takes to pass them. Workers share the columns
//! of W, so that each finds in its own cache those that it has moved before.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use std::sync::atomic::{AtomicBool, Ordering};

use super::job::{Cut, SHARED};
use super::panel::is_zero;
use super::settle::{load, store};
use super::team::{Crew, Sole, Team};
use super::thin::{Moved, move_register};
use super::{BLOCK, Descent, check_shapes};
use crate::kernels::Real;
use crate::kernels::simd::{Simd, simd_kernel};
use crate::matrix::{MatMut, MatRef};

/// So many rows at most are met ahead.
pub const ROWS: usize = 4;

/// How many rows of W are moved together: a sum is loaded and stored once for as many.
const TOGETHER: usize = 4;

/// How many bytes of R and of sums are met by all rows of W before the next: they stay in the first cache.
const NEAR: usize = 24 << 10;

/// Pieces begin at multiples of so many columns: whole registers of any kind, and whole cache lines.
const UNIT: usize = 64;

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

// SAFETY: workers write to columns that do not overlap, by the word of who calls `columns`.
unsafe impl<T: Real> Sync for Pass<'_, T> {}

impl<T: Real> Team<'_, T> {
    /// Moves W as [`Team::descend`] does, against X^T R, and then C = Y W: X and Y (rows, m), R (rows, n), W (m, n),
    /// C (rows, n), of at most [`ROWS`] rows. Returns whether every new parameter is finite.
    ///
    /// # Panics
    /// Where the shapes do not belong together, there are more rows, or there are blocks before.
    pub fn descend_and_meet(
        &self,
        (x, r): (MatRef<'_, T>, MatRef<'_, T>),
        descent: &mut Descent<'_, T>,
        y: MatRef<'_, T>,
        c: &mut MatMut<'_, T>,
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
        let pass = Pass { x, r, w, y, c: (c.data().as_mut_ptr(), c.row_stride()) };
        let sole = Sole(self.crew.caller());
        let crew: &dyn Crew = if rows * m * n >= SHARED { self.crew } else { &sole };
        let most = NEAR / (2 * rows * size_of::<T>()) / UNIT * UNIT;
        let cut = Cut::new(n, n.div_ceil(most).next_multiple_of(crew.workers()), UNIT);
        let finite = AtomicBool::new(true);
        crew.share(cut.pieces(), &|worker, piece| {
            #[cfg(test)]
            crate::kernels::testing::MET_AHEAD.count();
            let mut scratch = self.scratch.of(worker);
            if !columns(self.isa, &pass, cut.piece(piece), &mut scratch) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        finite.into_inner()
    }
}

simd_kernel! {
    /// Some columns: the first, and how many. Returns whether their new parameters are finite.
    fn columns<T, S>(pass: &Pass<'_, T>, part: (usize, usize), scratch: &mut [T]) -> bool {
        // SAFETY: `simd_kernel` has compiled this for S; the columns are within the pass, whose shapes are
        // checked, and who shares them hands out each once.
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
    let stride = count.next_multiple_of(S::LANES);
    let sums = &mut room[..K * stride];
    let (m, r, w) = (pass.x.columns(), pass.r.columns_from(first, count), pass.w.skip(first));
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let mut check = zero;
        for block in (0..m).step_by(BLOCK) {
            sums.fill(S::T::ZERO);
            let to = (sums.as_mut_ptr(), stride);
            let (mut i, end) = (block, m.min(block + BLOCK));
            while i + TOGETHER <= end {
                meet::<S, TOGETHER, K, PLAIN>(pass, (r, w), i, to, &mut check);
                i += TOGETHER;
            }
            while i < end {
                meet::<S, 1, K, PLAIN>(pass, (r, w), i, to, &mut check);
                i += 1;
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

/// Moves `R` rows of W from `i` on, and adds their products with the next rows to the sums.
///
/// # Safety
/// As for [`columns_by`]; the rows are there, and whole registers of sums.
#[inline(always)]
unsafe fn meet<S: Simd, const R: usize, const K: usize, const PLAIN: bool>(
    pass: &Pass<'_, S::T>,
    (b, w): (MatRef<'_, S::T>, Moved<S::T>),
    i: usize,
    (sums, stride): (*mut S::T, usize),
    check: &mut S::V,
) {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let (mut x, mut y, mut rows) = ([[zero; K]; R], [[zero; K]; R], [i; R]);
        for r in 0..R {
            rows[r] = i + r;
            for k in 0..K {
                x[r][k] = S::splat(pass.x.at(k, i + r));
                y[r][k] = S::splat(pass.y.at(k, i + r));
            }
        }
        let (n, mut j, mut met) = (b.columns(), 0, *check);
        while j + S::LANES <= n {
            let at = (rows, j, S::LANES);
            let moved = move_register::<S, R, K, PLAIN>(&x, b, w, at, &mut met);
            add::<S, R, K>(&y, &moved, (sums.add(j), stride));
            j += S::LANES;
        }
        if j < n {
            let moved = move_register::<S, R, K, PLAIN>(&x, b, w, (rows, j, n - j), &mut met);
            add::<S, R, K>(&y, &moved, (sums.add(j), stride));
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
