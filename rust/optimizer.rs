//! Optimisers: what a step does with the gradient, and the vectors it keeps between steps.

use std::ops::Range;

use crate::error::Error;
use crate::kernels::gemm::Descent;
use crate::kernels::memory::{copied, zeros};
use crate::kernels::{Isa, Real, reduce, rows, update};
use crate::layer::Layer;
use crate::matrix::MatRef;

/// An optimiser and what it is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// Gradient descent (Eq. 5): g = fma(l2, w, g) for weights where l2 is not 0,
    /// v = fma(momentum, v, g), w = fma(-rate, v, w). Without momentum v is g and is not kept.
    Sgd {
        /// How much of the last step goes into this one.
        momentum: f64,
        /// The weight of l2 / 2 times the sum of the squared weights in what is made small.
        l2: f64,
    },
}

impl Optimizer {
    /// The names of all vectors that some optimiser keeps.
    pub const VECTORS: [&'static str; 1] = ["velocity"];

    /// Plain gradient descent.
    #[must_use]
    pub const fn sgd() -> Self {
        Self::Sgd { momentum: 0.0, l2: 0.0 }
    }

    /// Checks that each number is finite and not negative.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`].
    pub fn check(&self) -> Result<(), Error> {
        let Self::Sgd { momentum, l2 } = *self;
        not_negative("momentum", momentum)?;
        not_negative("l2", l2)
    }

    /// The names of the vectors that it keeps, each as long as the parameters.
    #[must_use]
    pub fn vectors(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd { momentum, .. } if *momentum != 0.0 => &["velocity"],
            Self::Sgd { .. } => &[],
        }
    }

    /// What it does with a gradient, at a learning rate.
    #[must_use]
    pub fn descent<T: Real>(&self, rate: T) -> rows::Descent<T> {
        let Self::Sgd { momentum, l2 } = *self;
        rows::Descent { rate, momentum: T::from_f64(momentum), l2: T::from_f64(l2) }
    }

    /// What moves a layer's weights (Eq. 5): against a gradient that is added to that of the rows
    /// `before`, if any, and never written down.
    ///
    /// `parameters`, `before` and the vectors of `state` are the flat ones of the whole network.
    pub fn descent_of_weights<'a, T: Real>(
        &self,
        rate: T,
        layer: &Layer,
        before: Option<&'a [T]>,
        parameters: &'a mut [T],
        state: &'a mut State<T>,
    ) -> Descent<'a, T> {
        let rows::Descent { rate, momentum, l2 } = self.descent(rate);
        Descent {
            w: &mut parameters[layer.weights()],
            v: state.velocity_mut().map(|v| &mut v[layer.weights()]),
            before: before.map(|g| &g[layer.weights()]),
            rate,
            momentum,
            l2,
        }
    }

    /// One step of a layer's biases from its last r (rows, n_out), whose gradient is added likewise;
    /// `db` is scratch for dE/db, (n_out,). Returns whether the new biases are finite.
    #[expect(clippy::too_many_arguments, reason = "the symbols of the equations")]
    pub fn step_biases<T: Real>(
        &self,
        isa: Isa,
        rate: T,
        layer: &Layer,
        r: &[T],
        before: Option<&[T]>,
        db: &mut [T],
        parameters: &mut [T],
        state: &mut State<T>,
    ) -> bool {
        let rows::Descent { rate, momentum, .. } = self.descent(rate);
        let r = MatRef::new(r, r.len() / layer.n_out, layer.n_out);
        if let Some(before) = before {
            db.copy_from_slice(&before[layer.biases()]);
        }
        reduce::column_sums(isa, r, db, before.is_none()); // Eq. 24: dE/db = r
        let b = &mut parameters[layer.biases()];
        let velocity = state.velocity_mut().map(|v| &mut v[layer.biases()]);
        moved(isa, b, velocity, db, (rate, momentum, T::ZERO)) // l2 is for weights
    }

    /// The same from the gradient written down, flat like the parameters.
    pub fn descend<T: Real>(
        &self,
        isa: Isa,
        rate: T,
        layer: &Layer,
        g: &[T],
        parameters: &mut [T],
        state: &mut State<T>,
    ) -> bool {
        let Self::Sgd { momentum, l2 } = *self;
        let (momentum, l2) = (T::from_f64(momentum), T::from_f64(l2));
        let mut part = |at: Range<usize>, l2| {
            let velocity = state.velocity_mut().map(|v| &mut v[at.clone()]);
            moved(isa, &mut parameters[at.clone()], velocity, &g[at], (rate, momentum, l2))
        };
        part(layer.weights(), l2) & part(layer.biases(), T::ZERO) // l2 is for weights
    }
}

