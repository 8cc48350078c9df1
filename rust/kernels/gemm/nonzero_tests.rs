//! Products that leave out zeros, judged by the oracle bit for bit.

use super::super::{Alone, Descent, Packed, Scratch, Team, product};
use super::{LEAST, pays};
use crate::kernels::simd::simd_kernel;
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};
use crate::rng::Words;

simd_kernel! {
    fn leaves_out<T, S>(a: MatRef<'_, T>, columns: usize) -> bool {
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { pays::<S>(a, columns) }
    }
}

/// Numbers from `draw` of which three in five are a 0 of either sign.
fn dim<T: Real>(draw: fn(u64, usize) -> Vec<T>, n: usize) -> Vec<T> {
    let zeros = [T::ZERO, -T::ZERO];
    let dimmed = |((i, x), word): ((usize, T), u64)| if word % 5 > 1 { zeros[i % 2] } else { x };
    draw(1, n).into_iter().enumerate().zip(Words::new(3, 96, 0)).map(dimmed).collect()
}

/// C = A B, of operands that lie either way, and by B packed before.
fn check<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, k, n): (usize, usize, usize)) {
    let (x, y) = (dim(draw, m * k), draw(2, k * n));
    for a in [MatRef::new(&x, m, k), MatRef::new(&x, k, m).transposed()] {
        for b in [MatRef::new(&y, k, n), MatRef::new(&y, n, k).transposed()] {
            let expected = oracle::product(a, b);
            for isa in Isa::available() {
                let what = format!("{} ({m}, {k}) ({k}, {n})", isa.name());
                assert!(leaves_out(isa, a.columns_from(0, k.min(256)), n), "{what}");
                let mut c = vec![T::from_f64(7.0); m * n];
                product(isa, a, b, &mut MatMut::new(&mut c, m, n));
                assert_bits(&c, &expected, &what);
                if a.column_stride() == 1 && b.column_stride() == 1 {
                    let scratch = Scratch::alone();
                    let team = Team { isa, crew: &Alone, scratch: &scratch };
                    let (packed, mut c) = (Packed::new(&team, b).unwrap(), vec![T::ZERO; m * n]);
                    let mut to = MatMut::new(&mut c, m, n);
                    team.product_with(a, b, Some(&packed), &mut to, &|_, _, _| 0);
                    assert_bits(&c, &expected, &what);
                }
            }
        }
    }
}

#[test]
fn products_around_each_width() {
    for n in [64, 65, 80, 81, 95, 96, 97, 112, 113, 127, 128, 129, 192, 193, 209, 290] {
        check::<f32>(mild, (33, 70, n));
        check::<f64>(extreme, (33, 70, n));
    }
}

#[test]
fn products_around_each_piece_and_block() {
    for k in [64, 65, 127, 128, 129, 192, 255, 256, 257, 384, 600] {
        check::<f64>(mild, (19, k, 70));
        check::<f32>(extreme, (19, k, 103));
    }
}

#[test]
fn products_of_each_number_of_rows() {
    for m in (16..=26).chain([255, 256, 257, 300]) {
        check::<f32>(mild, (m, 100, 71));
    }
}

/// W moved by the product's own epilogue, as in training.
#[test]
fn steps_of_every_optimizer() {
    let (m, k, n) = (300, 130, 107);
    let (x, r) = (dim::<f32>(mild, k * m), mild::<f32>(2, k * n));
    let (a, r) = (MatRef::new(&x, k, m).transposed(), MatRef::new(&r, k, n));
    let (g, w, v) = (oracle::product(a, r), mild::<f32>(3, m * n), mild::<f32>(4, m * n));
    for isa in Isa::available() {
        assert!(leaves_out(isa, a, n));
        for (momentum, l2) in [(0.0, 0.0), (0.9, 0.0), (0.0, 0.01), (0.9, 0.01)] {
            let scratch = Scratch::alone();
            let team = Team { isa, crew: &Alone, scratch: &scratch };
            let (mut found, mut found_v, rate) = (w.clone(), v.clone(), 0.3);
            let velocity = (momentum != 0.0).then_some(&mut found_v[..]);
            let mut descent =
                Descent { w: &mut found, v: velocity, before: None, rate, momentum, l2 };
            assert!(team.descend(a, r, &mut descent));
            let moved = (0..m * n).map(|i| oracle::descend(w[i], v[i], g[i], rate, momentum, l2));
            let (expected, expected_v): (Vec<f32>, Vec<f32>) = moved.unzip();
            assert_bits(&found, &expected, isa.name());
            if momentum != 0.0 {
                assert_bits(&found_v, &expected_v, isa.name());
            }
        }
    }
}

/// What of r is not finite makes a gradient so, also where all activations beside it are 0.
#[test]
fn a_zero_counts_beside_what_is_not_finite() {
    let (m, k, n) = (40, 150, 200);
    let mut x = dim::<f32>(mild, m * k);
    (0..m).for_each(|i| x[i * k + 77] = 0.0);
    for (bad, column) in [(f32::INFINITY, 3), (f32::NAN, 97), (f32::NEG_INFINITY, 199)] {
        let mut y = mild::<f32>(2, k * n);
        y[77 * n + column] = bad;
        let (a, b) = (MatRef::new(&x, m, k), MatRef::new(&y, k, n));
        let expected = oracle::product(a, b);
        assert!((0..m).all(|i| expected[i * n + column].is_nan()));
        for isa in Isa::available() {
            assert!(leaves_out(isa, a, n));
            let scratch = Scratch::alone();
            let team = Team { isa, crew: &Alone, scratch: &scratch };
            let packed = Packed::new(&team, b).unwrap();
            for packed in [None, Some(&packed)] {
                let mut c = vec![7.0; m * n];
                team.product_with(a, b, packed, &mut MatMut::new(&mut c, m, n), &|_, _, _| 0);
                assert_bits(&c, &expected, isa.name());
            }
        }
    }
}

#[test]
fn what_has_few_zeros_or_is_small_is_taken_as_it_is() {
    let (m, k) = (64, 100);
    let (full, dim) = (mild::<f32>(1, m * k), dim::<f32>(mild, m * k));
    let few = 4 * LEAST.0 - 1;
    for isa in Isa::available() {
        for (a, columns, expected) in [(&dim, 200, true), (&full, 200, false), (&dim, few, false)] {
            assert_eq!(leaves_out(isa, MatRef::new(a, m, k), columns), expected);
            assert_eq!(leaves_out(isa, MatRef::new(a, k, m).transposed(), columns), expected);
        }
        assert!(!leaves_out(isa, MatRef::new(&dim, m, k).columns_from(0, LEAST.1 - 1), 200));
        assert!(!leaves_out(isa, MatRef::with_strides(&dim, m / 2, k / 2, 2 * k, 2), 200));
    }
}
