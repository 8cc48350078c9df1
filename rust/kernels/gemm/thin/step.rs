//! Steps by a few rows.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use crate::kernels::Real;
use crate::kernels::gemm::panel::is_zero;
use crate::kernels::gemm::settle::{load, store};
use crate::kernels::simd::Simd;
use crate::matrix::MatRef;

/// So many columns of A at most move parameters that are passed as they lie.
pub(in super::super) const MOVING: usize = 8;

/// How many bytes of B are met by all rows of W before the next: they stay in the first cache.
pub(in super::super) const NEAR: usize = 24 << 10;

/// So many elements are whole registers of any kind, and as many bytes as whole cache lines.
const WHOLE: usize = 64;

/// Parameters W (m, n) that a step moves, from a row and a column on: rows are `stride` apart.
#[derive(Clone, Copy)]
pub(in super::super) struct Moved<T> {
    pub(in super::super) w: *mut T,
    /// The velocity of momentum, as W, or null.
    pub(in super::super) v: *mut T,
    pub(in super::super) stride: usize,
    /// Rate, momentum and l2.
    pub(in super::super) hyper: [T; 3],
}

impl<T: Real> Moved<T> {
    /// Whether there is neither momentum nor l2.
    pub(in super::super) fn is_plain(&self) -> bool {
        self.v.is_null() && self.hyper[2] == T::ZERO
    }

    /// From `at` elements further on.
    #[inline(always)]
    pub(in super::super) fn skip(self, at: usize) -> Self {
        // A null pointer stays one.
        let v = if self.v.is_null() { self.v } else { self.v.wrapping_add(at) };
        Self { w: self.w.wrapping_add(at), v, ..self }
    }
}

/// Moves W against the gradient of a few columns A (m, k), at most [`MOVING`], and rows B (k, n). Rows of W
/// whose elements of A are all 0 are left out where a plain step would leave them as they are.
///
/// # Safety
/// As for [`Simd`]; k is at least 1, B's columns lie side by side, or there is one; the elements of `to` are
/// there, and no one else uses them meanwhile.
#[inline(always)]
pub(in super::super) unsafe fn descend<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    check: &mut S::V,
) {
    #[cfg(test)]
    super::tests::count(2, 1);
    // SAFETY: the caller's word.
    unsafe {
        match a.columns() {
            1 => descend_by::<S, 1>(a, b, to, check),
            2 => descend_by::<S, 2>(a, b, to, check),
            3 => descend_by::<S, 3>(a, b, to, check),
            4 => descend_by::<S, 4>(a, b, to, check),
            5 => descend_by::<S, 5>(a, b, to, check),
            6 => descend_by::<S, 6>(a, b, to, check),
            7 => descend_by::<S, 7>(a, b, to, check),
            MOVING => descend_by::<S, MOVING>(a, b, to, check),
            _ => unreachable!("no more columns are few"),
        }
    }
}

/// The same of so many columns.
///
/// # Safety
/// As for [`descend`].
#[inline(always)]
unsafe fn descend_by<S: Simd, const K: usize>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    check: &mut S::V,
) {
    // SAFETY: the caller's word.
    unsafe {
        if to.is_plain() {
            descend_strips::<S, K, true>(a, b, to, check);
        } else {
            descend_strips::<S, K, false>(a, b, to, check);
        }
    }
}

/// The same strip by strip of W; by a `PLAIN` step, without momentum and l2, or any.
///
/// # Safety
/// As for [`descend`].
#[inline(always)]
unsafe fn descend_strips<S: Simd, const K: usize, const PLAIN: bool>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    check: &mut S::V,
) {
    let n = b.columns();
    let together = NEAR / (K * size_of::<S::T>()) / WHOLE * WHOLE;
    for j in (0..n).step_by(together) {
        let (b, to) = (b.columns_from(j, together.min(n - j)), to.skip(j));
        // SAFETY: the caller's word.
        let leaves_out = unsafe { leaves_out::<S, K, PLAIN>(b, to.hyper[0]) };
        let (mut pair, mut count) = ([0; 2], 0);
        for i in 0..a.rows() {
            if leaves_out && is_zero_row::<S, K>(a, i) {
                continue;
            }
            pair[count] = i;
            count += 1;
            if count == 2 {
                // SAFETY: the caller's word.
                unsafe { move_rows::<S, 2, K, PLAIN>(a, b, to, pair, check) };
                count = 0;
            }
        }
        if count == 1 {
            // SAFETY: the caller's word.
            unsafe { move_rows::<S, 1, K, PLAIN>(a, b, to, [pair[0]], check) };
        }
    }
}

