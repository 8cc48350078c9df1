//! Layers of at most a line of outputs: what goes from one to the next stays in registers.
//!
//! Such a layer takes some twenty nanoseconds, and a line that is written and read again one by one
//! takes a quarter of that. Every function is inlined into `Work`; the rules are those of
//! `docs/exactness.md`, and each chain is as in the scalar loop.

use super::Real;
use super::lines::{LINE, Line, Lines, Wide};
use super::math::Elementary;
use super::rows::Descent;

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

/// One step without l2 and momentum for all weights W (k, 1 line), k at most [`LINE`].
#[inline(always)]
pub fn step<S: Lines>(s: S, x: Wide<S>, r: Wide<S>, w: &mut [Line<S::T>], by: Descent<S::T>) {
    debug_assert!(w.len() <= LINE);
    macro_rules! move_line {
        ($($k:literal)+) => {$(
            if let Some(w) = w.get_mut($k) {
                by.plain(s, x.lane::<$k>(), r, Wide::load(s, w)).store(w);
            }
        )+};
    }
    each_lane!(move_line);
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
    for x in &mut a.0 {
        *x = x.sigmoid();
    }
    Wide::load(s, &a)
}

/// tanh(z).
#[inline(always)]
#[must_use]
pub fn tanh<S: Lines>(s: S, z: Wide<S>) -> Wide<S> {
    let mut a = line(z);
    for x in &mut a.0 {
        *x = x.tanh();
    }
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
