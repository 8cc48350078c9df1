//! Products of rows that are mostly 0, judged by the oracle bit for bit.

use super::{Block, NextRows, product_lit};
use crate::kernels::foreign::{Foreign, Source};
use crate::kernels::gemm::{Alone, Packed, Scratch, Team};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;
use crate::rng::Words;

/// Rows of `k` numbers from `draw` of which most are a 0 of either sign: every third column, and three
/// in four of the others.
fn dark<T: Real>(draw: fn(u64, usize) -> Vec<T>, n: usize, k: usize) -> Vec<T> {
    let zeros = [T::ZERO, -T::ZERO];
    let dimmed = |((i, x), word): ((usize, T), u64)| {
        if i % k % 3 == 1 || word % 4 > 0 { zeros[i % 2] } else { x }
    };
    draw(1, n).into_iter().enumerate().zip(Words::new(3, 97, 0)).map(dimmed).collect()
}

fn check<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, k, n): (usize, usize, usize)) {
    let (a, b) = (dark(draw, m * k, k), draw(2, k * n));
    assert!(m * k < 100 || a.iter().filter(|&&x| x != T::ZERO).count() > 10, "or it shows little");
    let b = MatRef::new(&b, k, n);
    let expected = oracle::product(MatRef::new(&a, m, k), b);
    for isa in Isa::available() {
        let copy = copy(isa, b);
        for packed in [None, Some(&copy)] {
            let mut c = vec![T::from_f64(7.0); m * n];
            product_lit(isa, Source::Values(a[..].into()), b, packed, &mut c);
            let copied = packed.is_some();
            let what = format!("{} ({m}, {k}) ({k}, {n}), copied: {copied}", isa.name());
            assert_bits(&c, &expected, &what);
        }
    }
}

fn copy<T: Real>(isa: Isa, b: MatRef<'_, T>) -> Packed<T> {
    Packed::new(&Team { isa, crew: &Alone, scratch: &Scratch::new() }, b).unwrap()
}

#[test]
fn each_number_of_rows_around_each_width_and_block() {
    for m in 1..=18 {
        for k in [1, 7, 15, 16, 17, 255, 256, 257, 784] {
            for n in [1, 16, 33] {
                check::<f32>(mild, (m, k, n));
                check::<f64>(mild, (m, k, n));
            }
        }
    }
    // So many that they meet the blocks in several turns.
    for m in [64, 65, 130] {
        for (k, n) in [(1, 10), (256, 3), (600, 70)] {
            check::<f32>(mild, (m, k, n));
            check::<f64>(mild, (m, k, n));
        }
    }
    for k in 1..=50 {
        check::<f32>(extreme, (8, k, 10));
        check::<f64>(extreme, (8, k, 10));
    }
}

/// Each pixel is its quotient, in the middle of a row and at its end, and every third column dark.
fn check_pixels<T: Real>() {
    let m = 75;
    for k in [1, 40, 300, 331] {
        let pixels = (0..=255).cycle().enumerate().take(m * k);
        let pixels: Vec<u8> = pixels.map(|(i, p)| if i % k % 3 == 1 { 0 } else { p }).collect();
        let x: Vec<T> = pixels.iter().map(|&p| T::from_f64(f64::from(p))).collect();
        let x: Vec<T> = x.into_iter().map(|x| x / T::from_f64(255.0)).collect();
        let b = mild(2, k * 3);
        let b = MatRef::new(&b, k, 3);
        let expected = oracle::product(MatRef::new(&x, m, k), b);
        for isa in Isa::available() {
            let copy = copy(isa, b);
            for packed in [None, Some(&copy)] {
                let mut c = vec![T::ZERO; m * 3];
                product_lit(isa, Source::Pixels(pixels[..].into()), b, packed, &mut c);
                assert_bits(&c, &expected, isa.name());
            }
        }
    }
}

#[test]
fn pixels_are_their_quotients() {
    check_pixels::<f32>();
    check_pixels::<f64>();
}

