//! The products judged by the oracle, bit for bit.

use super::{BLOCK, accumulate, product};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

/// C = A B on every instruction set, of numbers from `draw`.
fn check<T: Real>(draw: fn(u64, usize) -> Vec<T>, m: usize, n: usize, k: usize) {
    let (a, b) = (draw(1, m * k), draw(2, k * n));
    let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
    let expected = oracle::product(a, b);
    for isa in Isa::available() {
        let mut c = vec![T::from_f64(7.0); m * n];
        product(isa, a, b, &mut MatMut::new(&mut c, m, n));
        assert_bits(&c, &expected, &format!("{} ({m}, {k}) ({k}, {n})", isa.name()));
    }
}

fn check_all_kinds(m: usize, n: usize, k: usize) {
    check::<f32>(mild, m, n, k);
    check::<f64>(mild, m, n, k);
    check::<f32>(extreme, m, n, k);
    check::<f64>(extreme, m, n, k);
}

#[test]
fn products_of_every_small_shape() {
    for m in 1..=40 {
        for n in 1..=40 {
            check::<f32>(mild, m, n, 2);
            check::<f64>(extreme, m, n, 2);
        }
    }
}

#[test]
fn products_around_each_width_and_block() {
    for k in [0, 1, 2, 255, 256, 257, 600] {
        for (m, n) in [(1, 1), (1, 16), (1, 70), (1, 101), (3, 5), (4, 8), (5, 13), (7, 31)] {
            check_all_kinds(m, n, k);
        }
    }
}

#[test]
#[ignore = "takes half a minute"]
fn products_of_every_shape_and_block() {
    for k in [1, 2, 255, 256, 257, 600] {
        for m in 1..=40 {
            for n in 1..=40 {
                check_all_kinds(m, n, k);
            }
        }
    }
}

#[test]
fn products_of_any_strides() {
    let (m, n, k) = (6, 21, 300);
    let data = extreme::<f32>(3, 40_000);
    let dense: Vec<f32> = (0..m * k).map(|i| data[(i / k) * 2 + (i % k) * 13]).collect();
    let b = MatRef::with_strides(&data, k, n, 29, 1);
    let expected = oracle::product(MatRef::new(&dense, m, k), b);
    for isa in Isa::available() {
        let mut c = vec![5.0; m * 33];
        let a = MatRef::with_strides(&data, m, k, 2, 13);
        product(isa, a, b, &mut MatMut::with_row_stride(&mut c, m, n, 33));
        for (row, expected) in c.chunks_exact(33).zip(expected.chunks_exact(n)) {
            assert_bits(&row[..n], expected, isa.name());
            assert_eq!(row[n..], [5.0; 12], "nothing is written beside the columns");
        }
    }
}

#[test]
fn blocks_accumulate_in_order() {
    let (m, n, k) = (5, 11, 2 * BLOCK + 88);
    let (a, b) = (mild::<f32>(4, m * k), mild::<f32>(5, k * n));
    let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
    let expected = oracle::product(a, b);
    for isa in Isa::available() {
        let mut c = vec![f32::NAN; m * n];
        for first in (0..k).step_by(BLOCK) {
            let count = BLOCK.min(k - first);
            let (a, b) = (a.columns_from(first, count), b.rows_from(first, count));
            accumulate(isa, a, b, &mut MatMut::new(&mut c, m, n), first == 0);
        }
        assert_bits(&c, &expected, isa.name());
    }
    // The order is another one than that of a single chain, or the test shows nothing.
    let chain = (0..k).fold(0.0_f32, |sum, k| a.at(0, k).mul_add(b.at(k, 0), sum));
    assert_ne!(chain.to_bits(), expected[0].to_bits());
}

#[test]
fn a_sum_of_zeros_is_a_positive_zero() {
    for isa in Isa::available() {
        let mut c = [1.0_f32; 2];
        let (a, b) = ([-0.0_f32], [1.0_f32, 2.0]);
        product(isa, MatRef::new(&a, 1, 1), MatRef::new(&b, 1, 2), &mut MatMut::new(&mut c, 1, 2));
        assert_bits(&c, &[0.0, 0.0], isa.name());
    }
}

#[test]
#[should_panic(expected = "do not belong together")]
fn shapes_that_do_not_fit_are_refused() {
    let (a, b) = (MatRef::new(&[0.0_f32; 6], 2, 3), MatRef::new(&[0.0_f32; 8], 4, 2));
    product(Isa::portable(), a, b, &mut MatMut::new(&mut [0.0; 4], 2, 2));
}
