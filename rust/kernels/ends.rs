//! Gradients by deltas of which some are tiny, as those of saturated units are, summed between two ends.
//!
//! An operation with a subnormal number may take a hundred times as long as another. So in the place of a tiny
//! delta stand a bound on it and its opposite, each in a sum of its own. Rounding keeps the order of numbers:
//! the gradient is between the two sums, as inputs are not negative, and the moved weight between the two
//! that they make. Nearly always these are the same.
//!
//! That is so for finite deltas of one block of rows, whose sum begins at +0.0, and without l2 and momentum.

use super::Real;
use super::lines::{Line, Lines, Wide, Work};
use super::rows::Descent;
use super::tiny::{EVERYWHERE, any_tiny, largest_tiny};

/// Two lines of numbers between which others are.
#[derive(Clone, Copy)]
pub(super) struct Ends<S: Lines> {
    pub(super) upper: Wide<S>,
    pub(super) lower: Wide<S>,
}

impl<S: Lines> Ends<S> {
    /// Around finite deltas: themselves where they are not tiny.
    #[inline(always)]
    pub(super) fn of(s: S, r: &Line<S::T>) -> Self {
        let (r, tiny) = (Wide::load(s, r), Wide::splat(s, largest_tiny()));
        let others = r.unless_off(r.abs().sub(tiny));
        let bound = tiny.unless_off(r.sub(others).abs());
        Self { upper: others.add(bound), lower: others.sub(bound) }
    }

    /// Weights after a step, without l2 and momentum, by the gradient that is between the two; none where it
    /// is not known how they are rounded.
    #[inline(always)]
    pub(super) fn descend(self, s: S, w: Wide<S>, by: Descent<S::T>) -> Option<Wide<S>> {
        let zero = Wide::splat(s, S::T::ZERO);
        let (upper, lower) = (zero.add(self.upper), zero.add(self.lower));
        let (new, other) = (by.down(s, upper, w), by.down(s, lower, w));
        // Of two zeros the sign might differ.
        let sure = new.equal(other) & (upper.equal(lower) | !new.equal(zero));
        let sure = sure == EVERYWHERE;
        #[cfg(test)]
        super::testing::MET_ENDS.count(!sure);
        sure.then_some(new)
    }
}

/// Whether any of these deltas is tiny.
pub struct AnyTiny<'a, T> {
    /// Deltas.
    pub r: &'a [Line<T>],
}

impl<T: Real> Work<T> for AnyTiny<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> bool {
        any_tiny(s, self.r)
    }
}

/// Writes the ends around finite deltas.
pub struct Surround<'a, T> {
    /// Deltas.
    pub r: &'a [Line<T>],
    /// Where the upper ends go, as many.
    pub upper: &'a mut [Line<T>],
    /// Where the lower ends go, as many.
    pub lower: &'a mut [Line<T>],
}

impl<T: Real> Work<T> for Surround<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        debug_assert!(self.r.len() == self.upper.len() && self.r.len() == self.lower.len());
        let ends = self.upper.iter_mut().zip(self.lower);
        for (r, (upper, lower)) in self.r.iter().zip(ends) {
            let ends = Ends::of(s, r);
            ends.upper.store(upper);
            ends.lower.store(lower);
        }
    }
}
