//! Products of a few rows, and steps by them: they pass a matrix once, and time is what that takes. So it is
//! passed as it lies.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use super::super::Real;
use super::super::simd::Simd;
use super::BLOCK;
use super::panel::{SUMS, Sums, is_zero};
use super::settle::{load, settle, store};
use super::tile::{NextRows, Output, Place, form};
use super::way::{Changed, Share};
use crate::matrix::MatRef;

/// A lone row passes B row by row where that has at least so many registers' columns: their chains fill the
/// pipeline.
pub(super) const LEAST: usize = 8;

/// So many rows of B at a time: a sum is loaded and stored once for as many.
const TOGETHER: usize = 4;

/// C = A B for a lone row A (1, k). Columns that are few are taken through four blocks at a time, which are
/// added in order: one chain a column would wait for itself. Sums stand in `room`.
///
/// # Safety
/// As for [`Simd`]; A is one row of at least one column, those of B lie side by side, or there is one; `c` has
/// room for a row of B.
#[inline(always)]
pub(super) unsafe fn lone_row<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    c: *mut S::T,
    room: &mut [S::T],
) {
    let mut sums = Sums::<S::T>::new();
    // SAFETY: the caller's word.
    let mut j = unsafe { whole_columns::<S>(a, b, c, room) };
    while j < b.columns() {
        let columns = (b.columns() - j).min(2 * S::LANES);
        let registers = columns.div_ceil(S::LANES);
        let mut first = 0;
        while first < a.columns() {
            let left = a.columns() - first;
            let (blocks, k) = match left / BLOCK {
                0 => (1, left),
                whole => (whole.min(4), BLOCK),
            };
            let place = Place {
                a: a.data().as_ptr().wrapping_add(first * a.column_stride()),
                a_strides: (BLOCK.wrapping_mul(a.column_stride()), a.column_stride()),
                b: b.data().as_ptr().wrapping_add(first * b.row_stride() + j),
                b_stride: b.row_stride(),
                unpacked: std::ptr::null(),
                c: j,
                c_stride: 0,
                columns,
                k,
                list: std::ptr::null(),
                pixels: std::ptr::null(),
                next: NextRows::NONE,
                share: Share::NONE,
                changed: Changed::NONE,
            };
            let output = if first == 0 { Output::Set(c) } else { Output::Add(c) };
            let to = sums.start();
            // SAFETY: the caller's word; the blocks lie within A and B.
            unsafe {
                let mut check = S::splat(S::T::ZERO);
                let _ = match (blocks, registers) {
                    (1, 1) => S::tile::<1, 1, { form::BLOCKS }>(&place, &output, to, &mut check),
                    (2, 1) => S::tile::<2, 1, { form::BLOCKS }>(&place, &output, to, &mut check),
                    (3, 1) => S::tile::<3, 1, { form::BLOCKS }>(&place, &output, to, &mut check),
                    (_, 1) => S::tile::<4, 1, { form::BLOCKS }>(&place, &output, to, &mut check),
                    (1, _) => S::tile::<1, 2, { form::BLOCKS }>(&place, &output, to, &mut check),
                    (2, _) => S::tile::<2, 2, { form::BLOCKS }>(&place, &output, to, &mut check),
                    (3, _) => S::tile::<3, 2, { form::BLOCKS }>(&place, &output, to, &mut check),
                    _ => S::tile::<4, 2, { form::BLOCKS }>(&place, &output, to, &mut check),
                };
                // Block after block onto the same row.
                settle::<S>(&place, &output, (1, registers), to, &mut check);
                for block in 1..blocks {
                    let from = to.add(block * registers * S::LANES);
                    settle::<S>(&place, &Output::Add(c), (1, registers), from, &mut check);
                }
            }
            first += blocks * BLOCK;
        }
        j += columns;
    }
}

/// The first columns of C = A B for a row A (1, k), whole registers, if they are many: B is passed as it
/// lies, some rows at a time, and the sums of a block stand in `room`, which bounds how many they are. Returns
/// how many.
///
/// # Safety
/// As for [`lone_row`].
#[inline(always)]
unsafe fn whole_columns<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    c: *mut S::T,
    room: &mut [S::T],
) -> usize {
    let columns = b.columns().min(room.len()) / S::LANES * S::LANES;
    if columns < LEAST * S::LANES {
        return 0;
    }
    #[cfg(test)]
    tests::count(0, 1);
    let to = (room.as_mut_ptr(), c, columns);
    for first in (0..a.columns()).step_by(BLOCK) {
        let (k, mut t) = (BLOCK.min(a.columns() - first), 0);
        while t < k {
            let rows = TOGETHER.min(k - t);
            let (a, b) = (a.columns_from(first + t, rows), b.rows_from(first + t, rows));
            let ends = Ends { first: t == 0, last: t + rows == k, sets: first == 0 };
            // SAFETY: the caller's word; so many rows, and columns, are there, and room for the sums.
            unsafe {
                match rows {
                    1 => add_rows::<S, 1>(a, b, to, ends),
                    2 => add_rows::<S, 2>(a, b, to, ends),
                    3 => add_rows::<S, 3>(a, b, to, ends),
                    _ => add_rows::<S, TOGETHER>(a, b, to, ends),
                }
            }
            t += rows;
        }
    }
    columns
}

