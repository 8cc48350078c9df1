//! Products and steps that leave zeros out, judged by the oracle, which multiplies them.

use super::{BLOCK, Lit, LitPixel, LitRow, LitValue, clear, product, scatter, step};
use crate::kernels::lines::{LINE, Line, flat};
use crate::kernels::rows::Descent;
use crate::kernels::testing::{
    MET_TINY, any_of, assert_bits, extreme, in_lines, mild, quotients, work,
};
use crate::kernels::tiny::{any_tiny, largest_tiny};
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
    |s, x, r, w, by| step(s, x, (r, any_tiny(s, r)), w, by), ()
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

/// Judges a step by the oracle.
fn check_step<T: Real, E: Lit<T>>(
    (x, lit): (&[T], LitRow<'_, E>),
    w: &[T],
    r: &[T],
    rate: T,
    what: &str,
) {
    let (k, n) = (x.len(), r.len());
    let largest = x.iter().fold(T::ZERO, |most, x| if x.abs() > most { x.abs() } else { most });
    let g = oracle::product(MatRef::new(x, k, 1), MatRef::new(r, 1, n));
    let by = Descent { rate, momentum: T::ZERO, l2: T::ZERO };
    let descend = |(&w, &g)| oracle::descend(w, T::ZERO, g, rate, T::ZERO, T::ZERO).0;
    let moved: Vec<T> = w.iter().zip(&g).map(descend).collect();
    for isa in Isa::available() {
        let mut w = in_lines(w);
        isa.run(Step { x: (lit, largest), r: &in_lines(r), w: &mut w, by });
        assert_bits(flat(&w), &moved, &format!("{} {what}, rate {rate:?}", isa.name()));
    }
}

/// The row, the same as it is listed, and what it is listed of.
fn check<T: Real, E: Lit<T>>(draw: fn(u64, usize) -> Vec<T>, x: &[T], lit: LitRow<'_, E>) {
    let k = x.len();
    assert_eq!(lit.blocks() * BLOCK, k);
    let mut all = vec![T::ZERO; k];
    scatter(lit, &mut all);
    assert_bits(&all, x, "scattered");
    clear(lit, &mut all);
    assert_bits(&all, &vec![T::ZERO; k], "cleared");
    for lines in 1..=6 {
        let n = lines * LINE;
        let (w, r) = (draw(2, k * n), draw(3, n));
        let z = oracle::product(MatRef::new(x, 1, k), MatRef::new(&w, k, n));
        for isa in Isa::available() {
            let what = format!("{} {k} {lines}", isa.name());
            let (w, mut found) = (in_lines(&w), in_lines(&draw(4, n)));
            isa.run(Product { x: lit, w: &w, z: &mut found });
            assert_bits(flat(&found), &z, &what);
        }
        // Where r is not finite, zeros do matter: that is known before a step is taken.
        check_step((x, lit), &w, &r, T::from_f64(0.3), &format!("{k} {lines}"));
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

#[test]
fn products_and_steps_of_pixels() {
    for blocks in 1..=7 {
        for seed in 0..2 {
            check_pixels::<f32>(mild, blocks, seed);
            check_pixels::<f32>(extreme, blocks, seed);
            check_pixels::<f64>(mild, blocks, seed);
            check_pixels::<f64>(extreme, blocks, seed);
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
            check_values::<f64>(mild, blocks, seed);
            check_values::<f64>(extreme, blocks, seed);
        }
    }
}

/// Steps by deltas around what is tiny and below it, of weights around what these move and below it.
fn check_tiny<T: Real, E: Lit<T>>(x: &[T], lit: LitRow<'_, E>) {
    let (tiny, epsilon) = (largest_tiny::<T>().to_f64(), T::EPSILON.to_f64());
    let least = if T::LANES == 8 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    let largest = x.iter().fold(0.0_f64, |most, x| most.max(x.to_f64().abs()));
    let around = |x: f64| [x * (1.0 - epsilon), x, x * (1.0 + epsilon), -x, 1.5 * x, 0.1 * x];
    let ends = [least, -least, 3.0 * least, 1e4 * least, 0.0, -0.0, 1.0];
    let deltas: Vec<f64> =
        around(tiny).into_iter().chain(around(tiny / 999.0)).chain(ends).collect();
    // The last two make the bound of float32, or float64, too small for a number before x is met.
    for rate in [0.0, 0.3, 1e30, 2.0_f64.powi(-60), 2.0_f64.powi(-118)] {
        let bound = rate * largest * (8.0 / epsilon * tiny);
        let above: Vec<f64> = [1.0, 1.0 + epsilon, 2.0, 4.0, 4.0 - 4.0 * epsilon, 1e9]
            .map(|by| by * bound + least)
            .into_iter()
            .chain([1.0, -3.0])
            .collect();
        let any: Vec<f64> = above.iter().copied().chain(around(bound)).chain(ends).collect();
        // So far below that the largest input moves them; powers of two are moved by the least.
        let power = (0.499 * bound).log2().floor().exp2();
        let below = [0.03, 0.1, 0.25, 0.4].map(|by| by * bound).to_vec();
        let edge = vec![power, 2.0 * bound];
        for (seed, weights) in (0..16).zip([&above, &any, &below, &edge].into_iter().cycle()) {
            let n = if seed < 12 { LINE } else { 3 * LINE };
            let (w, r) = (any_of(weights, seed, x.len() * n), any_of(&deltas, seed + 9, n));
            check_step((x, lit), &w, &r, T::from_f64(rate), "tiny");
        }
    }
}

fn check_tiny_all<T: Real>() {
    let pixels = pixels(2, 0);
    let listed = Listed::new(&pixels, |x| x != 0, |at, pixel| LitPixel { at, pixel });
    MET_TINY.take();
    check_tiny(&quotients::<T>(&pixels), listed.row());
    MET_TINY.met_both(500);
    for scale in [1.0, 2.0_f64.powi(30), 2.0_f64.powi(100), 1e-30] {
        let numbers = mild::<T>(5, pixels.len()).into_iter().zip(&pixels);
        let x = numbers.map(|(x, &lit)| if lit == 0 { T::ZERO } else { x * T::from_f64(scale) });
        let x: Vec<T> = x.collect();
        let listed = Listed::new(&x, |x| x != T::ZERO, |at, value| LitValue { value, at });
        check_tiny(&x, listed.row());
    }
    MET_TINY.met_both(1000);
}

#[test]
fn tiny_deltas_move_what_they_can() {
    check_tiny_all::<f32>();
    check_tiny_all::<f64>();
}

/// A rate that makes 0 of the bound before the input makes it a number again.
#[test]
fn a_large_input_moves_the_least_weight_by_a_tiny_delta() {
    let mut x = vec![0.0; BLOCK];
    x[7] = 2.0_f32.powi(30);
    let listed = Listed::new(&x, |x| x != 0.0, |at, value| LitValue { value, at });
    let (mut w, mut r) = (vec![0.0; BLOCK * LINE], vec![0.0; LINE]);
    (w[7 * LINE], r[0]) = (f32::from_bits(1), 2.0_f32.powi(-118));
    check_step((&x, listed.row()), &w, &r, 2.0_f32.powi(-60), "the least");
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
