//! Element by element: one rounded operation at a time, in the order written.

use super::simd::simd_kernel;
use super::{Real, kernel};

kernel! {
    /// z + b in place of z (rule 2 of `docs/exactness.md`): z (rows, n), b (n,).
    pub fn add<T>(z: &mut [T], b: &[T]) {
        add_rows(z, b);
    }
}

kernel! {
    /// relu(z + b) in place of z; likewise.
    pub fn add_relu<T>(z: &mut [T], b: &[T]) {
        for z in z.chunks_exact_mut(b.len().max(1)) {
            for (z, &b) in z.iter_mut().zip(b) {
                let sum = *z + b;
                *z = if sum <= T::ZERO { T::ZERO } else { sum };
            }
        }
    }
}

kernel! {
    /// sigmoid(z + b) in place of z; likewise.
    pub fn add_sigmoid<T>(z: &mut [T], b: &[T]) {
        add_rows(z, b);
        for z in z {
            *z = z.sigmoid();
        }
    }
}

kernel! {
    /// tanh(z + b) in place of z; likewise.
    pub fn add_tanh<T>(z: &mut [T], b: &[T]) {
        add_rows(z, b);
        for z in z {
            *z = z.tanh();
        }
    }
}

/// z + b in place of z. A loop of its own before a long one, which then has no row's end.
#[inline(always)]
fn add_rows<T: Real>(z: &mut [T], b: &[T]) {
    for z in z.chunks_exact_mut(b.len().max(1)) {
        for (z, &b) in z.iter_mut().zip(b) {
            *z = *z + b;
        }
    }
}

kernel! {
    /// a = 0 where z <= 0, else z: NaN goes through, so that the loss shows it.
    pub fn relu<T>(z: &[T], a: &mut [T]) {
        for (a, &z) in a.iter_mut().zip(z) {
            *a = if z <= T::ZERO { T::ZERO } else { z };
        }
    }
}

kernel! {
    /// d *= a (1 - a), sigmoid's derivative; returns how many derivatives are below `small`.
    pub fn sigmoid_backward<T>(a: &[T], d: &mut [T], small: T) -> u64 {
        let mut count = 0;
        for (d, &a) in d.iter_mut().zip(a) {
            let slope = a * (T::ONE - a);
            count += u64::from(slope < small);
            *d = slope * *d;
        }
        count
    }
}

kernel! {
    /// d *= 1 - a a, tanh's derivative; returns how many derivatives are below `small`.
    pub fn tanh_backward<T>(a: &[T], d: &mut [T], small: T) -> u64 {
        let mut count = 0;
        for (d, &a) in d.iter_mut().zip(a) {
            let slope = T::ONE - a * a;
            count += u64::from(slope < small);
            *d = slope * *d;
        }
        count
    }
}

kernel! {
    /// d = 0 where a = relu(z), and so z, is <= 0; returns how often.
    pub fn relu_backward<T>(a: &[T], d: &mut [T]) -> u64 {
        let mut count = 0;
        for (d, &a) in d.iter_mut().zip(a) {
            let off = a <= T::ZERO;
            count += u64::from(off);
            *d = if off { T::ZERO } else { *d };
        }
        count
    }
}

kernel! {
    /// d = a - y.
    pub fn difference<T>(a: &[T], y: &[T], d: &mut [T]) {
        for ((d, &a), &y) in d.iter_mut().zip(a).zip(y) {
            *d = a - y;
        }
    }
}

kernel! {
    /// d = 2 (a - y).
    pub fn twice_difference<T>(a: &[T], y: &[T], d: &mut [T]) {
        for ((d, &a), &y) in d.iter_mut().zip(a).zip(y) {
            *d = T::TWO * (a - y);
        }
    }
}

kernel! {
    /// d = d / n, an IEEE division.
    pub fn divide<T>(d: &mut [T], n: T) {
        for d in d {
            *d = *d / n;
        }
    }
}

simd_kernel! {
    /// Whether every element is finite.
    pub fn all_finite<T, S>(x: &[T]) -> bool {
        const REGISTERS: usize = 4;
        let (whole, rest) = x.split_at(x.len() - x.len() % (REGISTERS * S::LANES));
        // x - x is 0 where x is finite, else NaN, which stays in the sum.
        let mut lanes = [T::ZERO; 16];
        // SAFETY: `simd_kernel` has compiled this for S; a register has at most sixteen lanes.
        unsafe {
            let mut sums = [S::splat(T::ZERO); REGISTERS];
            for at in (0..whole.len()).step_by(REGISTERS * S::LANES) {
                for (r, sum) in sums.iter_mut().enumerate() {
                    let x = S::load(whole.as_ptr().add(at + r * S::LANES));
                    *sum = S::add(*sum, S::sub(x, x));
                }
            }
            let [a, b, c, d] = sums;
            S::store(lanes.as_mut_ptr(), S::add(S::add(a, b), S::add(c, d)));
        }
        lanes.iter().all(|&x| x == T::ZERO) && rest.iter().all(|x| x.is_finite())
    }
}

kernel! {
    /// The IEEE quotients pixel / 255 (rule 7 of `docs/exactness.md`), without a division.
    pub fn pixels<T>(pixels: &[u8], to: &mut [T]) {
        for (to, &pixel) in to.iter_mut().zip(pixels) {
            *to = T::quotient(pixel.into());
        }
    }
}

#[cfg(test)]
#[path = "elementwise_tests.rs"]
mod tests;
