//! Products of a few rows, and of a lone column: they pass a matrix once, and time is what that takes. So it
//! is passed as it lies.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use super::super::Real;
use super::super::simd::Simd;
use super::BLOCK;
use super::panel::{SUMS, Sums, is_zero};
use super::tile::{NextRows, Output, Place, form, load, settle, store};
use super::way::Share;
use crate::matrix::MatRef;

/// B is passed row by row where it has at least so many registers' columns: their chains fill the pipeline.
pub(super) const LEAST: usize = 8;

/// So many rows of B at a time: a sum is loaded and stored once for as many.
const TOGETHER: usize = 4;

/// C = A B for a lone row A (1, k) of several blocks. One chain a column would wait for itself:
/// four blocks are under way at a time, and added in order.
///
/// # Safety
/// As for [`Simd`]; A has columns, those of B lie side by side, or there is one; `c` has room for a
/// row of B.
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
/// lies, some rows at a time, and the sums of a block stand in `sums`. Returns how many.
///
/// # Safety
/// As for [`Simd`]; `c` has room for a row of B, whose columns lie side by side.
#[inline(always)]
unsafe fn whole_columns<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    c: *mut S::T,
    sums: &mut [S::T],
) -> usize {
    let columns = b.columns().min(sums.len()) / S::LANES * S::LANES;
    if columns < LEAST * S::LANES {
        return 0;
    }
    #[cfg(test)]
    tests::count(0);
    let sums = sums.as_mut_ptr();
    for first in (0..a.columns()).step_by(BLOCK) {
        let (k, mut t) = (BLOCK.min(a.columns() - first), 0);
        while t < k {
            let rows = if k - t < TOGETHER { 1 } else { TOGETHER };
            let a = a.columns_from(first + t, rows);
            let b = b.rows_from(first + t, rows);
            let ends = (t == 0, (t + rows == k).then_some((c, first == 0)));
            // SAFETY: the caller's word; as many columns are there, in the sums too.
            unsafe {
                if rows == 1 {
                    add_rows::<S, 1>(a, b, (sums, columns), ends);
                } else {
                    add_rows::<S, TOGETHER>(a, b, (sums, columns), ends);
                }
            }
            t += rows;
        }
    }
    columns
}

/// Adds the products of some elements of a row A with rows of B to the sums, which begin at 0 where these
/// are the first of a block. Where they are the last, C, or 0 in the first block, is added.
///
/// # Safety
/// As for [`whole_columns`].
#[inline(always)]
unsafe fn add_rows<S: Simd, const R: usize>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (sums, columns): (*mut S::T, usize),
    (is_first, last): (bool, Option<(*mut S::T, bool)>),
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
            let mut sum = if is_first { zero } else { S::load(sums.add(j)) };
            for r in 0..R {
                sum = S::mul_add(x[r], S::load(rows[r].add(j)), sum);
            }
            match last {
                None => S::store(sums.add(j), sum),
                Some((c, true)) => S::store(c.add(j), S::add(zero, sum)),
                Some((c, false)) => S::store(c.add(j), S::add(S::load(c.add(j)), sum)),
            }
        }
    }
}

/// So many rows of A at most meet columns of B that are turned around on the way.
pub(super) const ACROSS: usize = 8;

