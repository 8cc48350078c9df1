//! Rows of which only what is not zero is listed: made once a fit, where most inputs are zero.
//!
//! Training takes rows in random order, and then half of its time goes into fetching them unless
//! they are small. An image of MNIST is 784 bytes, its list about 300. A list says all that there
//! is to say of pixels, so they are kept as lists only.

use super::Inputs;
use crate::error::Error;
use crate::kernels::foreign::{Bits, Foreign};
use crate::kernels::listing::{self, SLACK};
use crate::kernels::memory::{advise_huge, prefetch};
use crate::kernels::sparse::{LitPixel, LitRow, LitValue};
use crate::kernels::{Isa, Real, gemm::BLOCK};

/// So many numbers are looked at together, as most are 0.
const CHUNK: usize = 8;

/// How many rows are looked at to see whether lists would be short.
const SAMPLE: usize = 1000;

/// At most so much of the inputs' own memory lists may take: of pixels, whose place they take, and
/// of numbers, which stay beside them.
const MEMORY: (f64, f64) = (1.0, 0.45);

/// How many pixels' memory a listed one takes.
const ENTRY: f64 = 2.0;

/// So many entries are put together before they go to their place.
const TOGETHER: usize = 4096;

/// The lists of all rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Lists<T> {
    /// Of pixels.
    Pixels(Listed<LitPixel>),
    /// Of numbers, and their largest magnitude.
    Values(Listed<LitValue<T>>, T),
}

/// The entries of all rows, and where each row's blocks begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<E> {
    entries: Vec<E>,
    /// Block b of row i: the entries from `bounds[i * blocks + b]` to the next bound.
    bounds: Vec<u32>,
    blocks: usize,
    n_in: usize,
}

impl<E> Listed<E> {
    /// How many inputs the rows have together.
    fn inputs(&self) -> usize {
        (self.bounds.len() - 1) / self.blocks * self.n_in
    }

    /// How many entries a row has, roughly.
    #[must_use]
    pub fn mean(&self) -> usize {
        self.entries.len() * self.blocks / self.bounds.len()
    }

    /// What of a row is not zero.
    #[inline(always)]
    #[must_use]
    pub fn row(&self, row: usize) -> LitRow<'_, E> {
        let first = row * self.blocks;
        LitRow::new(&self.entries, &self.bounds[first..=first + self.blocks])
    }

    /// Asks for the bounds of a row that will be wanted soon.
    #[inline(always)]
    pub fn prefetch_bounds(&self, row: usize) {
        prefetch(&self.bounds[row * self.blocks..][..1]);
    }

    /// Asks for the entries of a row that will be wanted soon.
    #[inline(always)]
    pub fn prefetch_entries(&self, row: usize) {
        prefetch(self.row(row).entries());
    }
}

impl<T: Real> Inputs<T> {
    /// Keeps pixels (n, n_in): lists of what is not zero, where that takes less memory.
    ///
    /// They may change meanwhile: each is looked at once for what is kept.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of_pixels(isa: Isa, pixels: Foreign<'_, u8>, n_in: usize) -> Result<Self, Error> {
        let share = share(pixels, n_in);
        let lists =
            if share * ENTRY > MEMORY.0 { None } else { Lists::of_pixels(isa, pixels, n_in) };
        lists.map_or_else(|| pixels.to_vec().map(Self::Pixels), |lists| Ok(Self::Listed(lists)))
    }

    /// The share of inputs that are not zero; of what is not listed in rows spread over all.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, roughly")]
    pub fn lit_share(&self, n_in: usize) -> f64 {
        match self {
            Self::Pixels(pixels) => share::<u8>(pixels[..].into(), n_in),
            Self::Values(values) => share::<T>(values[..].into(), n_in),
            Self::Listed(lists) => {
                let (inputs, lit) = lists.counts();
                lit as f64 / inputs.max(1) as f64
            }
        }
    }
}

