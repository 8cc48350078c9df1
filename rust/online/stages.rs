//! The stages of a step, each compiled as a function of its own.
//!
//! All in one the compiler would take minutes for; a call costs a nanosecond.

use super::part::Part;
use crate::kernels::decoded::DecodedRow;
use crate::kernels::lines::{self, Lines, Work};
use crate::kernels::rows::{self, Descent};
use crate::kernels::sparse::{self, Lit, LitPixel, LitRow};
use crate::kernels::{Isa, Real, tiny};

/// z and a of a layer from its inputs (Eq. 6, 7).
pub(super) struct Forward<'a, T> {
    pub(super) isa: Isa,
    pub(super) x: &'a [T],
    pub(super) part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        rows::product(s, self.x, &self.part.w, &mut self.part.z);
        self.part.activate(s, self.isa);
    }
}

/// The same from those inputs that are not 0.
pub(super) struct ForwardLit<'a, T, E> {
    pub(super) isa: Isa,
    pub(super) x: LitRow<'a, E>,
    pub(super) part: &'a mut Part<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for ForwardLit<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        sparse::product(s, self.x, &self.part.w, &mut self.part.z);
        self.part.activate(s, self.isa);
    }
}

/// The same of a layer of one line, from a row that was decoded.
pub(super) struct ForwardDecoded<'a, T> {
    pub(super) isa: Isa,
    pub(super) x: &'a DecodedRow<T>,
    pub(super) part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for ForwardDecoded<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        self.x.product(s, &self.part.w).store(&mut self.part.z[0]);
        self.part.activate(s, self.isa);
    }
}

/// r of a layer from that of the next (Eq. 24); returns how many units are saturated.
pub(super) struct Backward<'a, T> {
    pub(super) isa: Isa,
    pub(super) next: &'a Part<T>,
    pub(super) part: &'a mut Part<T>,
}

impl<T: Real> Work<T> for Backward<'_, T> {
    type Output = u64;

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) -> u64 {
        let Self { isa, next, part } = self;
        rows::product(s, next.deltas(), &next.transposed, &mut part.r); // dE/da = W^T r
        part.slope(s, isa) // r = sigma'(z) * dE/da
    }
}

/// One step of a layer, W both ways, from the layer before (Eq. 5).
pub(super) struct Step<'a, T> {
    pub(super) before: &'a Part<T>,
    pub(super) part: &'a mut Part<T>,
    pub(super) by: Descent<T>,
}

impl<T: Real> Work<T> for Step<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { before, part, by } = self;
        let plain = !part.has_velocity() && by.l2 == T::ZERO;
        if plain && part.is_met_by_small(s, &before.a) {
            return part.step_small(s, &before.a, by);
        }
        part.step_biases(s, by, false);
        let Part { w, v, transposed, v_transposed, r, .. } = part;
        rows::step(s, before.outputs(), r, w, v, by);
        let r = &lines::flat(r)[..part.n_out];
        rows::step(s, r, &before.a, transposed, v_transposed, by);
    }
}

/// One step of the first layer from its inputs.
pub(super) struct StepFirst<'a, T> {
    pub(super) x: &'a [T],
    pub(super) part: &'a mut Part<T>,
    pub(super) by: Descent<T>,
}

impl<T: Real> Work<T> for StepFirst<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { x, part, by } = self;
        let small = !part.has_velocity() && tiny::any_small(s, &part.r);
        part.step_biases(s, by, small);
        if small && by.l2 == T::ZERO {
            return tiny::step(s, x, &part.r, &mut part.w, by);
        }
        rows::step(s, x, &part.r, &mut part.w, &mut part.v, by);
    }
}

/// One step of the first layer, for those weights only whose gradient is not 0.
pub(super) struct StepLit<'a, T, E> {
    pub(super) x: LitRow<'a, E>,
    /// What no magnitude of an input exceeds.
    pub(super) largest: T,
    pub(super) part: &'a mut Part<T>,
    pub(super) by: Descent<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for StepLit<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { x, largest, part, by } = self;
        let any_tiny = tiny::any_tiny(s, &part.r);
        part.step_biases(s, by, any_tiny);
        sparse::step(s, (x, largest), (&part.r, any_tiny), &mut part.w, by);
    }
}

/// The same of a layer of one line, from a row that is decoded beside its list.
pub(super) struct StepDecoded<'a, T> {
    pub(super) decoded: &'a DecodedRow<T>,
    pub(super) step: StepLit<'a, T, LitPixel>,
}

impl<T: Real> Work<T> for StepDecoded<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { decoded, step } = self;
        if tiny::any_tiny(s, &step.part.r) {
            return step.run(s);
        }
        let StepLit { part, by, .. } = step;
        part.step_biases(s, by, false);
        decoded.step(s, &part.r[0], &mut part.w, by);
    }
}
