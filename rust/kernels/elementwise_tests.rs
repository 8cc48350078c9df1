//! Each element by itself, as the formula says it, on every instruction set.

use super::{
    add, add_relu, add_sigmoid, add_tanh, all_finite, difference, divide, pixels, relu,
    relu_backward, sigmoid_backward, tanh_backward, twice_difference,
};
use crate::kernels::testing::{assert_bits, extreme, mild, quotients};
use crate::kernels::{Isa, Real};

/// Runs a kernel that writes `d`, which begins as `y`, and compares it with a formula of (x, y).
fn check<T: Real>(what: &str, kernel: impl Fn(Isa, &[T], &mut [T]), formula: impl Fn(T, T) -> T) {
    for n in (0..=40).chain([257]) {
        for (x, y) in [(mild(1, n), mild(2, n)), (extreme(3, n), extreme(4, n))] {
            let expected: Vec<T> = x.iter().zip(&y).map(|(&x, &y)| formula(x, y)).collect();
            for isa in Isa::available() {
                let mut d = y.clone();
                kernel(isa, &x, &mut d);
                assert_bits(&d, &expected, &format!("{what} {} {n}", isa.name()));
            }
        }
    }
}

fn check_formulas<T: Real>() {
    let (zero, one) = (T::ZERO, T::ONE);
    let small = T::from_f64(0.5);
    check::<T>("relu", |isa, z, a| relu(isa, z, a), |z, _| if z <= zero { zero } else { z });
    check::<T>(
        "sigmoid'",
        |isa, a, d| {
            sigmoid_backward(isa, a, d, small);
        },
        |a, d| (a * (one - a)) * d,
    );
    check::<T>(
        "tanh'",
        |isa, a, d| {
            tanh_backward(isa, a, d, small);
        },
        |a, d| (one - a * a) * d,
    );
    check::<T>(
        "relu'",
        |isa, z, d| {
            relu_backward(isa, z, d);
        },
        |z, d| if z <= zero { zero } else { d },
    );
    check::<T>("z + b", |isa, b, z| add(isa, z, b), |b, z| z + b);
    check::<T>(
        "relu(z + b)",
        |isa, b, z| add_relu(isa, z, b),
        |b, z| if z + b > zero { z + b } else { zero },
    );
    check::<T>("sigmoid(z + b)", |isa, b, z| add_sigmoid(isa, z, b), |b, z| (z + b).sigmoid());
    check::<T>("tanh(z + b)", |isa, b, z| add_tanh(isa, z, b), |b, z| (z + b).tanh());
    check::<T>("/ 3", |isa, _, d| divide(isa, d, T::from_f64(3.0)), |_, d| d / T::from_f64(3.0));
    let y = T::from_f64(0.3);
    check::<T>("a - y", |isa, a, d| difference(isa, a, &vec![y; a.len()], d), |a, _| a - y);
    check::<T>(
        "2 (a - y)",
        |isa, a, d| twice_difference(isa, a, &vec![y; a.len()], d),
        |a, _| T::TWO * (a - y),
    );
}

/// Rows of a width beside their biases.
fn check_rows<T: Real>(draw: fn(u64, usize) -> Vec<T>, rows: usize, n: usize) {
    let (z, b) = (draw(1, rows * n), draw(2, n));
    let expected = |sigma: fn(T) -> T| -> Vec<T> {
        z.iter().zip(b.iter().cycle()).map(|(&z, &b)| sigma(z + b)).collect()
    };
    for isa in Isa::available() {
        let check = |kernel: fn(Isa, &mut [T], &[T]), sigma| {
            let mut found = z.clone();
            kernel(isa, &mut found, &b);
            assert_bits(&found, &expected(sigma), &format!("{} ({rows}, {n})", isa.name()));
        };
        check(add, |sum| sum);
        check(add_relu, |sum| if sum <= T::ZERO { T::ZERO } else { sum });
        check(add_sigmoid, T::sigmoid);
        check(add_tanh, T::tanh);
    }
}

#[test]
fn each_row_has_its_biases() {
    for n in [1, 3, 4, 10, 16, 32, 63, 64, 65, 100] {
        for rows in [0, 1, 2, 15, 16, 17, 33, 48, 100] {
            check_rows::<f32>(mild, rows, n);
            check_rows::<f32>(extreme, rows, n);
            check_rows::<f64>(mild, rows, n);
            check_rows::<f64>(extreme, rows, n);
        }
    }
}

#[test]
fn elements_are_as_the_formulas_say() {
    check_formulas::<f32>();
    check_formulas::<f64>();
}

#[test]
fn saturated_units_are_counted() {
    for isa in Isa::available() {
        // sigma' is 0.25, 0, about 9e-4 and about 2e-3; the limit is 2^-10, about 9.8e-4.
        let a = [0.5_f32, 1.0, 0.999_1, 0.998];
        assert_eq!(sigmoid_backward(isa, &a, &mut [1.0; 4], 1.0 / 1024.0), 2);
        // sigma' is 1, 0, about 8e-4 and about 2e-3.
        let a = [0.0_f32, -1.0, 0.999_6, 0.999];
        assert_eq!(tanh_backward(isa, &a, &mut [1.0; 4], 1.0 / 1024.0), 2);
        assert_eq!(relu_backward(isa, &[1.0_f32, 0.0, -0.0, -1.0], &mut [1.0; 4]), 3);
        // More than a lane of 32 bits, or one of 8, would count without care.
        assert_eq!(relu_backward(isa, &vec![0.0_f32; 70_000], &mut vec![1.0; 70_000]), 70_000);
    }
}

#[test]
fn whatever_is_not_finite_is_found_anywhere() {
    for isa in Isa::available() {
        for n in 0..=40 {
            let mut x = vec![f32::MAX; n];
            assert!(all_finite(isa, &x));
            for i in 0..n {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    x[i] = bad;
                    assert!(!all_finite(isa, &x), "{} {bad} at {i} of {n}", isa.name());
                }
                x[i] = f32::MIN;
            }
        }
    }
}

fn check_pixels<T: Real>() {
    let every: Vec<u8> = (0..=255).collect();
    let quotients: Vec<T> = quotients(&every);
    assert_bits(T::QUOTIENTS, &quotients, "the table");
    for isa in Isa::available() {
        for n in [0, 1, 7, 16, 33, 256] {
            let mut to = vec![T::ONE; n];
            pixels(isa, &every[256 - n..], &mut to);
            assert_bits(&to, &quotients[256 - n..], isa.name());
        }
    }
}

#[test]
fn every_pixel_is_the_quotient() {
    check_pixels::<f32>();
    check_pixels::<f64>();
}
