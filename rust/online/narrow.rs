//! The stages of a step where every layer has at most a line of outputs.

use super::part::Part;
use crate::activation::{Activation, SATURATED};
use crate::kernels::lines::{self, Line, Lines, Wide, Work};
use crate::kernels::rows::Descent;
use crate::kernels::{Isa, Real, narrow, reduce};

/// z and a of all layers behind the first (Eq. 6, 7), then r of all (Eq. 24); returns how many
/// hidden units are saturated.
pub(super) struct There<'a, T> {
    pub(super) isa: Isa,
    pub(super) parts: &'a mut [Part<T>],
    pub(super) y: &'a Line<T>,
    /// Whether the way back begins with dE/da = 2 (a - y), else with r = a - y.
    pub(super) squared: bool,
}

impl<T: Real> Work<T> for There<'_, T> {
    type Output = u64;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> u64 {
        let Self { isa, parts, y, squared } = self;
        let (first, behind) = parts.split_at_mut(1);
        let mut a = Wide::load(s, &first[0].a[0]);
        for part in behind {
            a = part.forward(s, isa, a);
        }
        let last = parts.len() - 1;
        let difference = a.sub(Wide::load(s, y));
        let mut r = if squared {
            let d = Wide::splat(s, T::TWO).mul(difference);
            parts[last].backward(s, isa, d).0
        } else {
            difference.store(&mut parts[last].r[0]);
            difference
        };
        let mut saturated = 0;
        for l in (0..last).rev() {
            let (before, behind) = parts.split_at_mut(l + 1);
            let d = narrow::product(s, r, &behind[0].transposed); // dE/da = W^T r
            let count;
            (r, count) = before[l].backward(s, isa, d);
            saturated += count;
        }
        saturated
    }
}

/// One step without l2 and momentum of all layers behind the first (Eq. 5). The next row may have passed the
/// first meanwhile, so its a is given.
pub(super) struct Back<'a, T> {
    pub(super) parts: &'a mut [Part<T>],
    /// a of the first.
    pub(super) a: &'a Line<T>,
    pub(super) by: Descent<T>,
}

impl<T: Real> Work<T> for Back<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { parts, a, by } = self;
        for l in (1..parts.len()).rev() {
            let (before, behind) = parts.split_at_mut(l);
            let (a, part) = (if l == 1 { a } else { &before[l - 1].a[0] }, &mut behind[0]);
            if part.is_met_by_small(s, std::slice::from_ref(a)) {
                part.step_small(s, std::slice::from_ref(a), by);
                continue;
            }
            part.step_biases(s, by, false);
            narrow::step(s, a, &part.r[0], &mut part.w, by);
            narrow::step(s, &part.r[0], a, &mut part.transposed, by);
        }
    }
}

impl<T: Real> Part<T> {
    /// Whether it has at most a line of outputs.
    pub(super) fn is_narrow(&self) -> bool {
        self.a.len() == 1
    }

    /// z and a from the layer before (Eq. 6, 7).
    #[inline(always)]
    pub(super) fn forward<S: Lines<T = T>>(&mut self, s: S, isa: Isa, x: Wide<S>) -> Wide<S> {
        let product = narrow::product(s, x, &self.w);
        self.forward_from(s, isa, product)
    }

    /// The same from W x.
    #[inline(always)]
    pub(super) fn forward_from<S>(&mut self, s: S, isa: Isa, product: Wide<S>) -> Wide<S>
    where
        S: Lines<T = T>,
    {
        let z = product.add(Wide::load(s, &self.biases[0]));
        z.store(&mut self.z[0]);
        let a = match self.activation {
            Activation::Identity => z,
            Activation::Sigmoid => narrow::sigmoid(s, z),
            Activation::Tanh => narrow::tanh(s, z),
            Activation::Relu => z.unless_off(z),
            Activation::Softmax => {
                let n = self.n_out;
                let (z, a) = (&lines::flat(&self.z)[..n], &mut lines::flat_mut(&mut self.a)[..n]);
                reduce::softmax(isa, z, a);
                Wide::load(s, &self.a[0])
            }
        };
        let a = a.unless_off(Wide::load(s, &self.mask));
        a.store(&mut self.a[0]);
        a
    }

    /// r = sigma'(z) * dE/da (Eq. 24), and how many units are saturated.
    #[inline(always)]
    fn backward<S: Lines<T = T>>(&mut self, s: S, isa: Isa, d: Wide<S>) -> (Wide<S>, u64) {
        let (z, a) = (Wide::load(s, &self.z[0]), Wide::load(s, &self.a[0]));
        let small = Wide::splat(s, T::from_f64(SATURATED));
        let (r, flat) = match self.activation {
            Activation::Identity => (d, 0),
            Activation::Sigmoid => {
                let slope = narrow::sigmoid_slope(s, a);
                (slope.mul(d), small.above(slope))
            }
            Activation::Tanh => {
                let slope = narrow::tanh_slope(s, a);
                (slope.mul(d), small.above(slope))
            }
            Activation::Relu => {
                let zero = Wide::splat(s, T::ZERO);
                (d.unless_off(z), zero.above(z) | z.equal(zero))
            }
            Activation::Softmax => {
                d.store(&mut self.r[0]);
                let n = self.n_out;
                let (a, r) = (&lines::flat(&self.a)[..n], &mut lines::flat_mut(&mut self.r)[..n]);
                reduce::softmax_backward(isa, a, r);
                (Wide::load(s, &self.r[0]), 0)
            }
        };
        r.store(&mut self.r[0]);
        (r, u64::from((flat & narrow::first(self.n_out)).count_ones()))
    }
}
