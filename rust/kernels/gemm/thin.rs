//! Products of a lone row: they read a matrix once, and time is what that takes.

use super::super::Real;
use super::super::simd::Simd;
use super::BLOCK;
use super::panel::Sums;
use super::tile::{NextRows, Output, Place, form, settle};
use super::way::Share;
use crate::matrix::MatRef;

/// How many registers' columns are worked on together where there are as many: so many chains fill
/// the pipeline, and so much of each row of B lies side by side.
const WIDE: usize = 8;

/// C = A B for a lone row A (1, k) of several blocks. One chain a column would wait for itself:
/// four blocks are under way at a time, and added in order.
///
/// # Safety
/// As for [`Simd`]; A has columns, those of B lie side by side, or there is one; `c` has room for a
/// row of B.
#[inline(always)]
pub(super) unsafe fn lone_row<S: Simd>(a: MatRef<'_, S::T>, b: MatRef<'_, S::T>, c: *mut S::T) {
    let mut sums = Sums::<S::T>::new();
    // SAFETY: the caller's word.
    let mut j = unsafe { wide_columns::<S>(a, b, c) };
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
                a_strides: (BLOCK * a.column_stride(), a.column_stride()),
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

/// The first columns of C = A B for a row A (1, k), [`WIDE`] registers at a time. Returns how many.
///
/// # Safety
/// As for [`Simd`]; `c` has room for a row of B, whose columns lie side by side.
#[inline(always)]
unsafe fn wide_columns<S: Simd>(a: MatRef<'_, S::T>, b: MatRef<'_, S::T>, c: *mut S::T) -> usize {
    let columns = WIDE * S::LANES;
    let mut sums = Sums::<S::T>::new();
    let to = sums.start();
    let mut j = 0;
    while j + columns <= b.columns() {
        for first in (0..a.columns()).step_by(BLOCK) {
            let place = Place {
                a: a.data().as_ptr().wrapping_add(first * a.column_stride()),
                a_strides: (0, a.column_stride()),
                b: b.data().as_ptr().wrapping_add(first * b.row_stride() + j),
                b_stride: b.row_stride(),
                unpacked: std::ptr::null(),
                c: j,
                c_stride: 0,
                columns,
                k: BLOCK.min(a.columns() - first),
                list: std::ptr::null(),
                pixels: std::ptr::null(),
                next: NextRows::NONE,
                share: Share::NONE,
            };
            let output = if first == 0 { Output::Set(c) } else { Output::Add(c) };
            // SAFETY: the caller's word; the block lies within A and B, the columns within C.
            unsafe {
                let mut check = S::splat(S::T::ZERO);
                if !S::tile::<1, WIDE, { form::DIRECT }>(&place, &output, to, &mut check) {
                    settle::<S>(&place, &output, (1, WIDE), to, &mut check);
                }
            }
        }
        j += columns;
    }
    j
}