/// Moves some parameters against their gradient by rate, momentum and l2. Returns whether they are
/// finite.
fn moved<T: Real>(
    isa: Isa,
    w: &mut [T],
    velocity: Option<&mut [T]>,
    g: &[T],
    (rate, momentum, l2): (T, T, T),
) -> bool {
    match velocity {
        Some(v) => update::descend_with_momentum(isa, w, v, g, rate, momentum, l2),
        None => update::descend(isa, w, g, rate, l2),
    }
}

/// Checks a number that may not be negative.
pub(crate) fn not_negative(what: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::Hyperparameter { what, found: value.to_string() })
    }
}

/// The vectors that an optimiser keeps between steps, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State<T> {
    vectors: Vec<(&'static str, Vec<T>)>,
}

impl<T: Real> State<T> {
    /// No vector.
    #[must_use]
    pub const fn new() -> Self {
        Self { vectors: Vec::new() }
    }

    /// The vectors and their names.
    pub fn vectors(&self) -> impl Iterator<Item = (&'static str, &[T])> {
        self.vectors.iter().map(|(name, vector)| (*name, vector.as_slice()))
    }

    /// The velocity, where there is one.
    #[must_use]
    pub fn velocity(&self) -> Option<&[T]> {
        self.vectors.first().map(|(_, velocity)| velocity.as_slice())
    }

    /// The velocity, to write.
    #[must_use]
    pub fn velocity_mut(&mut self) -> Option<&mut [T]> {
        self.vectors.first_mut().map(|(_, velocity)| velocity.as_mut_slice())
    }

    /// Takes over a vector.
    ///
    /// # Errors
    /// [`Error::UnknownName`] where no optimiser keeps a vector of this name.
    pub fn insert(&mut self, name: &str, vector: Vec<T>) -> Result<(), Error> {
        let known = Optimizer::VECTORS.into_iter().find(|known| *known == name);
        let known = known
            .ok_or_else(|| Error::unknown_name("optimizer vector", name, &Optimizer::VECTORS))?;
        self.vectors.retain(|(name, _)| *name != known);
        self.vectors.push((known, vector));
        Ok(())
    }

