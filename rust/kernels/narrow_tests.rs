//! Products and steps that stay in registers, judged by the oracle, bit for bit.

use crate::kernels::foreign::{Foreign, Source};
use crate::kernels::lines::{LINE, Line, Lines, Wide, flat};
use crate::kernels::rows::Descent;
use crate::kernels::testing::{assert_bits, extreme, in_lines, mild, work};
use crate::kernels::tiny::largest_small;
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;

type Draw<T> = fn(u64, usize) -> Vec<T>;

#[inline(always)]
fn product<S: Lines>(s: S, x: &Line<S::T>, w: &[Line<S::T>], z: &mut Line<S::T>) {
    super::product(s, Wide::load(s, x), w).store(z);
}

#[inline(always)]
fn product_lit<S: Lines>(s: S, x: Source<'_, S::T>, w: &[Line<S::T>], z: &mut Line<S::T>) {
    super::product_lit(s, x, w).store(z);
}

work! { Product<'a, T> { x: &'a Line<T>, w: &'a [Line<T>], z: &'a mut Line<T> } product, () }
work! { ProductLit<'a, T> { x: Source<'a, T>, w: &'a [Line<T>], z: &'a mut Line<T> } product_lit, () }
work! {
    Step<'a, T> { x: &'a Line<T>, r: &'a Line<T>, w: &'a mut [Line<T>], by: Descent<T> }
    super::step, ()
}

fn check_product<T: Real>(draw: Draw<T>, k: usize) {
    let (x, w) = (draw(1, LINE), draw(2, k * LINE));
    let expected = oracle::product(MatRef::new(&x[..k], 1, k), MatRef::new(&w, k, LINE));
    let (x, w) = (in_lines(&x), in_lines(&w));
    for isa in Isa::available() {
        let mut z = in_lines(&draw(3, LINE));
        isa.run(Product { x: &x[0], w: &w, z: &mut z[0] });
        assert_bits(flat(&z), &expected, &format!("{} {k}", isa.name()));
    }
}

fn check_step<T: Real>(draw: Draw<T>, k: usize) {
    // What is small is for `tiny`.
    let factors = |seed| {
        let small = |x: T| x.abs() <= largest_small();
        draw(seed, LINE).into_iter().map(|x| if small(x) { x * T::ZERO } else { x }).collect()
    };
    let (x, r, w): (Vec<T>, Vec<T>, _) = (factors(1), factors(2), draw(3, k * LINE));
    let [rate, zero] = [0.3, 0.0].map(T::from_f64);
    let one = |i: usize| {
        let g = r[i % LINE].mul_add(x[i / LINE], zero) + zero;
        oracle::descend(w[i], zero, g, rate, zero, zero).0
    };
    let expected: Vec<T> = (0..w.len()).map(one).collect();
    let (x, r) = (in_lines(&x), in_lines(&r));
    for isa in Isa::available() {
        let mut w = in_lines(&w);
        let by = Descent { rate, momentum: zero, l2: zero };
        isa.run(Step { x: &x[0], r: &r[0], w: &mut w, by });
        assert_bits(flat(&w), &expected, &format!("{} {k}", isa.name()));
    }
}

#[test]
fn products_and_steps_of_every_depth() {
    for k in 1..=LINE {
        check_product::<f32>(mild, k);
        check_product::<f32>(extreme, k);
        check_product::<f64>(mild, k);
        check_product::<f64>(extreme, k);
        check_step::<f32>(mild, k);
        check_step::<f32>(extreme, k);
        check_step::<f64>(mild, k);
        check_step::<f64>(extreme, k);
    }
}

/// Rows of which in each block another share is not 0, in some none or all.
fn check_lit<T: Real>(k: usize, seed: u64) {
    let shares = [0.5, 0.0, 1.0, 0.2, 0.9];
    let chance = mild::<f64>(seed + 50, k);
    let numbers = mild::<T>(seed, k).into_iter().zip(chance).enumerate();
    let lit = |(i, (x, chance)): (usize, (T, f64))| {
        let share = shares[(i / 256 + usize::try_from(seed).unwrap()) % shares.len()];
        match i % 3 {
            _ if chance.abs().fract() < share => x,
            0 => -T::ZERO,
            _ => T::ZERO,
        }
    };
    let (x, w) = (numbers.map(lit).collect::<Vec<_>>(), mild::<T>(seed + 1, k * LINE));
    let expected = oracle::product(MatRef::new(&x, 1, k), MatRef::new(&w, k, LINE));
    let w = in_lines(&w);
    for isa in Isa::available() {
        let mut z = Line::default();
        isa.run(ProductLit { x: Source::Values(x[..].into()), w: &w, z: &mut z });
        assert_bits(&z.0, &expected, &format!("{} {k} {seed}", isa.name()));
    }
}

#[test]
fn products_that_leave_out_zeros() {
    for k in [1, 15, 16, 17, 255, 256, 257, 511, 768, 769, 784, 1030, 1600] {
        for seed in 0..5 {
            check_lit::<f32>(k, seed);
            check_lit::<f64>(k, seed);
        }
    }
}

/// Each pixel is its quotient, in any block.
fn check_pixels<T: Real>(k: usize) {
    let all = (0..=255_u8).cycle().zip((0..5).cycle());
    let pixels: Vec<u8> = all.map(|(p, i)| if i < 3 { 0 } else { p }).take(k).collect();
    let x: Vec<T> = pixels.iter().map(|&pixel| T::from_f64(f64::from(pixel))).collect();
    let x: Vec<T> = x.into_iter().map(|x| x / T::from_f64(255.0)).collect();
    let w = mild::<T>(3, k * LINE);
    let expected = oracle::product(MatRef::new(&x, 1, k), MatRef::new(&w, k, LINE));
    let w = in_lines(&w);
    for isa in Isa::available() {
        let mut z = Line::default();
        isa.run(ProductLit { x: Source::Pixels(pixels[..].into()), w: &w, z: &mut z });
        assert_bits(&z.0, &expected, &format!("{} {k}", isa.name()));
    }
}

#[test]
fn products_of_pixels() {
    for k in [1, 16, 63, 64, 65, 300, 784, 1030] {
        check_pixels::<f32>(k);
        check_pixels::<f64>(k);
    }
}

#[test]
fn what_changes_meanwhile_is_one_of_what_stood_there() {
    // One weight alone is not 0, so the sums are one element of x: any that stood there.
    let (k, at) = (300, 290);
    let w: Vec<f64> = (0..k * LINE).map(|i| if i / LINE == at { 1.0 } else { 0.0 }).collect();
    let w = in_lines(&w);
    for isa in Isa::available() {
        Foreign::in_flux(8 * k, |bytes| {
            let (mut last, mut changes) = (0.0, 0);
            while changes < 30 {
                let mut z = Line::default();
                isa.run(ProductLit { x: Source::Values(bytes.numbers()), w: &w, z: &mut z });
                changes += usize::from(z.0[0] != last);
                last = z.0[0];
                // Every byte of a number is 0, 1 or 2. A line of two registers takes it twice.
                let there = |z: f64| z.to_ne_bytes().iter().all(|&byte| byte <= 2);
                assert!(z.0.iter().all(|&z| there(z)), "{isa:?} {:?}", z.0);
            }
        });
    }
}
