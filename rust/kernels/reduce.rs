//! Sums in a fixed order: down columns by rule 1, along rows by rule 5 of `docs/exactness.md`.

use super::simd::{Simd, simd_kernel};
use super::{Real, kernel};
use crate::matrix::MatRef;

simd_kernel! {
    /// sums += the sum over at most 256 rows of R (k, n), one chain a column; sums (n,).
    ///
    /// The `first` block is added to +0.0 instead of to what the sums held. Multiplying by q = 1
    /// changes nothing, so a plain addition is the fused one.
    ///
    /// # Panics
    /// Where the columns do not lie side by side, or `sums` is not as long as a row.
    pub fn column_sums<T, S>(r: MatRef<'_, T>, sums: &mut [T], first: bool) {
        assert!(r.column_stride() == 1 || r.columns() <= 1, "columns must lie side by side");
        assert!(r.columns() == sums.len() && r.rows() <= super::gemm::BLOCK);
        let (mut j, n) = (0, sums.len());
        while j < n {
            let width = (n - j).min(4 * S::LANES);
            let (from, to) = (r.columns_from(j, width), &mut sums[j..j + width]);
            // SAFETY: `simd_kernel` has compiled this for S; both have `width` columns.
            unsafe {
                match width.div_ceil(S::LANES) {
                    1 => chains::<S, 1>(from, to, first),
                    2 => chains::<S, 2>(from, to, first),
                    3 => chains::<S, 3>(from, to, first),
                    _ => chains::<S, 4>(from, to, first),
                }
            }
            j += width;
        }
    }
}

/// The chains of at most `V` registers' columns at once: one alone would wait for itself.
///
/// # Safety
/// As for [`Simd`]; `sums` is as long as a row of R, more than `V - 1` registers.
// Loops over indices: see gemm/tile.rs.
#[expect(clippy::needless_range_loop, reason = "iterators may be called, not inlined")]
#[inline(always)]
unsafe fn chains<S: Simd, const V: usize>(r: MatRef<'_, S::T>, sums: &mut [S::T], first: bool) {
    // SAFETY: the caller's word; rows of R lie within its slice.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        let mut chains = [zero; V];
        let last = sums.len() - (V - 1) * S::LANES;
        let from = r.data().as_ptr();
        for k in 0..r.rows() {
            let row = from.add(k * r.row_stride());
            for v in 0..V {
                let at = row.add(v * S::LANES);
                let x = if v + 1 == V { S::load_part(at, last) } else { S::load(at) };
                chains[v] = S::add(chains[v], x);
            }
        }
        let sums = sums.as_mut_ptr();
        for v in 0..V {
            let at = sums.add(v * S::LANES);
            let count = if v + 1 == V { last } else { S::LANES };
            let before = if first { zero } else { S::load_part(at, count) };
            S::store_part(at, count, S::add(before, chains[v]));
        }
    }
}

/// Where the largest element stands, the first of equals.
#[must_use]
pub fn largest<T: Real>(a: &[T]) -> usize {
    let mut at = 0;
    for (i, value) in a.iter().enumerate() {
        if *value > a[at] {
            at = i;
        }
    }
    at
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
