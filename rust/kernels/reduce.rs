//! Sums in a fixed order: down columns by rule 1, along rows by rule 5 of `docs/exactness.md`.

use super::portable::Lanes;
use super::{Real, kernel};
use crate::matrix::MatRef;

kernel! {
    /// sums += the sum over at most 256 rows of R (k, n), one chain a column; sums (n,).
    ///
    /// The `first` block is added to +0.0 instead of to what the sums held. Multiplying by q = 1
    /// changes nothing, so a plain addition is the fused one.
    ///
    /// # Panics
    /// Where the columns do not lie side by side, or `sums` is not as long as a row.
    pub fn column_sums<T>(r: MatRef<'_, T>, sums: &mut [T], first: bool) {
        assert!(r.column_stride() == 1 || r.columns() <= 1, "columns must lie side by side");
        assert!(r.columns() == sums.len() && r.rows() <= super::gemm::BLOCK);
        let j = chains::<T, 8>(r, sums, first, 0);
        chains::<T, 1>(r, sums, first, j);
    }
}

/// The chains of `N` columns at once from j on; returns the first column left.
#[inline(always)]
fn chains<T: Real, const N: usize>(
    r: MatRef<'_, T>,
    sums: &mut [T],
    first: bool,
    mut j: usize,
) -> usize {
    while j + N <= sums.len() {
        let mut chain = Lanes::<T, N>::splat(T::ZERO);
        for k in 0..r.rows() {
            chain = chain.add(Lanes::load(&r.data()[k * r.row_stride() + j..]));
        }
        let sums = &mut sums[j..];
        let before = if first { Lanes::splat(T::ZERO) } else { Lanes::load(sums) };
        before.add(chain).store(sums);
        j += N;
    }
    j
}

/// m and S of a row z: its largest element, and the sum of exp(z - m), ascending.
#[inline(always)]
fn shifted_sum<T: Real>(z: &[T]) -> (T, T) {
    let mut largest = z[0];
    for &z in z {
        if z > largest {
            largest = z;
        }
    }
    let mut sum = T::ZERO;
    for &z in z {
        sum = sum + (z - largest).exp();
    }
    (largest, sum)
}

kernel! {
    /// a = softmax(z) of one row that is not empty: exp(z - m) / S; both slices are equally long.
    pub fn softmax<T>(z: &[T], a: &mut [T]) {
        let mut largest = z[0];
        for &z in z {
            if z > largest {
                largest = z;
            }
        }
        for (a, &z) in a.iter_mut().zip(z) {
            *a = (z - largest).exp();
        }
        let mut sum = T::ZERO;
        for &a in &*a {
            sum = sum + a;
        }
        for a in a.iter_mut() {
            *a = *a / sum;
        }
    }
}

kernel! {
    /// d = a * (d - sum of a * d) for one row: back through softmax.
    pub fn softmax_backward<T>(a: &[T], d: &mut [T]) {
        let mut sum = T::ZERO;
        for (&a, &d) in a.iter().zip(&*d) {
            sum = sum + a * d;
        }
        for (&a, d) in a.iter().zip(d) {
            *d = a * (*d - sum);
        }
    }
}

kernel! {
    /// The sum of (a - y)^2 along a row.
    pub fn squared_distance<T>(a: &[T], y: &[T]) -> T {
        let mut sum = T::ZERO;
        for (&a, &y) in a.iter().zip(y) {
            let d = a - y;
            sum = sum + d * d;
        }
        sum
    }
}

kernel! {
    /// -log(softmax(z)) at one place of a row: log(S) - (z - m).
    pub fn log_loss_at<T>(z: &[T], place: usize) -> T {
        let (largest, sum) = shifted_sum(z);
        sum.log() - (z[place] - largest)
    }
}

kernel! {
    /// The sum of y * -log(softmax(z)) along a row.
    pub fn log_loss<T>(z: &[T], y: &[T]) -> T {
        let (largest, sum) = shifted_sum(z);
        let log = sum.log();
        let mut loss = T::ZERO;
        for (&z, &y) in z.iter().zip(y) {
            loss = loss + y * (log - (z - largest));
        }
        loss
    }
}

kernel! {
    /// The sum of -y * log(sigmoid(z)) - (1 - y) * log(1 - sigmoid(z)) along a row, from z so that
    /// no logarithm meets a 0.
    pub fn binary_log_loss<T>(z: &[T], y: &[T]) -> T {
        let mut loss = T::ZERO;
        for (&z, &y) in z.iter().zip(y) {
            let above = if z > T::ZERO { z } else { T::ZERO };
            loss = loss + ((above - z * y) + (-z.abs()).exp().log1p());
        }
        loss
    }
}

#[cfg(test)]
#[path = "reduce_tests.rs"]
mod tests;
