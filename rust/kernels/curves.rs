//! sigmoid and tanh of whole slices, several registers at once.
//!
//! A chain of some forty operations fills the window in which a processor looks for work that can begin;
//! abreast, its neighbours are there too.

// Reason: the functions of iterators are not always inlined into one that is compiled for a wider
// instruction set.
#![allow(clippy::needless_range_loop)]

#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use super::Real;
use super::lines::{LINE, Line};
use super::simd::Simd;

/// A function of each element. A type and not a closure, which would not be compiled for the instruction
/// set of the kernel that it is called in.
pub trait Curve {
    /// Of each element of some registers.
    ///
    /// # Safety
    /// As for [`Simd`].
    unsafe fn of<S: Simd, const N: usize>(z: [S::V; N]) -> [S::V; N];
}

/// 1 / (1 + exp(-z)).
pub struct Sigmoid;

/// The hyperbolic tangent.
pub struct Tanh;

impl Curve for Sigmoid {
    #[inline(always)]
    unsafe fn of<S: Simd, const N: usize>(z: [S::V; N]) -> [S::V; N] {
        // SAFETY: the caller's word.
        unsafe { S::sigmoid(z) }
    }
}

impl Curve for Tanh {
    #[inline(always)]
    unsafe fn of<S: Simd, const N: usize>(z: [S::V; N]) -> [S::V; N] {
        // SAFETY: the caller's word.
        unsafe { S::tanh(z) }
    }
}

/// a = curve(z), element by element.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn follow<S: Simd, C: Curve>(z: &[S::T], a: &mut [S::T]) {
    let count = z.len().min(a.len());
    // SAFETY: the caller's word; there are so many elements.
    unsafe { each_register::<S, C, false>(z.as_ptr(), z.as_ptr(), a.as_mut_ptr(), count) }
}

/// curve(z + b) in place of z, element by element.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn follow_sums<S: Simd, C: Curve>(z: &mut [S::T], b: &[S::T]) {
    let (count, z) = (z.len().min(b.len()), z.as_mut_ptr());
    // SAFETY: the caller's word; there are so many elements.
    unsafe { each_register::<S, C, true>(z, b.as_ptr(), z, count) }
}

/// curve(z) in place of the elements of a line.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn follow_line<S: Simd, C: Curve>(z: &mut Line<S::T>) {
    let z = z.0.as_mut_ptr();
    // SAFETY: the caller's word; so many registers are a line.
    unsafe {
        match LINE / S::LANES {
            1 => registers::<S, C, 1, false>(z, z, z),
            2 => registers::<S, C, 2, false>(z, z, z),
            4 => registers::<S, C, 4, false>(z, z, z),
            _ => unreachable!("a register is a line, or half of one, or a quarter"),
        }
    }
}

/// a = curve(z), or curve(z + b) where `BIASED`, of so many elements.
///
/// # Safety
/// As for [`Simd`]; each points to so many elements; a is z, or overlaps neither z nor b.
#[inline(always)]
unsafe fn each_register<S: Simd, C: Curve, const BIASED: bool>(
    z: *const S::T,
    b: *const S::T,
    a: *mut S::T,
    count: usize,
) {
    const TOGETHER: usize = 4;
    let mut at = 0;
    // SAFETY: the caller's word; at + what is met is at most `count`.
    unsafe {
        while S::ABREAST && at + TOGETHER * S::LANES <= count {
            registers::<S, C, TOGETHER, BIASED>(z.add(at), b.add(at), a.add(at));
            at += TOGETHER * S::LANES;
        }
        while at < count {
            let here = S::LANES.min(count - at);
            let mut sum = S::load_part(z.add(at), here);
            if BIASED {
                sum = S::add(sum, S::load_part(b.add(at), here));
            }
            let [curve] = C::of::<S, 1>([sum]);
            S::store_part(a.add(at), here, curve);
            at += here;
        }
    }
}

/// The same of so many whole registers.
///
/// # Safety
/// Likewise.
#[inline(always)]
unsafe fn registers<S: Simd, C: Curve, const N: usize, const BIASED: bool>(
    z: *const S::T,
    b: *const S::T,
    a: *mut S::T,
) {
    // SAFETY: the caller's word.
    unsafe {
        let mut sums = [S::splat(S::T::ZERO); N];
        for i in 0..N {
            sums[i] = S::load(z.add(i * S::LANES));
            if BIASED {
                sums[i] = S::add(sums[i], S::load(b.add(i * S::LANES)));
            }
        }
        let curves = C::of::<S, N>(sums);
        for i in 0..N {
            S::store(a.add(i * S::LANES), curves[i]);
        }
    }
}
