//! A row of lit pixels, decoded: what a network sees of each, and where its weights lie.
//!
//! Lists are short, so that a row comes quickly from far away. But each entry is met twice, forward and in the
//! step, and each time its pixel is looked up in a table and its place turned into an address. So a row is decoded
//! some time before, many entries at once, while the processor waits for the sums of the row before. As the places
//! are then those among all inputs, the step is one loop and not one for each block, whose ends are hard to foresee.

// Reason: iterators are not always inlined into a function that is compiled for a wider instruction set.
#![allow(clippy::needless_range_loop)]

use super::Real;
use super::gemm::BLOCK;
use super::lines::{LINE, Line, Lines, Wide, Work};
use super::memory::zeros;
use super::rows::Descent;
use super::simd::Simd;
use super::sparse::{LitPixel, LitRow};
use crate::error::Error;

/// Rows have so many blocks at most, as each entry is compared with the beginnings of all.
const BLOCKS: usize = 4;

/// So many are summed up side by side: all but the last where there are four, which of an image is its lowest rows
/// and mostly empty.
const TOGETHER: usize = 3;

/// Whether it pays to decode rows: where a line is one register. Elsewhere steps wait for more than the ends of
/// loops, and decoding takes longer.
#[inline(always)]
#[must_use]
pub fn pays<S: Lines>() -> bool {
    #[cfg(test)]
    if super::testing::DECODES.get().everywhere {
        return true;
    }
    S::Simd::LANES == LINE
}

/// How far the weights of an input lie behind those of the input before, in bytes.
#[expect(clippy::cast_possible_truncation, reason = "looked at")]
const fn stride<T>() -> u32 {
    assert!(BLOCKS * BLOCK * size_of::<Line<T>>() <= u32::MAX as usize);
    size_of::<Line<T>>() as u32
}

/// A row, for weights of one line an input.
///
/// Of the entries before the end, which is the last of `bounds`, each offset is a whole number of lines below
/// `blocks * BLOCK`. What stands behind is of no meaning.
#[derive(Clone, Debug)]
pub struct DecodedRow<T> {
    values: Vec<T>,
    /// Where their weights begin, in bytes.
    offsets: Vec<u32>,
    /// Where each block begins among them, ascending; those that there are not, at the end.
    bounds: [u32; BLOCKS + 1],
    blocks: usize,
}

impl<T: Real> DecodedRow<T> {
    /// For rows of so many inputs; nothing where they are too many.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(inputs: usize) -> Result<Option<Self>, Error> {
        let (blocks, room) = (inputs.div_ceil(BLOCK), inputs.next_multiple_of(LINE));
        if blocks > BLOCKS {
            return Ok(None);
        }
        let (values, offsets) = (zeros(room)?, zeros(room)?);
        Ok(Some(Self { values, offsets, bounds: [0; BLOCKS + 1], blocks }))
    }

    /// The entries of a block.
    #[inline(always)]
    fn block(&self, b: usize) -> Entries<'_, T> {
        let at = self.bounds[b] as usize..self.bounds[b + 1] as usize;
        Entries { values: &self.values[at.clone()], offsets: &self.offsets[at] }
    }

    /// x W by rule 1: W (256 a block, lines of one).
    ///
    /// # Panics
    /// Where there are fewer weights than 256 a block.
    #[inline(always)]
    #[must_use]
    pub fn product<S: Lines<T = T>>(&self, s: S, w: &[Line<T>]) -> Wide<S> {
        assert!(w.len() >= self.blocks * BLOCK, "the weights of all blocks");
        let zero = Wide::splat(s, T::ZERO);
        let mut chains = [zero; BLOCKS];
        let blocks: [_; BLOCKS] = std::array::from_fn(|b| self.block(b));
        let lengths = blocks[..TOGETHER].iter().map(|block| block.values.len());
        let together = lengths.fold(usize::MAX, usize::min);
        for k in 0..together {
            for b in 0..TOGETHER {
                // SAFETY: k is below the length of each, and w has `blocks * BLOCK` lines.
                chains[b] = unsafe { blocks[b].follow(s, k, w, chains[b]) };
            }
        }
        let mut sum = zero;
        for b in 0..BLOCKS {
            let mut k = if b < TOGETHER { together } else { 0 };
            while k < blocks[b].values.len() {
                // SAFETY: likewise.
                chains[b] = unsafe { blocks[b].follow(s, k, w, chains[b]) };
                k = unforeseen(k + 1);
            }
            // A block that there is not adds +0.0 to what is not -0.0.
            sum = sum.add(chains[b]);
        }
        sum
    }

    /// One step without l2 and momentum for the weights that the row meets; no delta is tiny. As
    /// [`step`](super::sparse::step).
    ///
    /// # Panics
    /// Where there are fewer weights than 256 a block.
    #[inline(always)]
    pub fn step<S: Lines<T = T>>(&self, s: S, r: &Line<T>, w: &mut [Line<T>], by: Descent<T>) {
        assert!(w.len() >= self.blocks * BLOCK, "the weights of all blocks");
        let r = Wide::load(s, r).add(Wide::splat(s, T::ZERO));
        let n = self.bounds[BLOCKS] as usize;
        for (&value, &offset) in self.values[..n].iter().zip(&self.offsets[..n]) {
            // SAFETY: an entry before the end, and w has `blocks * BLOCK` lines.
            let w = unsafe { &mut *w.as_mut_ptr().byte_add(offset as usize) };
            // The gradient: to add a product to +0.0 changes nothing unless it is -0.0.
            let g = r.mul(Wide::splat(s, value));
            by.down(s, g, Wide::load(s, w)).store(w);
        }
    }
}

