//! Products and steps that leave zeros out, judged by the oracle, which multiplies them.

use super::{BLOCK, Lit, LitPixel, LitRow, LitValue, clear, product, scatter, step};
use crate::kernels::lines::{LINE, Line, flat};
use crate::kernels::rows::Descent;
use crate::kernels::testing::{assert_bits, extreme, in_lines, mild, quotients, work};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;
use crate::rng::Words;

work! {
    Product<'a, T, E> {
        x: LitRow<'a, E>, w: &'a [Line<T>], z: &'a mut [Line<T>],
    }
    product, ()
}
work! {
    Step<'a, T, E> {
        x: (LitRow<'a, E>, T),
        r: &'a [Line<T>],
        w: &'a mut [Line<T>],
        by: Descent<T>,
    }
    step, ()
}

/// What of a row (256 a block,) is not zero, and where each block begins.
struct Listed<E> {
    entries: Vec<E>,
    bounds: Vec<u32>,
}

impl<E> Listed<E> {
    fn new<V: Copy>(row: &[V], lit: impl Fn(V) -> bool, entry: impl Fn(u8, V) -> E) -> Self {
        // The lists of other rows stand before: bounds do not begin at 0.
        let (mut entries, mut bounds) = (vec![entry(7, row[0])], vec![1]);
        for block in row.chunks_exact(BLOCK) {
            for (at, &value) in (0..=255).zip(block) {
                if lit(value) {
                    entries.push(entry(at, value));
                }
            }
            bounds.push(u32::try_from(entries.len()).unwrap());
        }
        Self { entries, bounds }
    }

    fn row(&self) -> LitRow<'_, E> {
        LitRow::new(&self.entries, &self.bounds)
    }
}

/// A row of pixels (256 a block,): in each block of its own share lit, in some none or all.
fn pixels(blocks: usize, seed: u64) -> Vec<u8> {
    let share = |b: usize| [40, 0, 255, 3, 100][(b + usize::try_from(seed).unwrap()) % 5];
    let words = Words::new(seed, 97, 0).take(blocks * BLOCK).map(u64::to_le_bytes).enumerate();
    words.map(|(i, [x, chance, ..])| if chance <= share(i / BLOCK) { x } else { 0 }).collect()
}

/// The seed of deltas.
const DELTAS: u64 = 3;

/// The row, the same as it is listed, and what it is listed of.
fn check<T: Real, E: Lit<T>>(draw: fn(u64, usize) -> Vec<T>, x: &[T], lit: LitRow<'_, E>) {
    let k = x.len();
    assert_eq!(lit.blocks() * BLOCK, k);
    let largest = x.iter().fold(T::ZERO, |most, x| if x.abs() > most { x.abs() } else { most });
    let mut all = vec![T::ZERO; k];
    scatter(lit, &mut all);
    assert_bits(&all, x, "scattered");
    clear(lit, &mut all);
    assert_bits(&all, &vec![T::ZERO; k], "cleared");
    for lines in 1..=6 {
        let n = lines * LINE;
        let (w, r) = (draw(2, k * n), draw(DELTAS, n));
        let z = oracle::product(MatRef::new(x, 1, k), MatRef::new(&w, k, n));
        let g = oracle::product(MatRef::new(x, k, 1), MatRef::new(&r, 1, n));
        let [rate, zero] = [0.3, 0.0].map(T::from_f64);
        let by = Descent { rate, momentum: zero, l2: zero };
        // Where r is not finite, zeros do matter: that is known before a step is taken.
        let moved =
            w.iter().zip(&g).map(|(&w, &g)| oracle::descend(w, zero, g, rate, zero, zero).0);
        let moved: Vec<T> = moved.collect();
        for isa in Isa::available() {
            let what = format!("{} {k} {lines}", isa.name());
            let (mut w, mut found) = (in_lines(&w), in_lines(&draw(4, n)));
            isa.run(Product { x: lit, w: &w, z: &mut found });
            assert_bits(flat(&found), &z, &what);
            isa.run(Step { x: (lit, largest), r: &in_lines(&r), w: &mut w, by });
            assert_bits(flat(&w), &moved, &what);
        }
    }
}