/// Whether a row of W stays as it is whose elements of A are all 0: their gradient is 0 where B is finite, and moves
/// nothing by a rate above 0 that is finite, too, without momentum and l2.
///
/// # Safety
/// As for [`descend`].
#[inline(always)]
pub(in super::super) unsafe fn leaves_out<S: Simd, const K: usize, const PLAIN: bool>(
    b: MatRef<'_, S::T>,
    rate: S::T,
) -> bool {
    let mut leaves_out = PLAIN && rate > S::T::ZERO && rate.is_finite();
    for t in 0..K {
        // SAFETY: the caller's word.
        leaves_out = leaves_out && unsafe { all_finite::<S>(b.rows_from(t, 1)) };
    }
    leaves_out
}

/// Whether the elements of a row of A, of which there are `K`, are all 0.
#[inline(always)]
pub(in super::super) fn is_zero_row<S: Simd, const K: usize>(
    a: MatRef<'_, S::T>,
    i: usize,
) -> bool {
    for t in 0..K {
        if a.at(i, t) != S::T::ZERO {
            return false;
        }
    }
    true
}

/// Whether a row, of any length, is finite.
///
/// # Safety
/// As for [`Simd`]; the row's elements lie side by side.
#[inline(always)]
unsafe fn all_finite<S: Simd>(row: MatRef<'_, S::T>) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        let mut met = S::splat(S::T::ZERO);
        for j in (0..row.columns()).step_by(S::LANES) {
            let v = load::<S>(row.data().as_ptr().add(j), S::LANES.min(row.columns() - j));
            met = S::add(met, S::sub(v, v));
        }
        is_zero::<S>(met)
    }
}

/// Some rows of W.
///
/// # Safety
/// As for [`descend`]; the rows are there.
#[inline(always)]
unsafe fn move_rows<S: Simd, const R: usize, const K: usize, const PLAIN: bool>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    rows: [usize; R],
    check: &mut S::V,
) {
    #[cfg(test)]
    super::tests::count(3, R);
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut x = [[S::splat(S::T::ZERO); K]; R];
        for r in 0..R {
            for t in 0..K {
                let at = rows[r] * a.row_stride() + t * a.column_stride();
                x[r][t] = S::splat(*a.data().as_ptr().add(at));
            }
        }
        let n = b.columns();
        let mut met = *check;
        let mut j = 0;
        while j + S::LANES <= n {
            move_register::<S, R, K, PLAIN>(&x, b, to, (rows, j, S::LANES), &mut met);
            j += S::LANES;
        }
        if j < n {
            move_register::<S, R, K, PLAIN>(&x, b, to, (rows, j, n - j), &mut met);
        }
        *check = met;
    }
}

/// So many of their columns, a register's at most, from column `j` on; rule 4. Returns the new
/// parameters.
///
/// # Safety
/// As for [`move_rows`].
#[inline(always)]
pub(in super::super) unsafe fn move_register<
    S: Simd,
    const R: usize,
    const K: usize,
    const PLAIN: bool,
>(
    x: &[[S::V; K]; R],
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    (rows, j, count): ([usize; R], usize, usize),
    check: &mut S::V,
) -> [S::V; R] {
    let [rate, momentum, l2] = to.hyper;
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let mut sums = [zero; R];
        for t in 0..K {
            let row = load::<S>(b.data().as_ptr().add(t * b.row_stride() + j), count);
            for r in 0..R {
                sums[r] = S::mul_add(x[r][t], row, sums[r]);
            }
        }
        let mut moved = [zero; R];
        for r in 0..R {
            let to = to.skip(rows[r] * to.stride + j);
            let old = load::<S>(to.w, count);
            let mut g = S::add(zero, sums[r]);
            if !PLAIN && l2 != S::T::ZERO {
                g = S::mul_add(S::splat(l2), old, g);
            }
            if !PLAIN && !to.v.is_null() {
                g = S::mul_add(S::splat(momentum), load::<S>(to.v, count), g);
                store::<S>(to.v, count, g);
            }
            let new = S::mul_add(S::splat(-rate), g, old);
            store::<S>(to.w, count, new);
            // 0, or NaN of what is not finite. That stays one, and no sum waits for the one before.
            *check = S::or(*check, S::sub(new, new));
            moved[r] = new;
        }
        moved
    }
}