/// The share of values (n, n_in) that are not zero, in rows spread over all of them.
#[expect(clippy::cast_precision_loss, reason = "a share, roughly")]
fn share<V: Bits + Default + PartialEq>(values: Foreign<'_, V>, n_in: usize) -> f64 {
    let rows = values.len() / n_in.max(1);
    let (mut found, mut seen) = (0_usize, 0_usize);
    let mut block = [V::default(); BLOCK];
    for row in (0..rows).step_by(rows.div_ceil(SAMPLE).max(1)) {
        for first in (0..n_in).step_by(BLOCK) {
            let block = &mut block[..BLOCK.min(n_in - first)];
            values.copy(row * n_in + first, block);
            found += block.iter().filter(|&&x| x != V::default()).count();
        }
        seen += n_in;
    }
    if seen == 0 { 1.0 } else { found as f64 / seen as f64 }
}

impl<T: Real> Lists<T> {
    /// Lists of pixels (n, n_in), where they and their memory are small enough.
    #[must_use]
    pub fn of_pixels(isa: Isa, pixels: Foreign<'_, u8>, n_in: usize) -> Option<Self> {
        let block = |first, count, to: &mut [_]| listing::list(isa, pixels.part(first, count), to);
        let listed = list::<u8, _>(pixels.len(), n_in, MEMORY.0, block)?;
        Some(Self::Pixels(listed))
    }

    /// Lists of numbers (n, n_in), likewise.
    #[must_use]
    pub fn of_values(values: &[T], n_in: usize) -> Option<Self> {
        let block = |first, count, to: &mut [_]| scan(&values[first..first + count], to);
        let listed = list::<T, _>(values.len(), n_in, MEMORY.1, block)?;
        let larger = |m, lit: &LitValue<T>| if lit.value.abs() > m { lit.value.abs() } else { m };
        let largest = listed.entries.iter().fold(T::ZERO, larger);
        Some(Self::Values(listed, largest))
    }

    /// How many inputs the rows have together, and how many of them are listed.
    pub(super) fn counts(&self) -> (usize, usize) {
        match self {
            Self::Pixels(listed) => (listed.inputs(), listed.entries.len()),
            Self::Values(listed, _) => (listed.inputs(), listed.entries.len()),
        }
    }
}

/// Lists rows (n, n_in) by what lists a block, from a first value on so many, at the beginning of a
/// slice that is [`SLACK`] longer; nothing where that takes more than a share of their memory.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn list<V, E: Copy + Default>(
    values: usize,
    n_in: usize,
    share: f64,
    block: impl Fn(usize, usize, &mut [E]) -> usize,
) -> Option<Listed<E>> {
    let blocks = n_in.div_ceil(BLOCK);
    let count = (values / n_in).checked_mul(blocks)?.checked_add(1)?;
    let room = (values * size_of::<V>()) as f64 * share - (count * size_of::<u32>()) as f64;
    let most = (room / size_of::<E>() as f64).min(f64::from(u32::MAX)) as usize;
    let (mut entries, mut bounds) = (Vec::new(), Vec::new());
    entries.try_reserve_exact(most).ok()?;
    bounds.try_reserve_exact(count).ok()?;
    advise_huge(&mut entries);
    bounds.push(0);
    // What is found goes there by many at a time, as each time costs a call.
    let mut found = [E::default(); TOGETHER + BLOCK + SLACK];
    let mut n = 0;
    for row in (0..values / n_in).map(|row| row * n_in) {
        for at in (0..n_in).step_by(BLOCK) {
            n += block(row + at, BLOCK.min(n_in - at), &mut found[n..]);
            if n > most - entries.len() {
                return None;
            }
            bounds.push((entries.len() + n) as u32);
            if n >= TOGETHER {
                entries.extend_from_slice(&found[..n]);
                n = 0;
            }
        }
    }
    entries.extend_from_slice(&found[..n]);
    Some(Listed { entries, bounds, blocks, n_in })
}

