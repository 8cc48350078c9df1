//! Products of rows that are mostly 0, such as pictures: a tile of rows leaves out those columns
//! that are 0 in all of them. That is exact by rule 8 of `docs/exactness.md`.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use std::ptr::null;

use super::super::Real;
use super::super::foreign::Source;
use super::super::simd::{Simd, simd_kernel};
use super::BLOCK;
use super::list::List;
use super::pack::height;
use super::panel::Sums;
use super::tile::{Output, Place, form, settle};
use crate::matrix::MatRef;

/// C = A B: A (m, k), B (k, n), C (m, n), the rows of each following each other. Others may write to A
/// meanwhile: each sum is one of elements that stood there.
///
/// # Panics
/// Where the sizes do not belong together.
pub fn product_lit<T: Real>(isa: super::Isa, a: Source<'_, T>, b: MatRef<'_, T>, c: &mut [T]) {
    let (k, n) = (b.rows(), b.columns());
    assert!(k > 0 && n > 0 && b.column_stride() == 1, "rows of weights");
    assert!(c.len().is_multiple_of(n) && a.len() == c.len() / n * k, "a row of C for a row of A");
    rows(isa, a, b, c);
}

simd_kernel! {
    fn rows<T, S>(a: Source<'_, T>, b: MatRef<'_, T>, c: &mut [T]) {
        let (k, n) = (b.rows(), b.columns());
        let (mut list, mut sums) = (List::new(), Sums::new());
        let mut i = 0;
        while i < c.len() / n {
            let rows = height(c.len() / n - i, S::ROWS);
            let c = &mut c[i * n..(i + rows) * n];
            for first in (0..k).step_by(BLOCK) {
                let inputs = first..k.min(first + BLOCK);
                let at = i * k + first;
                let b = b.rows_from(first, inputs.len());
                let to = (&mut *c, &mut sums);
                // SAFETY: `simd_kernel` has compiled this for S; the sizes are checked.
                unsafe {
                    let count = list.fill::<S>(a, i * k, (rows, k), inputs);
                    let listed = Listed { start: list.start(), count, rows, width: k };
                    match a {
                        Source::Values(a) => {
                            let a = (a.start().add(at), null());
                            block::<S, { form::LISTED }>(a, &listed, b, to, first == 0);
                        }
                        Source::Pixels(a) => {
                            let a = (null(), a.start().add(at));
                            block::<S, { form::PIXELS }>(a, &listed, b, to, first == 0);
                        }
                    }
                }
            }
            i += rows;
        }
    }
}

/// So many columns that are listed, of a tile of rows of A.
struct Listed {
    start: *const u8,
    count: usize,
    rows: usize,
    width: usize,
}

/// One block of rule 1 for one tile of A, its values or its pixels.
///
/// # Safety
/// As for [`Simd`]; A has the rows and columns, B the block's rows, and C (rows, n) the columns of B.
#[inline(always)]
unsafe fn block<S: Simd, const FORM: u8>(
    (values, pixels): (*const S::T, *const u8),
    listed: &Listed,
    b: MatRef<'_, S::T>,
    (c, sums): (&mut [S::T], &mut Sums<S::T>),
    first: bool,
) {
    let n = b.columns();
    let c = c.as_mut_ptr();
    let output = if first { Output::Set(c) } else { Output::Add(c) };
    let to = sums.start();
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut check = S::splat(S::T::ZERO);
        let mut j = 0;
        while j < n {
            let place = Place {
                a: values,
                a_strides: (listed.width, 1),
                b: b.data().as_ptr().add(j),
                b_stride: b.row_stride(),
                unpacked: std::ptr::null(),
                c: j,
                c_stride: n,
                columns: (n - j).min(2 * S::LANES),
                k: listed.count,
                list: listed.start,
                pixels,
                ahead: S::ROWS * listed.width,
            };
            let registers = place.columns.div_ceil(S::LANES);
            let settled = if registers == 1 {
                tile::<S, 1, FORM>(&place, &output, listed.rows, to, &mut check)
            } else {
                tile::<S, 2, FORM>(&place, &output, listed.rows, to, &mut check)
            };
            if !settled {
                settle::<S>(&place, &output, (listed.rows, registers), to, &mut check);
            }
            j += place.columns;
        }
    }
}

/// A tile of so many rows.
///
/// # Safety
/// As for [`Simd::tile`].
#[inline(always)]
unsafe fn tile<S: Simd, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    output: &Output<S::T>,
    rows: usize,
    to: *mut S::T,
    check: &mut S::V,
) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        match rows {
            1 => S::tile::<1, V, FORM>(place, output, to, check),
            2 => S::tile::<2, V, FORM>(place, output, to, check),
            3 => S::tile::<3, V, FORM>(place, output, to, check),
            4 => S::tile::<4, V, FORM>(place, output, to, check),
            5 if S::ROWS >= 5 => S::tile::<5, V, FORM>(place, output, to, check),
            6 if S::ROWS >= 6 => S::tile::<6, V, FORM>(place, output, to, check),
            7 if S::ROWS >= 7 => S::tile::<7, V, FORM>(place, output, to, check),
            _ if S::ROWS >= 8 => S::tile::<8, V, FORM>(place, output, to, check),
            _ => unreachable!("a tile has at most S::ROWS rows"),
        }
    }
}

#[cfg(test)]
#[path = "lit_tests.rs"]
mod tests;
