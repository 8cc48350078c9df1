//! Products of a few rows, and steps by them: they pass a matrix once, and time is what that takes. So it is
//! passed as it lies.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

mod step;

pub(super) use step::{MOVING, Moved, NEAR, descend, is_zero_row, leaves_out, move_register};

use super::super::Real;
use super::super::simd::Simd;
use super::BLOCK;
use super::panel::{SUMS, Sums};
use super::settle::settle;
use super::tile::{NextRows, Output, Place, form};
use super::way::{Changed, Share};
use crate::matrix::MatRef;

/// A lone row passes B row by row where that has at least so many registers' columns: their chains fill the
/// pipeline.
pub(super) const LEAST: usize = 8;

/// So many rows of B at a time: a sum is loaded and stored once for as many.
pub(super) const TOGETHER: usize = 4;

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
                run: 1,
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

#[cfg(test)]
#[path = "thin_tests.rs"]
mod tests;
