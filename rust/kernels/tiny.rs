//! Steps by numbers so small that their products may be smaller than any normal number: deltas of saturated
//! units, and activations that are nearly 0. Of one row, without l2 and momentum.
//!
//! A processor may take a hundred times as long for an operation with a subnormal number. But what so small a
//! number moves a weight by is, unless that is tiny too, less than half of the distance to the next
//! number: it stays as it is, and that is quicker to see. Where it might be moved, the step is done as always.

use super::Real;
use super::lines::{LINE, Line, Lines, Wide, Work};
use super::rows::{self, Descent};

/// A bit for each lane.
pub(super) const EVERYWHERE: u32 = (1 << LINE) - 1;

/// What no tiny delta exceeds. Of the others' products with a pixel, which is 1/255 at least, none is -0.0 nor
/// subnormal, as 1 / FAR is above the least normal number.
pub(super) fn largest_tiny<T: Real>() -> T {
    T::from_f64(256.0) / T::FAR
}

/// Of two numbers above it in magnitude, the product is neither -0.0 nor subnormal.
pub(super) fn largest_small<T: Real>() -> T {
    largest_tiny::<T>().sqrt()
}

/// Whether any element is not 0 and below `limit` in magnitude.
#[inline(always)]
fn any_below<S: Lines>(s: S, lines: &[Line<S::T>], limit: S::T) -> bool {
    let (zero, limit) = (Wide::splat(s, S::T::ZERO), Wide::splat(s, limit));
    let mut below = 0;
    for line in lines {
        let x = Wide::load(s, line).abs();
        below |= zero.above(x.sub(limit).unless_off(x));
    }
    below != 0
}

/// Whether a product with one of these elements may be subnormal, though the other factor is not small.
#[inline(always)]
pub fn any_small<S: Lines>(s: S, lines: &[Line<S::T>]) -> bool {
    any_below(s, lines, largest_small())
}

/// The same where the other factor is a pixel, or 1.
#[inline(always)]
pub fn any_tiny<S: Lines>(s: S, lines: &[Line<S::T>]) -> bool {
    any_below(s, lines, largest_tiny())
}

/// The deltas of a line, and what has to be known of them.
pub(super) struct Deltas<S: Lines> {
    /// +0.0 in the place of -0.0.
    all: Wide<S>,
    /// The same, but +0.0 where they are within the limit.
    others: Wide<S>,
    /// A bit for each that is not 0.
    met: u32,
    /// A bit for each that is within the limit and not 0.
    within: u32,
    /// A weight above it in magnitude stays as it is where a factor of its gradient is within the limit.
    bound: Wide<S>,
}

impl<S: Lines> Deltas<S> {
    /// Of deltas r for inputs of at most `reach` in magnitude.
    #[inline(always)]
    pub(super) fn new(
        s: S,
        r: &Line<S::T>,
        (limit, reach): (S::T, S::T),
        by: Descent<S::T>,
    ) -> Self {
        let zero = Wide::splat(s, S::T::ZERO);
        let all = Wide::load(s, r).add(zero);
        let above_limit = all.abs().sub(Wide::splat(s, limit));
        let met = !all.equal(zero) & EVERYWHERE;
        // What is subtracted is to be less than half of the distance to the next number. Below a power of two
        // that half is |w| EPSILON / 4; a gradient that is subnormal may have been rounded up to twice r x;
        // and twice as much as both ask for covers the roundings here. Where the first product is rounded to
        // 0, nothing but a 0 could be moved, which is above no bound.
        let most = Wide::splat(s, by.rate.abs()).mul(all.abs().add(Wide::splat(s, reach)));
        let bound = most.mul(Wide::splat(s, S::T::from_f64(16.0) / S::T::EPSILON * limit));
        Self {
            all,
            others: all.unless_off(above_limit),
            met,
            within: met & !above_limit.above(zero),
            bound,
        }
    }

    /// The weights w of an input x after its step, without l2 and momentum; `is_small` where x is not 0 and
    /// within the limit.
    #[inline(always)]
    pub(super) fn step(
        &self,
        s: S,
        (x, is_small): (S::T, bool),
        w: Wide<S>,
        by: Descent<S::T>,
    ) -> Wide<S> {
        // No branch on what is small: which units are saturated cannot be foreseen.
        let little = if is_small { self.met } else { self.within };
        let exactly = little & !w.abs().above(self.bound) != 0;
        #[cfg(test)]
        super::testing::MET_TINY.count(exactly);
        if exactly {
            return by.plain(s, Wide::splat(s, x), self.all, w);
        }
        let x = if is_small { S::T::ZERO } else { x };
        by.plain(s, Wide::splat(s, x), self.others, w)
    }
}

/// One step without l2 and momentum for all weights W (k, lines) from x (k,) and r (lines,), whatever their
/// magnitudes.
///
/// # Panics
/// Where there are fewer weights.
pub fn step<S: Lines>(s: S, x: &[S::T], r: &[Line<S::T>], w: &mut [Line<S::T>], by: Descent<S::T>) {
    s.apart(Step { x, r, w, by });
}

struct Step<'a, T> {
    x: &'a [T],
    r: &'a [Line<T>],
    w: &'a mut [Line<T>],
    by: Descent<T>,
}

impl<T: Real> Work<T> for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { x, r, w, by } = self;
        let w = &mut w[..x.len() * r.len()];
        let (limit, reach) = (largest_small::<T>(), rows::magnitude(s, x));
        for (l, deltas) in r.iter().enumerate() {
            let deltas = Deltas::new(s, deltas, (limit, reach), by);
            for (&x, w) in x.iter().zip(w.chunks_exact_mut(r.len())) {
                let is_small = x.abs() <= limit && x != T::ZERO;
                deltas.step(s, (x, is_small), Wide::load(s, &w[l]), by).store(&mut w[l]);
            }
        }
    }
}

#[cfg(test)]
#[path = "tiny_tests.rs"]
mod tests;