/// Where some rows stand within a block.
#[derive(Clone, Copy)]
struct Ends {
    /// The block begins with them: so do its sums, with 0.
    first: bool,
    /// It ends with them: the sums go to C.
    last: bool,
    /// It is the first block: C begins with it.
    sets: bool,
}

/// Adds the products of the elements of a row A (1, `R`) with rows of B to the sums, which stand at the first
/// place; C, at the second, has so many columns.
///
/// # Safety
/// As for [`Simd`]; A has so many columns, B so many rows, and these, the sums and C so many elements.
#[inline(always)]
unsafe fn add_rows<S: Simd, const R: usize>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (sums, c, columns): (*mut S::T, *mut S::T, usize),
    ends: Ends,
) {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let (mut x, mut rows) = ([zero; R], [b.data().as_ptr(); R]);
        for r in 0..R {
            x[r] = S::splat(*a.data().as_ptr().add(r * a.column_stride()));
            rows[r] = rows[r].add(r * b.row_stride());
        }
        for j in (0..columns).step_by(S::LANES) {
            let mut sum = if ends.first { zero } else { S::load(sums.add(j)) };
            for r in 0..R {
                sum = S::mul_add(x[r], S::load(rows[r].add(j)), sum);
            }
            if ends.last {
                let before = if ends.sets { zero } else { S::load(c.add(j)) };
                S::store(c.add(j), S::add(before, sum));
            } else {
                S::store(sums.add(j), sum);
            }
        }
    }
}

/// So many rows of A at most meet columns of B that are turned around on the way.
pub(super) const ACROSS: usize = 8;

/// C = A B for a few rows A (m, k) where the elements of each column of B (k, n) lie side by side. C's rows are
/// so far apart.
///
/// # Safety
/// As for [`Simd`]; m is from 1 to [`ACROSS`], k and n are at least a register's lanes; B's row stride is 1; C
/// lies within `c`, and no one else uses it meanwhile.
#[inline(always)]
pub(super) unsafe fn across<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (c, stride): (*mut S::T, usize),
) {
    #[cfg(test)]
    tests::count(1, 1);
    // SAFETY: the caller's word.
    unsafe {
        match a.rows() {
            1 => rows_across::<S, 1>(a, b, (c, stride)),
            2 => rows_across::<S, 2>(a, b, (c, stride)),
            3 | 4 => rows_across::<S, 4>(a, b, (c, stride)),
            5..=ACROSS => rows_across::<S, ACROSS>(a, b, (c, stride)),
            _ => unreachable!("no more rows are few"),
        }
    }
}

/// The same of at most `R` rows: as many columns of B at a time as a register has lanes, each read from end to
/// end as it lies, and turned around some rows at a time.
///
/// # Safety
/// As for [`across`].
#[inline(always)]
unsafe fn rows_across<S: Simd, const R: usize>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (c, c_stride): (*mut S::T, usize),
) {
    const { assert!(S::LANES * S::LANES <= SUMS, "there is room for what is turned around") }
    let (m, k, n) = (a.rows(), a.columns(), b.columns());
    debug_assert!(m <= R && b.row_stride() == 1 && k >= S::LANES && n >= S::LANES);
    let mut x = [a.data().as_ptr(); R];
    for r in 0..R {
        x[r] = x[r].wrapping_add(r.min(m - 1) * a.row_stride()); // of rows that are not there the last
    }
    let mut room = Sums::<S::T>::new();
    let turned = room.start();
    for j in (0..n).step_by(S::LANES) {
        let j = j.min(n - S::LANES); // the last few again, with those before them
        // SAFETY: the caller's word; so in the whole body. There is room for as many rows of a register as it
        // has lanes.
        unsafe {
            let from = b.data().as_ptr().add(j * b.column_stride());
            let zero = S::splat(S::T::ZERO);
            let mut totals = [zero; R];
            for first in (0..k).step_by(BLOCK) {
                let (mut sums, mut t, end) = ([zero; R], first, k.min(first + BLOCK));
                while t < end {
                    let at = t.min(k - S::LANES); // likewise
                    S::transpose(from.add(at), b.column_stride(), turned, S::LANES);
                    let next = end.min(at + S::LANES);
                    while t < next {
                        let row = S::load(turned.add((t - at) * S::LANES));
                        for r in 0..R {
                            let x = S::splat(*x[r].add(t * a.column_stride()));
                            sums[r] = S::mul_add(x, row, sums[r]);
                        }
                        t += 1;
                    }
                }
                for r in 0..R {
                    totals[r] = S::add(totals[r], sums[r]);
                }
            }
            for r in 0..m {
                S::store(c.add(r * c_stride + j), totals[r]);
            }
        }
    }
}