/// C = A B for a few rows A (m, k), at most [`ACROSS`], where the rows of B (k, n) lie side by side; k and n
/// are at least a register's lanes. C's rows are so far apart.
///
/// # Safety
/// As for [`Simd`]; C lies within `c`.
#[inline(always)]
pub(super) unsafe fn across<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (c, stride): (*mut S::T, usize),
) {
    #[cfg(test)]
    tests::count(1);
    // SAFETY: the caller's word.
    unsafe {
        match a.rows() {
            1 => rows_across::<S, 1>(a, b, (c, stride)),
            2 => rows_across::<S, 2>(a, b, (c, stride)),
            3 | 4 => rows_across::<S, 4>(a, b, (c, stride)),
            _ => rows_across::<S, ACROSS>(a, b, (c, stride)),
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

/// How many bytes of B are met by all rows of W before the next: they stay in the first cache.
const ROOM: usize = 24 << 10;

/// So many columns of A at most move parameters that are passed as they lie.
pub(super) const MOVING: usize = 8;

/// The parameters W (m, n) by a gradient of a few columns A (m, k), at most [`MOVING`], and rows B (k, n): a
/// plain step. Rows of W whose elements of A are all 0 stay as they are.
///
/// # Safety
/// As for [`Simd`]; B's columns lie side by side, and the rows of W that begin at `w`, so far apart, are there,
/// and no one else uses them meanwhile.
#[inline(always)]
pub(super) unsafe fn descend<S: Simd>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (w, stride): (*mut S::T, usize),
    rate: S::T,
    check: &mut S::V,
) {
    #[cfg(test)]
    tests::count(2);
    let to = (w, stride);
    // SAFETY: the caller's word.
    unsafe {
        match a.columns() {
            1 => descend_by::<S, 1>(a, b, to, rate, check),
            2 => descend_by::<S, 2>(a, b, to, rate, check),
            3 => descend_by::<S, 3>(a, b, to, rate, check),
            4 => descend_by::<S, 4>(a, b, to, rate, check),
            5 => descend_by::<S, 5>(a, b, to, rate, check),
            6 => descend_by::<S, 6>(a, b, to, rate, check),
            7 => descend_by::<S, 7>(a, b, to, rate, check),
            MOVING => descend_by::<S, MOVING>(a, b, to, rate, check),
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
    (w, stride): (*mut S::T, usize),
    rate: S::T,
    check: &mut S::V,
) {
    let (m, n) = (a.rows(), b.columns());
    let x = |i: usize, t: usize| a.data()[i * a.row_stride() + t * a.column_stride()];
    let together = ROOM / (K * size_of::<S::T>());
    for j in (0..n).step_by(together) {
        let (b, w) = (b.columns_from(j, together.min(n - j)), w.wrapping_add(j));
        // SAFETY: the caller's word.
        let finite = (0..K).all(|t| unsafe { all_finite::<S>(b.rows_from(t, 1)) });
        let mut i = 0;
        while i < m {
            // 0 times what is not finite counts.
            if finite && (0..K).all(|t| x(i, t) == S::T::ZERO) {
                i += 1;
                continue;
            }
            let rows = (m - i).min(2);
            let (a, row) = (a.rows_from(i, rows), w.wrapping_add(i * stride));
            // SAFETY: the caller's word.
            unsafe {
                if rows == 2 {
                    move_rows::<S, 2, K>(a, b, (row, stride), rate, check);
                } else {
                    move_rows::<S, 1, K>(a, b, (row, stride), rate, check);
                }
            }
            i += rows;
        }
    }
}

/// Whether a row is finite.
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

/// `R` rows of W.
///
/// # Safety
/// As for [`descend`].
#[inline(always)]
unsafe fn move_rows<S: Simd, const R: usize, const K: usize>(
    a: MatRef<'_, S::T>,
    b: MatRef<'_, S::T>,
    (w, stride): (*mut S::T, usize),
    rate: S::T,
    check: &mut S::V,
) {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let mut x = [[zero; K]; R];
        for r in 0..R {
            for t in 0..K {
                let at = r * a.row_stride() + t * a.column_stride();
                x[r][t] = S::splat(*a.data().as_ptr().add(at));
            }
        }
        let (n, rate) = (b.columns(), S::splat(-rate));
        let mut met = *check;
        let mut j = 0;
        while j + S::LANES <= n {
            move_register::<S, R, K>(&x, b, (w.add(j), stride), (j, S::LANES), rate, &mut met);
            j += S::LANES;
        }
        if j < n {
            move_register::<S, R, K>(&x, b, (w.add(j), stride), (j, n - j), rate, &mut met);
        }
        *check = met;
    }
}

/// A register's columns of these rows, from column `j` on.
///
/// # Safety
/// As for [`descend`].
#[inline(always)]
unsafe fn move_register<S: Simd, const R: usize, const K: usize>(
    x: &[[S::V; K]; R],
    b: MatRef<'_, S::T>,
    (w, stride): (*mut S::T, usize),
    (j, count): (usize, usize),
    rate: S::V,
    check: &mut S::V,
) {
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
            let to = w.add(r * stride);
            let new = S::mul_add(rate, S::add(zero, sums[r]), load::<S>(to, count));
            store::<S>(to, count, new);
            *check = S::add(*check, S::sub(new, new));
        }
    }
}

#[cfg(test)]
#[path = "thin_tests.rs"]
mod tests;
