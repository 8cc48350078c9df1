//! The slow, obvious loops: one scalar `mul_add` after the other, one loop a sum.
//!
//! They are the judge of every kernel and stay when kernels come and go. Rule numbers are those
//! of `docs/exactness.md`.

use super::Real;
use crate::matrix::MatRef;

/// The length of a chain by rule 1, stated here once more, as a judge does.
const BLOCK: usize = 256;

/// C = A B by rule 1: A (m, k), B (k, n), C (m, n), its rows following each other.
#[must_use]
pub fn product<T: Real>(a: MatRef<'_, T>, b: MatRef<'_, T>) -> Vec<T> {
    let mut c = Vec::new();
    for i in 0..a.rows() {
        for j in 0..b.columns() {
            let mut sum = T::ZERO;
            let mut first = 0;
            while first < a.columns() {
                let mut chain = T::ZERO;
                for k in first..a.columns().min(first + BLOCK) {
                    chain = a.at(i, k).mul_add(b.at(k, j), chain);
                }
                sum = sum + chain;
                first += BLOCK;
            }
            c.push(sum);
        }
    }
    c
}

/// The sum over the rows by rules 1 and 2, q = 1: R (k, n) to (n,).
#[must_use]
pub fn column_sums<T: Real>(r: MatRef<'_, T>) -> Vec<T> {
    let ones = vec![T::ONE; r.rows()];
    product(MatRef::new(&ones, 1, r.rows()), r)
}

/// m and S of a row z: its largest element, and the sum of exp(z - m) (rule 5).
#[must_use]
pub fn shifted_sum<T: Real>(z: &[T]) -> (T, T) {
    let mut largest = z[0];
    for &x in z {
        if x > largest {
            largest = x;
        }
    }
    let mut sum = T::ZERO;
    for &x in z {
        sum = sum + (x - largest).exp();
    }
    (largest, sum)
}

/// Softmax of one row.
#[must_use]
pub fn softmax<T: Real>(z: &[T]) -> Vec<T> {
    let (largest, sum) = shifted_sum(z);
    z.iter().map(|&x| (x - largest).exp() / sum).collect()
}

/// a * (d - sum of a * d) for one row.
#[must_use]
pub fn softmax_backward<T: Real>(a: &[T], d: &[T]) -> Vec<T> {
    let mut sum = T::ZERO;
    for j in 0..a.len() {
        sum = sum + a[j] * d[j];
    }
    (0..a.len()).map(|j| a[j] * (d[j] - sum)).collect()
}

/// The sum of (a - y)^2 along a row.
#[must_use]
pub fn squared_distance<T: Real>(a: &[T], y: &[T]) -> T {
    let mut sum = T::ZERO;
    for j in 0..a.len() {
        sum = sum + (a[j] - y[j]) * (a[j] - y[j]);
    }
    sum
}

/// The sum of y * (log(S) - (z - m)) along a row.
#[must_use]
pub fn log_loss<T: Real>(z: &[T], y: &[T]) -> T {
    let (largest, total) = shifted_sum(z);
    let mut sum = T::ZERO;
    for j in 0..z.len() {
        sum = sum + y[j] * (total.log() - (z[j] - largest));
    }
    sum
}

/// The sum of (max(z, 0) - z y) + log1p(exp(-|z|)) along a row.
#[must_use]
pub fn binary_log_loss<T: Real>(z: &[T], y: &[T]) -> T {
    let mut sum = T::ZERO;
    for j in 0..z.len() {
        let above = if z[j] > T::ZERO { z[j] } else { T::ZERO };
        sum = sum + ((above - z[j] * y[j]) + (-z[j].abs()).exp().log1p());
    }
    sum
}

/// One step for one parameter (rule 4): the new parameter and the new velocity.
#[must_use]
pub fn descend<T: Real>(w: T, v: T, g: T, rate: T, momentum: T, l2: T) -> (T, T) {
    let g = if l2 == T::ZERO { g } else { l2.mul_add(w, g) };
    let v = if momentum == T::ZERO { g } else { momentum.mul_add(v, g) };
    ((-rate).mul_add(v, w), v)
}
