//! Rows that are mostly 0 on their way into a product: those columns of a tile that are not 0 in
//! every row are listed.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::super::Real;
use super::super::foreign::Source;
use super::super::memory;
use super::super::simd::Simd;
use super::BLOCK;

/// So many columns are looked at together.
pub(super) const COLUMNS: usize = 64;

/// Columns of a block, a byte each, and room for what is written behind them.
pub(in crate::kernels) struct List([u8; BLOCK + COLUMNS]);

impl List {
    #[inline(always)]
    pub(in crate::kernels) const fn new() -> Self {
        Self([0; BLOCK + COLUMNS])
    }

    /// One of the columns.
    #[inline(always)]
    pub(in crate::kernels) fn place(&self, i: usize) -> usize {
        self.0[i].into()
    }

    /// The columns, in order.
    #[inline(always)]
    pub(super) fn start(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Lists those of a block's columns that are not 0 in every one of so many rows of `x`, which
    /// follow each other from the element `at` on. Returns how many are listed.
    ///
    /// # Safety
    /// As for [`Simd`].
    ///
    /// # Panics
    /// Where there are too many columns, or the rows are not there.
    #[inline(always)]
    pub(in crate::kernels) unsafe fn fill<S: Simd>(
        &mut self,
        x: Source<'_, S::T>,
        at: usize,
        (rows, width): (usize, usize),
        block: Range<usize>,
    ) -> usize {
        assert!(block.len() <= BLOCK && block.end <= width && at + rows * width <= x.len());
        // SAFETY: the caller's word, and what was just looked at. The loop over a whole tile's rows
        // is unrolled only where their number is written down.
        unsafe {
            if rows == S::ROWS {
                self.look::<S>(x, at, (S::ROWS, width), block)
            } else {
                self.look::<S>(x, at, (rows, width), block)
            }
        }
    }

    /// As [`List::fill`].
    ///
    /// # Safety
    /// As for [`Simd`]; the rows are there, and of their columns the block, no more than a block.
    #[inline(always)]
    unsafe fn look<S: Simd>(
        &mut self,
        x: Source<'_, S::T>,
        at: usize,
        rows: (usize, usize),
        block: Range<usize>,
    ) -> usize {
        let mut count = 0;
        for first in block.clone().step_by(COLUMNS) {
            let end = block.end.min(first + COLUMNS);
            let lit = if end < COLUMNS {
                narrow(x, at + first, rows, end - first)
            } else {
                // The last few columns are looked at together with those before them.
                let at = at + end - COLUMNS;
                // SAFETY: the caller's word; as many columns end there.
                let lit = unsafe {
                    match x {
                        Source::Values(x) => values::<S>(x.start().add(at), rows),
                        Source::Pixels(x) => {
                            // Else the look at the next rows would wait; for values `tile.rs` asks.
                            for r in rows.0..2 * rows.0 {
                                memory::fetch_to_second(
                                    x.start().wrapping_add(at + r * rows.1).cast(),
                                );
                            }
                            S::lit_pixels(x.start().add(at), rows.0, rows.1)
                        }
                    }
                };
                lit >> (COLUMNS - (end - first))
            };
            // SAFETY: the caller's word; there are at most as many places as columns before, so below
            // a block, and room for as many behind them.
            unsafe { S::places(lit, first - block.start, self.0.as_mut_ptr().add(count)) };
            count += lit.count_ones() as usize;
        }
        count
    }
}

/// A bit for each of [`COLUMNS`] columns that is not 0 in one row at least; the rows are `width` apart.
///
/// # Safety
/// As for [`Simd`]; the rows are there.
#[inline(always)]
unsafe fn values<S: Simd>(start: *const S::T, (rows, width): (usize, usize)) -> u64 {
    const { assert!(COLUMNS.is_multiple_of(4 * S::LANES)) };
    let mut mask = 0;
    for first in (0..COLUMNS).step_by(4 * S::LANES) {
        // SAFETY: the caller's word.
        unsafe {
            let mut met = S::load_foreign(start.add(first));
            for r in 1..rows {
                let values = S::load_foreign(start.add(r * width + first));
                for i in 0..4 {
                    met[i] = S::or(met[i], values[i]);
                }
            }
            for i in 0..4 {
                mask |= u64::from(S::nonzero(met[i])) << (first + i * S::LANES);
            }
        }
    }
    mask
}

/// The same of columns that are fewer.
// A call, as it is rare.
#[inline(never)]
fn narrow<T: Real>(
    x: Source<'_, T>,
    at: usize,
    (rows, width): (usize, usize),
    columns: usize,
) -> u64 {
    let mut mask = 0;
    for r in 0..rows {
        for i in 0..columns {
            let at = at + r * width + i;
            let lit = match x {
                Source::Values(x) => x.element(at) != T::ZERO,
                Source::Pixels(x) => x.element(at) != 0,
            };
            mask |= u64::from(lit) << i;
        }
    }
    mask
}

/// As [`Simd::places`], of which it has eight at a time from a table.
///
/// # Safety
/// As there.
#[inline(always)]
pub(in crate::kernels) unsafe fn places(mut set: u64, first: usize, mut to: *mut u8) {
    let mut first = (first as u64).wrapping_mul(0x0101_0101_0101_0101);
    for _ in 0..COLUMNS / 8 {
        let eight = PLACES[(set & 255) as usize].wrapping_add(first);
        // SAFETY: the caller's word. Of the eight the next overwrite those that are none.
        unsafe {
            to.cast::<[u8; 8]>().write(eight.to_le_bytes());
            to = to.add((set & 255).count_ones() as usize);
        }
        set >>= 8;
        first = first.wrapping_add(0x0808_0808_0808_0808);
    }
}

/// For each byte the places of its bits that are set, a byte each.
static PLACES: [u64; 256] = {
    let mut places = [0; 256];
    let mut set = 0;
    while set < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if set >> bit & 1 == 1 {
                places[set] |= bit << (8 * count);
                count += 1;
            }
            bit += 1;
        }
        set += 1;
    }
    places
};
