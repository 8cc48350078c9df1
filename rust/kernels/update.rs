//! Optimiser steps (rule 4 of `docs/exactness.md`).
//!
//! Each also tells in the same pass whether every new parameter is finite: w - w is 0 where w is
//! finite, else NaN, which stays in a sum.

use super::portable::Lanes;
use super::{Real, kernel};

/// How many parameters are worked on together.
const N: usize = 16;

kernel! {
    /// g = fma(l2, w, g) where l2 is not 0; w = fma(-rate, g, w). Returns whether each w is finite.
    pub fn descend<T>(w: &mut [T], g: &[T], rate: T, l2: T) -> bool {
        assert_eq!(w.len(), g.len(), "as many gradients as parameters");
        let mut check = Lanes::<T, N>::splat(T::ZERO);
        let (mut w, mut g) = (w.chunks_exact_mut(N), g.chunks_exact(N));
        for (w, g) in (&mut w).zip(&mut g) {
            check = check.add(step::<T, N>(w, g, rate, l2));
        }
        let mut finite = check == Lanes::splat(T::ZERO);
        for (w, g) in w.into_remainder().chunks_exact_mut(1).zip(g.remainder().chunks_exact(1)) {
            finite &= step::<T, 1>(w, g, rate, l2) == Lanes::splat(T::ZERO);
        }
        finite
    }
}

kernel! {
    /// As [`descend`] with v = fma(momentum, v, g) in place of g.
    pub fn descend_with_momentum<T>(
        w: &mut [T], v: &mut [T], g: &[T], rate: T, momentum: T, l2: T,
    ) -> bool {
        assert!(w.len() == g.len() && v.len() == g.len(), "as many gradients as parameters");
        let mut check = Lanes::<T, N>::splat(T::ZERO);
        let (mut w, mut v) = (w.chunks_exact_mut(N), v.chunks_exact_mut(N));
        let mut g = g.chunks_exact(N);
        for ((w, v), g) in (&mut w).zip(&mut v).zip(&mut g) {
            check = check.add(momentum_step::<T, N>(w, v, g, rate, momentum, l2));
        }
        let mut finite = check == Lanes::splat(T::ZERO);
        let (w, v) = (w.into_remainder(), v.into_remainder());
        for ((w, v), &g) in w.chunks_exact_mut(1).zip(v.chunks_exact_mut(1)).zip(g.remainder()) {
            let left = momentum_step::<T, 1>(w, v, &[g], rate, momentum, l2);
            finite &= left == Lanes::splat(T::ZERO);
        }
        finite
    }
}

/// Gradient with the share of l2.
#[inline(always)]
fn decayed<T: Real, const N: usize>(w: Lanes<T, N>, g: &[T], l2: T) -> Lanes<T, N> {
    let g = Lanes::load(g);
    if l2 == T::ZERO { g } else { Lanes::splat(l2).mul_add(w, g) }
}

/// `N` parameters; returns w - w.
#[inline(always)]
fn step<T: Real, const N: usize>(w: &mut [T], g: &[T], rate: T, l2: T) -> Lanes<T, N> {
    let old = Lanes::load(w);
    let new = Lanes::splat(-rate).mul_add(decayed(old, g, l2), old);
    new.store(w);
    new.sub(new)
}

/// `N` parameters and their velocities; returns w - w.
#[inline(always)]
fn momentum_step<T: Real, const N: usize>(
    w: &mut [T],
    v: &mut [T],
    g: &[T],
    rate: T,
    momentum: T,
    l2: T,
) -> Lanes<T, N> {
    let old = Lanes::load(w);
    let velocity = Lanes::splat(momentum).mul_add(Lanes::load(v), decayed(old, g, l2));
    velocity.store(v);
    let new = Lanes::splat(-rate).mul_add(velocity, old);
    new.store(w);
    new.sub(new)
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