fn check_pixels<T: Real>(draw: fn(u64, usize) -> Vec<T>, blocks: usize, seed: u64) {
    let pixels = pixels(blocks, seed);
    let listed = Listed::new(&pixels, |x| x != 0, |at, pixel| LitPixel { at, pixel });
    check(draw, &quotients::<T>(&pixels), listed.row());
}

fn check_values<T: Real>(draw: fn(u64, usize) -> Vec<T>, blocks: usize, seed: u64) {
    let lit = pixels(blocks, seed);
    let numbers = draw(seed + 1, lit.len());
    let x: Vec<T> =
        numbers.into_iter().zip(lit).map(|(x, lit)| if lit == 0 { T::ZERO } else { x }).collect();
    // Zeros that are drawn are left out, whatever their sign.
    let listed = Listed::new(&x, |x| x != T::ZERO, |at, value| LitValue { value, at });
    let x: Vec<T> = x.iter().map(|&x| if x == T::ZERO { T::ZERO } else { x }).collect();
    check(draw, &x, listed.row());
}

/// Weights of -0.0 meet deltas whose products with small pixels are too small for any number, which
/// makes them -0.0, and would make the weights +0.0.
fn vanishing<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let least = -T::from_f64(if size_of::<T>() == 4 { 1.5e-45 } else { 5e-324 });
    (seed..).take(n).map(|i| if i % 2 == 0 { -T::ZERO } else { least }).collect()
}

/// Numbers of all magnitudes, from 1 down to 0, of either sign.
fn fading<T: Real>(seed: u64, n: usize) -> Vec<T> {
    // Each a fifth of the last, so that both types come to an end of their subnormal numbers.
    let scales = [-0.0, 0.0, 1.0].into_iter().chain((0..470).map(|i| 0.2_f64.powi(i)));
    mild(seed, n)
        .into_iter()
        .zip(scales.cycle())
        .map(|(x, by): (T, _)| x * T::from_f64(by))
        .collect()
}

/// Weights as they are, and deltas as those of saturated units: no weight is moved by the tiny ones.
fn saturated<T: Real>(seed: u64, n: usize) -> Vec<T> {
    if seed == DELTAS { fading(seed, n) } else { mild(seed, n) }
}

#[test]
fn products_and_steps_of_pixels() {
    for blocks in 1..=7 {
        for seed in 0..2 {
            check_pixels::<f32>(mild, blocks, seed);
            check_pixels::<f32>(extreme, blocks, seed);
            check_pixels::<f32>(fading, blocks, seed);
            check_pixels::<f32>(saturated, blocks, seed);
            check_pixels::<f64>(mild, blocks, seed);
            check_pixels::<f64>(extreme, blocks, seed);
            check_pixels::<f64>(fading, blocks, seed);
            check_pixels::<f64>(saturated, blocks, seed);
            check_pixels::<f32>(vanishing, blocks, seed);
            check_pixels::<f64>(vanishing, blocks, seed);
        }
    }
}

#[test]
fn products_and_steps_of_numbers() {
    for blocks in 1..=7 {
        for seed in 0..2 {
            check_values::<f32>(mild, blocks, seed);
            check_values::<f32>(extreme, blocks, seed);
            check_values::<f32>(fading, blocks, seed);
            check_values::<f32>(saturated, blocks, seed);
            check_values::<f64>(mild, blocks, seed);
            check_values::<f64>(extreme, blocks, seed);
            check_values::<f64>(fading, blocks, seed);
            check_values::<f64>(saturated, blocks, seed);
        }
    }
}

#[test]
#[should_panic(expected = "out of range")]
fn fewer_weights_than_blocks_are_refused() {
    let listed = Listed::new(&[1_u8; BLOCK], |x| x != 0, |at, pixel| LitPixel { at, pixel });
    let mut w = vec![Line::<f32>::default(); BLOCK - 1];
    let by = Descent { rate: 0.3, momentum: 0.0, l2: 0.0 };
    let r = [Line::default()];
    Isa::portable().run(Step { x: (listed.row(), 1.0), r: &r, w: &mut w, by });
}