/// Lists one block of numbers into `found`; returns how many there are.
#[expect(clippy::cast_possible_truncation, reason = "a block has 256 places")]
fn scan<T: Real>(block: &[T], found: &mut [LitValue<T>]) -> usize {
    let mut n = 0;
    let (chunks, rest) = block.as_chunks::<CHUNK>();
    let mut keep = |value, at: usize| {
        // Written in any case and kept only where it is lit: no branch to guess.
        found[n] = LitValue { value, at: at as u8 };
        n += usize::from(value != T::ZERO);
    };
    for (chunk, first) in chunks.iter().zip((0..).step_by(CHUNK)) {
        if *chunk != [T::ZERO; CHUNK] {
            for (i, &value) in chunk.iter().enumerate() {
                keep(value, first + i);
            }
        }
    }
    for (i, &value) in rest.iter().enumerate() {
        keep(value, chunks.len() * CHUNK + i);
    }
    n
}

#[cfg(test)]
mod tests {
    use super::{Inputs, Isa, Lists};

    /// Rows of 600 inputs, of which one in `every` is not zero.
    fn pixels(rows: usize, every: usize) -> Vec<u8> {
        let lit = (1..=255).cycle().enumerate().take(rows * 600);
        lit.map(|(i, pixel)| if i % every == 0 { pixel } else { 0 }).collect()
    }

    #[test]
    fn lists_hold_what_is_not_zero_in_order() {
        let dense = pixels(7, 11);
        let values: Vec<f64> = dense.iter().map(|&x| -f64::from(x)).collect();
        let Some(Lists::Pixels(listed)) =
            Lists::<f64>::of_pixels(Isa::detect(), dense[..].into(), 600)
        else {
            panic!("lists of pixels");
        };
        let Some(Lists::Values(numbers, largest)) = Lists::of_values(&values, 600) else {
            panic!("lists of numbers");
        };
        for row in 0..7 {
            let (mut found, mut numbers_found) = (vec![0; 600], vec![0.0; 600]);
            assert_eq!(listed.row(row).blocks(), 3);
            for b in 0..3 {
                for lit in listed.row(row).block(b) {
                    found[b * 256 + usize::from(lit.at)] = lit.pixel;
                }
                for lit in numbers.row(row).block(b) {
                    numbers_found[b * 256 + usize::from(lit.at)] = -lit.value;
                }
                assert!(listed.row(row).block(b).is_sorted_by(|a, b| a.at < b.at));
            }
            assert_eq!(found, dense[row * 600..(row + 1) * 600]);
            assert_eq!(numbers_found, found.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        }
        assert_eq!(largest, f64::from(*dense.iter().max().unwrap()));
    }

    #[test]
    fn long_lists_are_not_made() {
        let share = |every| Inputs::<f32>::Pixels(pixels(3000, every)).lit_share(600);
        assert!((share(10) - 0.1).abs() < 0.01 && (share(1) - 1.0).abs() < 0.01);
        for isa in Isa::available() {
            let made = |every| {
                let pixels = pixels(100, every);
                let kept = Inputs::<f32>::of_pixels(isa, pixels[..].into(), 600).unwrap();
                assert_eq!(kept.len(), pixels.len());
                let listed = matches!(kept, Inputs::Listed(_));
                assert!(listed || kept == Inputs::Pixels(pixels.clone()));
                assert_eq!(Lists::<f32>::of_pixels(isa, pixels[..].into(), 600).is_some(), listed);
                listed
            };
            assert!(made(3) && !made(2), "a third is 0.69 of the pixels' memory, a half 1.02");
        }
        assert!(Lists::<f32>::of_values(&[0.0; 600], 600).is_some());
        assert!(Lists::<f32>::of_values(&[1.0; 600], 600).is_none());
        assert_eq!(Inputs::<f32>::Values(vec![]).lit_share(600), 1.0);
    }
}
