//! Element by element: one rounded operation at a time, in the order written.

use super::curves::{self, Curve, Sigmoid, Tanh};
use super::simd::{Simd, simd_kernel};
use super::{Real, kernel};

/// A narrow row has at most so many elements: several are met together.
const NARROW: usize = 64;

/// How many narrow rows are met together.
const REPEATED: usize = 16;

/// What becomes of a row of sums z + b, in place of z. A type and not a closure, which would not be
/// compiled for the instruction set of the kernel that it is called in.
trait Sigma {
    /// # Safety
    /// As for [`Simd`].
    unsafe fn row<S: Simd>(z: &mut [S::T], b: &[S::T]);
}

struct Identity;
struct Relu;

impl Sigma for Identity {
    #[inline(always)]
    unsafe fn row<S: Simd>(z: &mut [S::T], b: &[S::T]) {
        for (z, &b) in z.iter_mut().zip(b) {
            *z = *z + b;
        }
    }
}

impl Sigma for Relu {
    #[inline(always)]
    unsafe fn row<S: Simd>(z: &mut [S::T], b: &[S::T]) {
        for (z, &b) in z.iter_mut().zip(b) {
            let sum = *z + b;
            *z = if sum <= S::T::ZERO { S::T::ZERO } else { sum };
        }
    }
}

impl<C: Curve> Sigma for C {
    #[inline(always)]
    unsafe fn row<S: Simd>(z: &mut [S::T], b: &[S::T]) {
        // SAFETY: the caller's word.
        unsafe { curves::follow_sums::<S, C>(z, b) }
    }
}

simd_kernel! {
    /// z + b in place of z (rule 2 of `docs/exactness.md`): z (rows, n), b (n,).
    pub fn add<T, S>(z: &mut [T], b: &[T]) {
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { activate::<S, Identity>(z, b) }
    }
}

simd_kernel! {
    /// relu(z + b) in place of z; likewise. NaN goes through, so that the loss shows it.
    pub fn add_relu<T, S>(z: &mut [T], b: &[T]) {
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { activate::<S, Relu>(z, b) }
    }
}

simd_kernel! {
    /// sigmoid(z + b) in place of z; likewise.
    pub fn add_sigmoid<T, S>(z: &mut [T], b: &[T]) {
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { activate::<S, Sigmoid>(z, b) }
    }
}

simd_kernel! {
    /// tanh(z + b) in place of z; likewise.
    pub fn add_tanh<T, S>(z: &mut [T], b: &[T]) {
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { activate::<S, Tanh>(z, b) }
    }
}

/// sigma(z + b) in place of z: z (rows, n), b (n,).
#[inline(always)]
unsafe fn activate<S: Simd, F: Sigma>(z: &mut [S::T], b: &[S::T]) {
    let n = b.len();
    if n == 0 || n > NARROW || z.len() < REPEATED * n {
        // SAFETY: the caller's word; so below.
        return unsafe { activate_rows::<S, F>(z, b) };
    }
    // A loop over a narrow row ends before it has filled its registers, so it goes over several rows.
    let mut room = [S::T::ZERO; REPEATED * NARROW];
    let repeated = &mut room[..REPEATED * n];
    for row in repeated.chunks_exact_mut(n) {
        row.copy_from_slice(b);
    }
    unsafe { activate_rows::<S, F>(z, repeated) }
}

/// The same of rows as wide as b, the last of which may be cut off.
#[inline(always)]
unsafe fn activate_rows<S: Simd, F: Sigma>(z: &mut [S::T], b: &[S::T]) {
    for z in z.chunks_mut(b.len().max(1)) {
        // SAFETY: the caller's word.
        unsafe { F::row::<S>(z, b) }
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

/// r of a unit, from its a and dE/da; and whether its derivative is below `small`. A type, as [`Sigma`] is.
trait Slope {
    fn back<T: Real>(a: T, d: T, small: T) -> (T, bool);
}

impl Slope for Relu {
    #[inline(always)]
    fn back<T: Real>(a: T, d: T, _: T) -> (T, bool) {
        let off = a <= T::ZERO;
        (if off { T::ZERO } else { d }, off)
    }
}

impl Slope for Sigmoid {
    #[inline(always)]
    fn back<T: Real>(a: T, d: T, small: T) -> (T, bool) {
        let slope = a * (T::ONE - a);
        (slope * d, slope < small)
    }
}

impl Slope for Tanh {
    #[inline(always)]
    fn back<T: Real>(a: T, d: T, small: T) -> (T, bool) {
        let slope = T::ONE - a * a;
        (slope * d, slope < small)
    }
}

kernel! {
    /// d *= a (1 - a), sigmoid's derivative; returns how many derivatives are below `small`.
    pub fn sigmoid_backward<T>(a: &[T], d: &mut [T], small: T) -> u64 {
        backward::<T, Sigmoid>(a, d, small)
    }
}

kernel! {
    /// d *= 1 - a a, tanh's derivative; returns how many derivatives are below `small`.
    pub fn tanh_backward<T>(a: &[T], d: &mut [T], small: T) -> u64 {
        backward::<T, Tanh>(a, d, small)
    }
}

kernel! {
    /// d = 0 where a = relu(z), and so z, is <= 0; returns how often.
    pub fn relu_backward<T>(a: &[T], d: &mut [T]) -> u64 {
        backward::<T, Relu>(a, d, T::ZERO)
    }
}

/// r in place of dE/da; returns how many derivatives are below `small`.
#[inline(always)]
fn backward<T: Real, S: Slope>(a: &[T], d: &mut [T], small: T) -> u64 {
    /// So many at a time are counted in 32 bits, which fill fewer registers than 64.
    const COUNTED: usize = 1 << 16;
    let mut count = 0;
    for (a, d) in a.chunks(COUNTED).zip(d.chunks_mut(COUNTED)) {
        let mut here = 0_u32;
        for (&a, d) in a.iter().zip(d) {
            let (r, is_small) = S::back(a, *d, small);
            here += u32::from(is_small);
            *d = r;
        }
        count += u64::from(here);
    }
    count
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