/// So many columns of A at most move parameters that are passed as they lie.
pub(super) const MOVING: usize = 8;

/// How many bytes of B are met by all rows of W before the next: they stay in the first cache.
const NEAR: usize = 24 << 10;

/// So many elements are whole registers of any kind, and whole cache lines.
const WHOLE: usize = 64;

/// Parameters W (m, n) that a step moves, from a row and a column on: rows are `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Moved<T> {
    pub(super) w: *mut T,
    /// The velocity of momentum, as W, or null.
    pub(super) v: *mut T,
    pub(super) stride: usize,
    /// Rate, momentum and l2.
    pub(super) hyper: [T; 3],
}

impl<T> Moved<T> {
    /// From `at` elements further on.
    #[inline(always)]
    fn skip(self, at: usize) -> Self {
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
pub(super) unsafe fn descend<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    check: &mut S::V,
) {
    #[cfg(test)]
    tests::count(2, 1);
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
    let [rate, _, l2] = to.hyper;
    let n = b.columns();
    let together = NEAR / (K * size_of::<S::T>()) / WHOLE * WHOLE;
    for j in (0..n).step_by(together) {
        let (b, to) = (b.columns_from(j, together.min(n - j)), to.skip(j));
        // A gradient of 0 moves nothing by any other rate; and 0 times what is not finite is none.
        let mut leaves_out =
            to.v.is_null() && l2 == S::T::ZERO && rate > S::T::ZERO && rate.is_finite();
        for t in 0..K {
            // SAFETY: the caller's word.
            leaves_out = leaves_out && unsafe { all_finite::<S>(b.rows_from(t, 1)) };
        }
        let (mut pair, mut count) = ([0; 2], 0);
        for i in 0..a.rows() {
            if leaves_out && is_zero_row::<S, K>(a, i) {
                continue;
            }
            pair[count] = i;
            count += 1;
            if count == 2 {
                // SAFETY: the caller's word.
                unsafe { move_rows::<S, 2, K>(a, b, to, pair, check) };
                count = 0;
            }
        }
        if count == 1 {
            // SAFETY: the caller's word.
            unsafe { move_rows::<S, 1, K>(a, b, to, [pair[0]], check) };
        }
    }
}

/// Whether the elements of a row of A, of which there are `K`, are all 0.
#[inline(always)]
fn is_zero_row<S: Simd, const K: usize>(a: MatRef<'_, S::T>, i: usize) -> bool {
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
unsafe fn move_rows<S: Simd, const R: usize, const K: usize>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    rows: [usize; R],
    check: &mut S::V,
) {
    #[cfg(test)]
    tests::count(3, R);
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
            move_register::<S, R, K>(&x, b, to, (rows, j, S::LANES), &mut met);
            j += S::LANES;
        }
        if j < n {
            move_register::<S, R, K>(&x, b, to, (rows, j, n - j), &mut met);
        }
        *check = met;
    }
}

/// So many of their columns, a register's at most, from column `j` on; rule 4.
///
/// # Safety
/// As for [`move_rows`].
#[inline(always)]
unsafe fn move_register<S: Simd, const R: usize, const K: usize>(
    x: &[[S::V; K]; R],
    b: MatRef<'_, S::T>,
    to: Moved<S::T>,
    (rows, j, count): ([usize; R], usize, usize),
    check: &mut S::V,
) {
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
        for r in 0..R {
            let to = to.skip(rows[r] * to.stride + j);
            let old = load::<S>(to.w, count);
            let mut g = S::add(zero, sums[r]);
            if l2 != S::T::ZERO {
                g = S::mul_add(S::splat(l2), old, g);
            }
            if !to.v.is_null() {
                g = S::mul_add(S::splat(momentum), load::<S>(to.v, count), g);
                store::<S>(to.v, count, g);
            }
            let new = S::mul_add(S::splat(-rate), g, old);
            store::<S>(to.w, count, new);
            *check = S::add(*check, S::sub(new, new));
        }
    }
}

#[cfg(test)]
#[path = "thin_tests.rs"]
mod tests;
