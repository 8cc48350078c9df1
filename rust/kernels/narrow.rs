//! Layers of at most a line of outputs: what goes from one to the next stays in registers.
//!
//! Such a layer takes some twenty nanoseconds, and a line that is written and read again one by one
//! takes a quarter of that. Every function is inlined into `Work`; the rules are those of
//! `docs/exactness.md`, and each chain is as in the scalar loop.

// Reason: k counts through the lists of several blocks at once.
#![allow(clippy::needless_range_loop)]

use super::Real;
use super::curves;
use super::foreign::Source;
use super::gemm::{BLOCK, List};
use super::lines::{LINE, Line, Lines, Wide};
use super::rows::Descent;
use super::tiny::any_small;

/// Does something for each of the lanes by number.
macro_rules! each_lane {
    ($each:ident) => {
        $each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
}

/// z = x W by rule 1: as many elements of x as W (k, 1 line) has lines, at most [`LINE`].
#[inline(always)]
#[must_use]
pub fn product<S: Lines>(s: S, x: Wide<S>, w: &[Line<S::T>]) -> Wide<S> {
    debug_assert!(w.len() <= LINE);
    let zero = Wide::splat(s, S::T::ZERO);
    let mut chain = zero;
    macro_rules! add {
        ($($k:literal)+) => {$(
            if let Some(w) = w.get($k) {
                chain = x.lane::<$k>().mul_add(Wide::load(s, w), chain);
            }
        )+};
    }
    each_lane!(add);
    zero.add(chain)
}

/// z = x W by rule 1, leaving out what of x is 0, which is exact by rule 8: x (k,), W (k, 1 line).
/// Others may write to x meanwhile: each sum is one of elements that stood there.
///
/// # Panics
/// Where there are fewer rows of weights than inputs.
#[inline(always)]
#[must_use]
pub fn product_lit<S: Lines>(s: S, x: Source<'_, S::T>, w: &[Line<S::T>]) -> Wide<S> {
    match x {
        Source::Values(values) => product_listed(s, x, w, |at| (values.start(), at)),
        Source::Pixels(pixels) => {
            let quotients = S::T::QUOTIENTS.as_ptr();
            product_listed(s, x, w, |at| (quotients, pixels.element(at).into()))
        }
    }
}

/// The same, where the element at a place is the one of some behind so many.
#[inline(always)]
fn product_listed<S: Lines>(
    s: S,
    x: Source<'_, S::T>,
    w: &[Line<S::T>],
    element: impl Fn(usize) -> (*const S::T, usize),
) -> Wide<S> {
    const SIDE: usize = 3;
    let k = x.len();
    assert!(w.len() >= k, "as many rows of weights as inputs");
    let zero = Wide::splat(s, S::T::ZERO);
    let mut sum = zero;
    let mut lists = [const { List::new() }; SIDE];
    // Blocks side by side, as their chains do not wait for each other.
    for first in (0..k).step_by(SIDE * BLOCK) {
        let mut counts = [0; SIDE];
        for ((c, list), count) in lists.iter_mut().enumerate().zip(&mut counts) {
            let first = k.min(first + c * BLOCK);
            let block = first..k.min(first + BLOCK);
            // SAFETY: `s` is the witness.
            *count = unsafe { list.fill::<S::Simd>(x, 0, (1, k), block) };
        }
        let mut chains = [zero; SIDE];
        // A macro, as a closure might not be inlined, and then not compiled for the set.
        macro_rules! follow {
            ($c:expr, $k:expr, $chain:expr) => {{
                let at = first + $c * BLOCK + lists[$c].place($k);
                // SAFETY: a place that is listed is that of an input, and has weights.
                unsafe {
                    let (x, i) = element(at);
                    $chain.add_product(x, i, Wide::load(s, w.get_unchecked(at)));
                }
            }};
        }
        let together = counts.iter().fold(BLOCK, |n, &count| n.min(count));
        for k in 0..together {
            for (c, chain) in chains.iter_mut().enumerate() {
                follow!(c, k, chain);
            }
        }
        for (c, mut chain) in chains.into_iter().enumerate() {
            for k in together..counts[c].min(BLOCK) {
                follow!(c, k, chain);
            }
            sum = sum.add(chain);
        }
    }
    sum
}

/// One step without l2 and momentum for all weights W (k, 1 line), k at most [`LINE`], where neither x nor r
/// is small (`tiny`): so no product is -0.0 behind +0.0, and it is the gradient.
#[inline(always)]
pub fn step<S: Lines>(
    s: S,
    x: &Line<S::T>,
    r: &Line<S::T>,
    w: &mut [Line<S::T>],
    by: Descent<S::T>,
) {
    debug_assert!(w.len() <= LINE);
    debug_assert!(!any_small(s, &[*x]) && !any_small(s, &[*r]));
    let (r, zero) = (Wide::load(s, r), Wide::splat(s, S::T::ZERO));
    for (w, &x) in w.iter_mut().zip(&x.0) {
        by.down(s, r.mul_add(Wide::splat(s, x), zero), Wide::load(s, w)).store(w);
    }
}

/// The line of a register.
#[inline(always)]
fn line<S: Lines>(z: Wide<S>) -> Line<S::T> {
    let mut line = Line::default();
    z.store(&mut line);
    line
}

/// sigmoid(z).
#[inline(always)]
#[must_use]
pub fn sigmoid<S: Lines>(s: S, z: Wide<S>) -> Wide<S> {
    let mut a = line(z);
    // SAFETY: `s` is the witness.
    unsafe { curves::follow_line::<S::Simd, curves::Sigmoid>(&mut a) }
    Wide::load(s, &a)
}

/// tanh(z).
#[inline(always)]
#[must_use]
pub fn tanh<S: Lines>(s: S, z: Wide<S>) -> Wide<S> {
    let mut a = line(z);
    // SAFETY: `s` is the witness.
    unsafe { curves::follow_line::<S::Simd, curves::Tanh>(&mut a) }
    Wide::load(s, &a)
}

/// sigma'(z) from a = sigmoid(z).
#[inline(always)]
#[must_use]
pub fn sigmoid_slope<S: Lines>(s: S, a: Wide<S>) -> Wide<S> {
    a.mul(Wide::splat(s, S::T::ONE).sub(a))
}

/// sigma'(z) from a = tanh(z).
#[inline(always)]
#[must_use]
pub fn tanh_slope<S: Lines>(s: S, a: Wide<S>) -> Wide<S> {
    Wide::splat(s, S::T::ONE).sub(a.mul(a))
}

/// A bit for each of the first `n` elements.
#[inline(always)]
#[must_use]
pub fn first(n: usize) -> u32 {
    (1_u32 << n.min(LINE)) - 1
}

#[cfg(test)]
#[path = "narrow_tests.rs"]
mod tests;
