//! Rows of which only what is not zero is listed: made once a fit, where most inputs are zero.
//!
//! Training takes rows in random order, and then half of its time goes into fetching them unless
//! they are small. An image of MNIST is 784 bytes, its list about 300.

use super::Inputs;
use crate::kernels::memory::{advise_huge, prefetch};
use crate::kernels::sparse::{LitPixel, LitRow, LitValue};
use crate::kernels::{Real, gemm::BLOCK};

/// So many inputs are looked at together, as most are 0.
const CHUNK: usize = 8;

/// How many rows are looked at to see whether lists would be short.
const SAMPLE: usize = 1000;

/// At most so much of the inputs' own memory lists may take.
const MEMORY: f64 = 0.45;

/// The lists of all rows.
#[derive(Clone, Debug)]
pub enum Lists<T> {
    /// Of pixels.
    Pixels(Listed<LitPixel>),
    /// Of numbers, and their largest magnitude.
    Values(Listed<LitValue<T>>, T),
}

/// The entries of all rows, and where each row's blocks begin.
#[derive(Clone, Debug)]
pub struct Listed<E> {
    entries: Vec<E>,
    /// Block b of row i: the entries from `bounds[i * blocks + b]` to the next bound.
    bounds: Vec<u32>,
    blocks: usize,
}

impl<E> Listed<E> {
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
    /// The share of inputs that are not zero, in rows spread over all of them.
    #[must_use]
    pub fn lit_share(&self, n_in: usize) -> f64 {
        let rows = self.len() / n_in.max(1);
        let (mut lit, mut seen) = (0_usize, 0_usize);
        for row in (0..rows).step_by(rows.div_ceil(SAMPLE).max(1)) {
            let at = row * n_in..(row + 1) * n_in;
            lit += match self {
                Self::Pixels(pixels) => pixels[at].iter().filter(|&&x| x != 0).count(),
                Self::Values(values) => values[at].iter().filter(|&&x| x != T::ZERO).count(),
            };
            seen += n_in;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share, roughly")]
        if seen == 0 { 1.0 } else { lit as f64 / seen as f64 }
    }

    /// Lists of the rows, where they and their memory are small enough.
    #[must_use]
    pub fn lists(&self, n_in: usize) -> Option<Lists<T>> {
        match self {
            Self::Pixels(pixels) => {
                let entry = |at, pixel| LitPixel { at, pixel };
                Some(Lists::Pixels(list(
                    pixels,
                    n_in,
                    |x| x != 0,
                    |chunk| *chunk == [0; 8],
                    entry,
                )?))
            }
            Self::Values(values) => {
                let entry = |at, value| LitValue { value, at };
                let listed = {
                    let dark = |chunk: &[T; 8]| *chunk == [T::ZERO; 8];
                    list(values, n_in, |x| x != T::ZERO, dark, entry)?
                };
                let larger =
                    |m, lit: &LitValue<T>| if lit.value.abs() > m { lit.value.abs() } else { m };
                let largest = listed.entries.iter().fold(T::ZERO, larger);
                Some(Lists::Values(listed, largest))
            }
        }
    }
}

/// Lists what is `lit` of rows (n, n_in), or nothing where that gets too long.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn list<V: Copy, E: Copy + Default>(
    values: &[V],
    n_in: usize,
    lit: impl Fn(V) -> bool,
    dark: impl Fn(&[V; CHUNK]) -> bool,
    entry: impl Fn(u8, V) -> E,
) -> Option<Listed<E>> {
    let blocks = n_in.div_ceil(BLOCK);
    let count = (values.len() / n_in).checked_mul(blocks)?.checked_add(1)?;
    let room = size_of_val(values) as f64 * MEMORY - (count * size_of::<u32>()) as f64;
    let most = (room / size_of::<E>() as f64).min(f64::from(u32::MAX)) as usize;
    let (mut entries, mut bounds) = (Vec::new(), Vec::new());
    entries.try_reserve_exact(most).ok()?;
    bounds.try_reserve_exact(count).ok()?;
    advise_huge(&mut entries);
    bounds.push(0);
    let mut found = [E::default(); BLOCK];
    for row in values.chunks_exact(n_in) {
        for block in row.chunks(BLOCK) {
            let n = scan(block, &lit, &dark, &entry, &mut found);
            if entries.len() + n > most {
                return None;
            }
            entries.extend_from_slice(&found[..n]);
            bounds.push(entries.len() as u32);
        }
    }
    Some(Listed { entries, bounds, blocks })
}

/// Lists one block into `found`; returns how many there are.
#[expect(clippy::cast_possible_truncation, reason = "a block has 256 places")]
fn scan<V: Copy, E>(
    block: &[V],
    lit: &impl Fn(V) -> bool,
    dark: &impl Fn(&[V; CHUNK]) -> bool,
    entry: &impl Fn(u8, V) -> E,
    found: &mut [E; BLOCK],
) -> usize {
    let mut n = 0;
    let (chunks, rest) = block.as_chunks::<CHUNK>();
    let mut keep = |value, at: usize| {
        // Written in any case and kept only where it is lit: no branch to guess.
        found[n % BLOCK] = entry(at as u8, value);
        n += usize::from(lit(value));
    };
    for (chunk, first) in chunks.iter().zip((0..).step_by(CHUNK)) {
        if !dark(chunk) {
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
    use super::{Inputs, Lists};

    /// Rows of 600 inputs, of which one in `every` is not zero.
    fn pixels(rows: usize, every: usize) -> Vec<u8> {
        let lit = (1..=255).cycle().enumerate().take(rows * 600);
        lit.map(|(i, pixel)| if i % every == 0 { pixel } else { 0 }).collect()
    }

    #[test]
    fn lists_hold_what_is_not_zero_in_order() {
        let dense = pixels(7, 11);
        let values: Vec<f64> = dense.iter().map(|&x| -f64::from(x)).collect();
        let Some(Lists::Pixels(listed)) = Inputs::<f64>::Pixels(dense.clone()).lists(600) else {
            panic!("lists of pixels");
        };
        let Some(Lists::Values(numbers, largest)) = Inputs::Values(values).lists(600) else {
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
        let made = |every| Inputs::<f32>::Pixels(pixels(100, every)).lists(600).is_some();
        assert!(made(5) && !made(4), "a fifth is 0.42 of the pixels' memory, a quarter 0.52");
        assert!(Inputs::<f32>::Values(vec![0.0; 600]).lists(600).is_some());
        assert!(Inputs::<f32>::Values(vec![1.0; 600]).lists(600).is_none());
        assert_eq!(Inputs::<f32>::Values(vec![]).lit_share(600), 1.0);
    }
}