    /// Becomes a copy of another, in the memory that it has where that is of the right size.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn copy_from(&mut self, other: &Self) -> Result<(), Error> {
        let shape = |state: &Self| -> Vec<_> {
            state.vectors.iter().map(|(name, vector)| (*name, vector.len())).collect()
        };
        if shape(self) == shape(other) {
            for (to, from) in self.vectors.iter_mut().zip(&other.vectors) {
                to.1.copy_from_slice(&from.1);
            }
        } else {
            let copies = other.vectors.iter().map(|(name, v)| Ok((*name, copied(v)?)));
            self.vectors = copies.collect::<Result<_, Error>>()?;
        }
        Ok(())
    }

    /// Keeps the vectors that an optimiser needs, drops all others, and begins new ones at 0.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn prepare(&mut self, optimizer: &Optimizer, count: usize) -> Result<(), Error> {
        let names = optimizer.vectors();
        let mut missing = Vec::new();
        for name in names {
            if !self.vectors.iter().any(|(existing, _)| existing == name) {
                missing.push((*name, zeros(count)?));
            }
        }
        self.vectors.retain(|(name, _)| names.contains(name));
        self.vectors.append(&mut missing);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Optimizer, State};
    use crate::activation::Activation;
    use crate::error::Error;
    use crate::kernels::Isa;
    use crate::kernels::gemm::{Alone, Scratch, Team};
    use crate::layer::Layer;

    /// Two steps of a layer of one weight 2 and one bias 1 under a gradient of (4, 4).
    fn two_steps(momentum: f64, l2: f64) -> ([f32; 2], State<f32>) {
        let layer = Layer::new(1, 1, Activation::Identity, 0);
        let optimizer = Optimizer::Sgd { momentum, l2 };
        let (mut parameters, mut state) = ([2.0, 1.0], State::new());
        for _ in 0..2 {
            state.prepare(&optimizer, 2).unwrap();
            let scratch = Scratch::new();
            scratch.prepare(1).unwrap();
            let team = &Team { isa: Isa::detect(), crew: &Alone, scratch: &scratch };
            let (x, r, db, w) = (&[1.0][..], &[4.0][..], &mut [0.0], &mut parameters);
            let (isa, state) = (team.isa, &mut state);
            let descent = &mut optimizer.descent_of_weights(0.25, &layer, None, w, state);
            assert!(layer.step(team, (x, r), descent));
            assert!(optimizer.step_biases(isa, 0.25, &layer, r, None, db, w, state));
        }
        (parameters, state)
    }

    #[test]
    fn steps_by_hand() {
        assert_eq!(two_steps(0.0, 0.0), ([0.0, -1.0], State::new()));
        // g = 4 + 0.5 w for the weight: 2 - 1.25 = 0.75, then 0.75 - (1 + 0.09375).
        assert_eq!(two_steps(0.0, 0.5), ([-0.34375, -1.0], State::new()));
        // v = 4, then 6.
        let (parameters, state) = two_steps(0.5, 0.0);
        assert_eq!(parameters, [-0.5, -1.5]);
        assert_eq!(state.vectors().collect::<Vec<_>>(), [("velocity", &[6.0, 6.0][..])]);
    }

    #[test]
    fn only_the_vectors_needed_are_kept() {
        let (_, mut state) = two_steps(0.5, 0.0);
        let with = Optimizer::Sgd { momentum: 0.9, l2: 0.0 };
        state.prepare(&with, 2).unwrap();
        assert_eq!(state.vectors().next(), Some(("velocity", &[6.0, 6.0][..])));
        state.prepare(&Optimizer::sgd(), 2).unwrap();
        assert_eq!(state.vectors().next(), None);
        state.prepare(&with, 2).unwrap();
        assert_eq!(state.vectors().next(), Some(("velocity", &[0.0, 0.0][..])));
    }

    #[test]
    fn an_unknown_vector_is_refused() {
        let mut state = State::<f64>::new();
        let message = state.insert("moment", vec![]).unwrap_err().to_string();
        assert_eq!(message, "expected optimizer vector to be one of velocity, found \"moment\"");
        state.insert("velocity", vec![1.0]).unwrap();
        state.insert("velocity", vec![2.0]).unwrap();
        assert_eq!(state.vectors().collect::<Vec<_>>(), [("velocity", &[2.0][..])]);
    }

    #[test]
    fn numbers_are_checked() {
        let check = |momentum, l2| Optimizer::Sgd { momentum, l2 }.check();
        assert_eq!(check(0.9, 0.1), Ok(()));
        assert_eq!(
            check(-0.5, 0.0),
            Err(Error::Hyperparameter { what: "momentum", found: "-0.5".into() })
        );
        assert!(check(0.0, f64::NAN).is_err() && check(f64::INFINITY, 0.0).is_err());
    }
}