/// Some of a row's entries: two slices of one length.
#[derive(Clone, Copy)]
struct Entries<'a, T> {
    values: &'a [T],
    offsets: &'a [u32],
}

impl<T: Real> Entries<'_, T> {
    /// A chain, with the next product.
    ///
    /// # Safety
    /// There are more than k entries, all before the row's end, and w has its `blocks * BLOCK` lines.
    #[inline(always)]
    unsafe fn follow<S: Lines<T = T>>(
        self,
        s: S,
        k: usize,
        w: &[Line<T>],
        chain: Wide<S>,
    ) -> Wide<S> {
        // SAFETY: the caller's word; so both below.
        let (x, offset) =
            unsafe { (*self.values.get_unchecked(k), *self.offsets.get_unchecked(k)) };
        let w = unsafe { &*w.as_ptr().byte_add(offset as usize) };
        Wide::splat(s, x).mul_add(Wide::load(s, w), chain)
    }
}

/// The same number, of which the compiler knows nothing, so that a loop stays as it is written. Else it would cut a
/// short one into two, by fours and by ones, which is another end that cannot be foreseen; or take entries from many
/// turns together where those of one turn fill a register. (For x86-64; elsewhere the compiler has its way.)
#[inline(always)]
fn unforeseen(k: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    let k = {
        let mut same = k;
        // SAFETY: there is no instruction, and the register keeps its value.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags));
        }
        same
    };
    k
}

/// Decodes a row.
pub struct Decode<'a, T> {
    /// What of it is not zero.
    pub row: LitRow<'a, LitPixel>,
    /// Where it goes; it has as many blocks.
    pub to: &'a mut DecodedRow<T>,
}

impl<T: Real> Work<T> for Decode<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, _: S) {
        let Self { row, to } = self;
        assert!(row.blocks() == to.blocks, "a row of this many inputs");
        let bounds = row.bounds_from_0();
        assert!(bounds.is_sorted(), "blocks one behind the other");
        // Should anything below fail, the row is empty.
        to.bounds = [0; BLOCKS + 1];
        let count = row.entries().len().div_ceil(LINE);
        // What is listed behind the row is decoded with it: a loop over what is left would take longer.
        let (whole, rest) = row.and_behind().as_chunks::<LINE>();
        let values = &mut to.values.as_chunks_mut::<LINE>().0[..count];
        let offsets = &mut to.offsets.as_chunks_mut::<LINE>().0[..count];
        let mut k = 0;
        while k < count.min(whole.len()) {
            decode(&whole[k], k * LINE, &bounds, &mut values[k], &mut offsets[k]);
            k = unforeseen(k + 1);
        }
        if count > whole.len() {
            // The end of all lists.
            let mut last = [LitPixel::default(); LINE];
            last[..rest.len()].copy_from_slice(rest);
            decode(&last, k * LINE, &bounds, &mut values[k], &mut offsets[k]);
        }
        // Every entry before the end was decoded, and as blocks that there are not begin at the end, each was found
        // in one that there is.
        to.bounds = bounds;
        #[cfg(test)]
        super::testing::DECODES.with(|decodes| decodes.update(super::testing::Decodes::one_more));
    }
}

/// Decodes entries of which the first has the place `at` in its row.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a row has 1,024 places")]
#[expect(clippy::cast_possible_wrap, reason = "likewise")]
fn decode<T: Real>(
    entries: &[LitPixel; LINE],
    at: usize,
    bounds: &[u32; BLOCKS + 1],
    values: &mut [T; LINE],
    offsets: &mut [u32; LINE],
) {
    let mut words = [0; LINE];
    for i in 0..LINE {
        words[i] = i32::from(u16::from_le_bytes([entries[i].at, entries[i].pixel]));
    }
    for i in 0..LINE {
        values[i] = T::quotient(words[i] >> 8);
    }
    for i in 0..LINE {
        let mut first = 0;
        for b in 1..BLOCKS {
            if (at + i) as i32 >= bounds[b] as i32 {
                first += BLOCK as u32 * stride::<T>();
            }
        }
        offsets[i] = first + (words[i].cast_unsigned() & 255) * stride::<T>();
    }
}

#[cfg(test)]
#[path = "decoded_tests.rs"]
mod tests;
