//! A row that comes alone: forward only, with the parameters in lines.

use super::part::{Part, Place};
use super::stages::Forward;
use crate::error::Error;
use crate::kernels::lines::{Lines, Work};
use crate::kernels::{Isa, Real};
use crate::matrix::zeros;
use crate::network::Network;

/// A copy of a network's parameters in lines, and scratch for a row.
#[derive(Clone, Debug)]
pub struct Lone<T> {
    parts: Vec<Part<T>>,
    /// The row's inputs (n_in,).
    pub x: Vec<T>,
}

impl<T: Real> Lone<T> {
    /// For a network as it is now.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(network: &Network<T>) -> Result<Self, Error> {
        let part = |layer| {
            let mut part = Part::new(layer, Place::Forward, false, false)?;
            part.load(layer, network.parameters(), None);
            Ok(part)
        };
        let parts = network.layers().iter().map(part).collect::<Result<_, Error>>()?;
        Ok(Self { parts, x: zeros(network.n_in())? })
    }

    /// The activations of the last layer (n_out,) for the inputs that `x` holds.
    pub fn predict(&mut self, isa: Isa) -> &[T] {
        let Self { parts, x } = self;
        isa.run(Through { isa, x, parts });
        self.parts[self.parts.len() - 1].outputs()
    }
}

/// A row through all layers (Eq. 6, 7, 11).
struct Through<'a, T> {
    isa: Isa,
    x: &'a [T],
    parts: &'a mut [Part<T>],
}

impl<T: Real> Work<T> for Through<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { isa, mut x, parts } = self;
        for part in parts {
            s.apart(Forward { isa, x, part });
            x = part.outputs();
        }
    }
}