#[test]
fn what_changes_meanwhile_is_one_of_what_stood_there() {
    // Each row has but one weight that is not 0, so each sum is one element of x: one that stood
    // there, and not a 0 that was listed as something else or the other way round.
    let k = 300;
    let ones: Vec<f64> = (0..k * k).map(|i| if i % (k + 1) == 0 { 255.0 } else { 0.0 }).collect();
    let b = MatRef::new(&ones, k, k);
    for isa in Isa::available() {
        let copy = copy(isa, b);
        for packed in [None, Some(&copy)] {
            Foreign::in_flux(8 * k, |x| {
                let mut c = vec![0.0; 8 * k];
                let (mut last, mut changes) = (0.0, 0);
                while changes < 30 {
                    product_lit(isa, Source::Pixels(x), b, packed, &mut c);
                    changes += usize::from(c[0] != last);
                    last = c[0];
                    assert!(c.iter().all(|&x| [0.0, 1.0, 2.0].contains(&x)), "{isa:?}");
                }
            });
        }
    }
}

#[test]
fn numbers_that_change_meanwhile_are_some_that_stood_there() {
    // Likewise, of numbers whose bytes are 0, 1 or 2, in two panels of outputs or more.
    let (k, n) = (70, 40);
    let last: Vec<f64> = (0..k * n).map(|i| if i / n + 1 == k { 1.0 } else { 0.0 }).collect();
    let b = MatRef::new(&last, k, n);
    for isa in Isa::available() {
        let copy = copy(isa, b);
        for packed in [None, Some(&copy)] {
            Foreign::in_flux(8 * 8 * k, |bytes| {
                let mut c = vec![0.0; 8 * n];
                let (mut before, mut changes) = (0.0, 0);
                while changes < 30 {
                    product_lit(isa, Source::Values(bytes.numbers()), b, packed, &mut c);
                    changes += usize::from(c[0] != before);
                    before = c[0];
                    let there = |z: &f64| z.to_ne_bytes().iter().all(|&byte| byte <= 2);
                    assert!(c.iter().all(there), "{isa:?}");
                }
            });
        }
    }
}

#[test]
fn a_copy_for_another_matrix_is_left_alone() {
    // Of another shape, or for other registers: it is not looked at.
    let (k, n) = (20, 16);
    let (a, b) = (dark::<f32>(mild, 3 * k, k), mild(2, k * n));
    let b = MatRef::new(&b, k, n);
    let expected = oracle::product(MatRef::new(&a, 3, k), b);
    let other = vec![1.0; 2 * k * n];
    for isa in Isa::available() {
        let others = Isa::available().into_iter().filter(|&each| each != isa);
        let mut copies: Vec<_> =
            others.map(|each| copy(each, MatRef::new(&other[..k * n], k, n))).collect();
        copies.push(copy(isa, MatRef::new(&other, 2 * k, n)));
        for packed in &copies {
            let mut c = vec![7.0; 3 * n];
            product_lit(isa, Source::Values(a[..].into()), b, Some(packed), &mut c);
            assert_bits(&c, &expected, isa.name());
        }
    }
}

#[test]
fn what_is_fetched_is_what_is_looked_at_next() {
    // Two turns, of 64 rows and of 6, by two blocks, of 256 inputs and of 44.
    let (m, k) = (70, 300);
    let (a, b) = (vec![0.0_f32; m * k], vec![0.0_f32; k]);
    let next = |rows, inputs, i| {
        let (a, b) = (Source::Values(a[..].into()), MatRef::new(&b, k, 1));
        Block { a, b, packed: None, rows, inputs, to_first: false }.next(i)
    };
    assert_eq!(next(0..64, 0..256, 8), Some((8 * k, 256)));
    assert_eq!(next(0..64, 0..256, 64), Some((256, 44)));
    assert_eq!(next(0..64, 256..300, 8), Some((8 * k + 256, 44)));
    assert_eq!(next(0..64, 256..300, 64), Some((64 * k, 256)));
    assert_eq!(next(64..70, 0..256, 70), Some((64 * k + 256, 44)));
    assert_eq!(next(64..70, 256..300, 70), None);
}

#[test]
fn each_line_of_each_row_is_fetched_once() {
    fn fetched<const R: usize>() -> Vec<usize> {
        let next = NextRows { start: std::ptr::null(), stride: 1000, lines: 3, to_first: false };
        let mut all: Vec<_> =
            (0..6).flat_map(|half| next.half::<R>(half)).map(|p| p as usize).collect();
        all.sort_unstable();
        all
    }
    let expected = |rows: usize| -> Vec<usize> {
        (0..rows).flat_map(|r| (0..3).map(move |line| r * 1000 + line * 64)).collect()
    };
    assert_eq!(fetched::<8>(), expected(8));
    assert_eq!(fetched::<3>(), expected(3));
    assert_eq!(fetched::<1>(), expected(1));
}
