//! Products of rows that are mostly 0, such as pictures: a tile of rows leaves out those columns
//! that are 0 in all of them. That is exact by rule 8 of `docs/exactness.md`.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;
use std::ptr::null;

use super::super::Real;
use super::super::foreign::Source;
use super::super::memory;
use super::super::simd::{Simd, simd_kernel};
use super::list::List;
use super::pack::height;
use super::packed::Packed;
use super::panel::Sums;
use super::settle::settle;
use super::tile::{NextRows, Output, Place, form};
use super::way::{Changed, Share};
use super::{BLOCK, Isa};
use crate::matrix::MatRef;

/// So many rows meet a block of B before they meet the next one: of some 30 outputs or fewer it stays in
/// the first cache meanwhile.
const TURN: usize = 64;

/// C = A B: A (m, k), B (k, n), C (m, n), the rows of each following each other. `packed` is a copy of B
/// as it is now; one of another shape, or for another instruction set, is passed over. Others may write
/// to A meanwhile: each sum is one of elements that stood there.
///
/// # Panics
/// Where the sizes do not belong together.
pub fn product_lit<T: Real>(
    isa: Isa,
    a: Source<'_, T>,
    b: MatRef<'_, T>,
    packed: Option<&Packed<T>>,
    c: &mut [T],
) {
    let (k, n) = (b.rows(), b.columns());
    assert!(k > 0 && n > 0 && b.column_stride() == 1, "rows of weights");
    assert!(c.len().is_multiple_of(n) && a.len() == c.len() / n * k, "a row of C for a row of A");
    let packed = packed.filter(|packed| packed.is_for(isa, b));
    let to_first = memory::is_first_cache_roomy();
    for (turn, c) in c.chunks_mut(TURN * n).enumerate() {
        let rows = turn * TURN..turn * TURN + c.len() / n;
        for first in (0..k).step_by(BLOCK) {
            let inputs = first..k.min(first + BLOCK);
            run(isa, &Block { a, b, packed, rows: rows.clone(), inputs, to_first }, c);
        }
    }
}

/// One block of rule 1 for some rows.
struct Block<'a, T> {
    a: Source<'a, T>,
    b: MatRef<'a, T>,
    packed: Option<&'a Packed<T>>,
    rows: Range<usize>,
    inputs: Range<usize>,
    /// Whether what comes next is fetched to the first cache.
    to_first: bool,
}

impl<T: Real> Block<'_, T> {
    /// What is looked at before row `i` of A is taken, or, behind the last row, when the block is done:
    /// from which element on, and how many of each row.
    fn next(&self, i: usize) -> Option<(usize, usize)> {
        let k = self.b.rows();
        if i < self.rows.end {
            Some((i * k + self.inputs.start, self.inputs.len()))
        } else if self.inputs.end < k {
            let end = self.inputs.end;
            Some((self.rows.start * k + end, BLOCK.min(k - end)))
        } else {
            (i * k < self.a.len()).then_some((i * k, BLOCK.min(k)))
        }
    }

    /// The same as it is fetched.
    fn next_of(&self, a: *const T, i: usize) -> NextRows {
        self.next(i).map_or(NextRows::NONE, |(at, inputs)| NextRows {
            start: a.wrapping_add(at).cast(),
            stride: self.b.rows() * size_of::<T>(),
            lines: (inputs * size_of::<T>()).div_ceil(memory::LINE_BYTES),
            to_first: self.to_first,
        })
    }

    /// B from a column on, and how far apart its rows are there: of a copy, in the panel of so many
    /// elements a row that begins at the column.
    fn weights(&self, column: usize, width: usize) -> (*const T, usize) {
        let Range { start, end } = self.inputs;
        if let Some(packed) = self.packed {
            return (packed.panels(start, end - start, column).as_ptr(), width);
        }
        let b = self.b.rows_from(start, end - start);
        (b.data()[column..].as_ptr(), b.row_stride())
    }
}

simd_kernel! {
    /// Takes the rows, whose C this is, through the block, tile by tile.
    fn run<T, S>(block: &Block<'_, T>, c: &mut [T]) {
        let (k, n) = (block.b.rows(), block.b.columns());
        let (mut list, mut sums) = (List::new(), Sums::new());
        let (m, mut i) = (block.rows.len(), 0);
        while i < m {
            let rows = height(m - i, S::ROWS);
            let c = (&mut c[i * n..(i + rows) * n], &mut sums);
            let (from, behind) = ((block.rows.start + i) * k, block.rows.start + i + rows);
            let at = from + block.inputs.start;
            // SAFETY: `simd_kernel` has compiled this for S; `product_lit` has looked at the sizes.
            unsafe {
                let count = list.fill::<S>(block.a, from, (rows, k), block.inputs.clone());
                let tile = Tile { list: &list, count, rows };
                match block.a {
                    Source::Values(a) => {
                        let next = block.next_of(a.start(), behind);
                        let a = (a.start().add(at), null());
                        tile.product::<S, { form::LISTED }>(a, next, block, c);
                    }
                    Source::Pixels(a) => {
                        let a = (null(), a.start().add(at)); // `list.rs` fetches the next ones
                        tile.product::<S, { form::PIXELS }>(a, NextRows::NONE, block, c);
                    }
                }
            }
            i += rows;
        }
    }
}

/// A tile of rows of A, and how many columns of the block are listed.
struct Tile<'a> {
    list: &'a List,
    count: usize,
    rows: usize,
}

impl Tile<'_> {
    /// Its sums of the block go to C (rows, n).
    ///
    /// # Safety
    /// As for [`Simd`]. The list is of the block's columns; C has the rows and columns; and with
    /// [`form::LISTED`] there are values, with [`form::PIXELS`] pixels, of as many rows of A from the
    /// block's first input on.
    #[inline(always)]
    unsafe fn product<S: Simd, const FORM: u8>(
        &self,
        (values, pixels): (*const S::T, *const u8),
        next: NextRows,
        block: &Block<'_, S::T>,
        (c, sums): (&mut [S::T], &mut Sums<S::T>),
    ) {
        let (k, n) = (block.b.rows(), block.b.columns());
        let c = c.as_mut_ptr();
        let output = if block.inputs.start == 0 { Output::Set(c) } else { Output::Add(c) };
        let to = sums.start();
        // SAFETY: the caller's word; so in the whole body.
        unsafe {
            let mut check = S::splat(S::T::ZERO);
            let mut j = 0;
            while j < n {
                let columns = (n - j).min(2 * S::LANES);
                let registers = columns.div_ceil(S::LANES);
                let (b, b_stride) = block.weights(j, registers * S::LANES);
                let place = Place {
                    a: values,
                    a_strides: (k, 1),
                    b,
                    b_stride,
                    unpacked: null(),
                    c: j,
                    c_stride: n,
                    columns,
                    k: self.count,
                    run: 1,
                    list: self.list.start(),
                    pixels,
                    next: if j == 0 { next } else { NextRows::NONE },
                    share: Share::NONE,
                    changed: Changed::NONE,
                };
                let settled = if registers == 1 {
                    tile::<S, 1, FORM>(&place, &output, self.rows, to, &mut check)
                } else {
                    tile::<S, 2, FORM>(&place, &output, self.rows, to, &mut check)
                };
                if !settled {
                    settle::<S>(&place, &output, (self.rows, registers), to, &mut check);
                }
                j += columns;
            }
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
