//! The sums judged by the oracle, bit for bit.

use super::{
    binary_log_loss, column_sums, log_loss, log_loss_at, softmax, softmax_backward,
    squared_distance,
};
use crate::kernels::testing::{assert_bits, bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;

fn column_sums_of<T: Real>(draw: fn(u64, usize) -> Vec<T>, rows: usize, columns: usize) {
    let data = draw(1, rows * columns);
    let r = MatRef::new(&data, rows, columns);
    let expected = oracle::column_sums(r);
    for isa in Isa::available() {
        let mut sums = vec![T::from_f64(3.0); columns];
        if rows == 0 {
            column_sums(isa, r, &mut sums, true);
        }
        for first in (0..rows).step_by(256) {
            column_sums(isa, r.rows_from(first, 256.min(rows - first)), &mut sums, first == 0);
        }
        assert_bits(&sums, &expected, &format!("{} ({rows}, {columns})", isa.name()));
    }
}

#[test]
fn column_sums_are_canonical() {
    for rows in [0, 1, 2, 255, 256, 257, 600] {
        for columns in [1, 2, 7, 8, 9, 16, 23] {
            column_sums_of::<f32>(mild, rows, columns);
            column_sums_of::<f32>(extreme, rows, columns);
            column_sums_of::<f64>(mild, rows, columns);
            column_sums_of::<f64>(extreme, rows, columns);
        }
    }
}

fn rows_of<T: Real>(draw: fn(u64, usize) -> Vec<T>, n: usize) {
    let (z, y) = (draw(6, n), mild::<T>(7, n));
    let a = oracle::softmax(&z);
    for isa in Isa::available() {
        let what = format!("{} {n}", isa.name());
        let mut found = vec![T::ONE; n];
        softmax(isa, &z, &mut found);
        assert_bits(&found, &a, &what);
        let mut found = y.clone();
        softmax_backward(isa, &a, &mut found);
        assert_bits(&found, &oracle::softmax_backward(&a, &y), &what);
        for (found, expected) in [
            (squared_distance(isa, &z, &y), oracle::squared_distance(&z, &y)),
            (log_loss(isa, &z, &y), oracle::log_loss(&z, &y)),
            (binary_log_loss(isa, &z, &y), oracle::binary_log_loss(&z, &y)),
        ] {
            assert_eq!(bits(found), bits(expected), "{what}");
        }
        for place in 0..n {
            let (largest, sum) = oracle::shifted_sum(&z);
            let expected = sum.log() - (z[place] - largest);
            assert_eq!(bits(log_loss_at(isa, &z, place)), bits(expected), "{what} {place}");
        }
    }
}

#[test]
fn sums_along_a_row_are_ascending() {
    for n in (1..=40).chain([255, 256, 257, 600]) {
        rows_of::<f32>(mild, n);
        rows_of::<f32>(extreme, n);
        rows_of::<f64>(mild, n);
        rows_of::<f64>(extreme, n);
    }
}

#[test]
fn softmax_of_equal_and_of_huge_numbers() {
    for isa in Isa::available() {
        let mut a = [0.0_f32; 4];
        for z in [0.0, 1e38, -1e38] {
            softmax(isa, &[z; 4], &mut a);
            assert_bits(&a, &[0.25; 4], isa.name());
        }
        softmax(isa, &[1e38, -1e38, 0.0, 1e38], &mut a);
        assert_bits(&a, &[0.5, 0.0, 0.0, 0.5], isa.name());
        let right = log_loss_at(isa, &[200.0_f32, -200.0], 0);
        let wrong = log_loss_at(isa, &[200.0_f32, -200.0], 1);
        assert_eq!((right.to_bits(), wrong.to_bits()), (0.0_f32.to_bits(), 400.0_f32.to_bits()));
    }
}
