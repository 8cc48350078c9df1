//! A step that may leave the range of numbers.

use super::Online;
use super::stages::{Step, StepFirst};
use crate::data::{Dataset, Rows};
use crate::kernels::lines::{self, Line, Lines, Work};
use crate::kernels::rows::Descent;
use crate::kernels::{Isa, Real};

/// A step that leaves nothing out, as r may be infinite, and 0 times that is not 0.
pub(super) struct Careful<'a, T> {
    online: &'a mut Online<T>,
    by: Descent<T>,
}

impl<'a, T: Real> Careful<'a, T> {
    /// Takes it, slowly. Returns the first layer, if any, with a parameter that is no longer
    /// finite.
    #[cold]
    #[inline(never)]
    pub(super) fn step(
        online: &'a mut Online<T>,
        data: &Dataset<T>,
        row: usize,
        by: Descent<T>,
    ) -> Option<usize> {
        gather(online, data, row);
        Isa::portable().run(Careful { online, by });
        finish(online)
    }
}

impl<T: Real> Work<T> for Careful<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { online, by } = self;
        for l in (0..online.parts.len()).rev() {
            let (before, after) = online.parts.split_at_mut(l);
            let part = &mut after[0];
            match before.last() {
                Some(before) => Step { before, part, by }.run(s),
                None => StepFirst { x: &online.x, part, by }.run(s),
            }
        }
    }
}

/// The inputs of a row as numbers.
fn gather<T: Real>(online: &mut Online<T>, data: &Dataset<T>, row: usize) {
    let Online { x, y, .. } = online;
    data.gather(Rows::Range(row, 1), x, &mut lines::flat_mut(y)[..data.sizes().1]);
    y.fill(Line::default());
}

/// Looks whether every parameter is finite.
fn finish<T: Real>(online: &mut Online<T>) -> Option<usize> {
    online.x.fill(T::ZERO);
    online.measure();
    online.parts.iter().position(|part| !part.is_finite())
}
