//! Losses: E of a row, and the r of the last layer that it starts the way back with.

use crate::activation::Activation;
use crate::error::Error;
use crate::kernels::{Isa, Real, elementwise, reduce};

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The sum of (a - y)^2 over the outputs: the report's E (Eq. 11).
    SquaredError,
    /// The sum of -y log(a); goes with softmax.
    CrossEntropy,
    /// The sum of -y log(a) - (1 - y) log(1 - a); goes with sigmoid.
    BinaryCrossEntropy,
}

impl Loss {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::SquaredError, Self::CrossEntropy, Self::BinaryCrossEntropy];

    /// The name in Python and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SquaredError => "squared_error",
            Self::CrossEntropy => "cross_entropy",
            Self::BinaryCrossEntropy => "binary_cross_entropy",
        }
    }

    /// The one of a name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|each| each.name() == name);
        found.ok_or_else(|| Error::unknown_name("loss", name, &Self::ALL.map(Self::name)))
    }

    /// Checks that the loss goes with an output activation.
    ///
    /// # Errors
    /// [`Error::LossNeeds`].
    pub fn check_output(self, output: Activation) -> Result<(), Error> {
        let needed = match self {
            Self::SquaredError => return Ok(()),
            Self::CrossEntropy => Activation::Softmax,
            Self::BinaryCrossEntropy => Activation::Sigmoid,
        };
        if output == needed {
            return Ok(());
        }
        let (expected, found) = (needed.name(), output.name());
        Err(Error::LossNeeds { loss: self.name(), expected, found })
    }

    /// E of one row (Eq. 11); z, a and y are (n_out,). A label stands for the y that is 1 there.
    ///
    /// The cross-entropies are computed from z, so that no logarithm meets a 0.
    pub fn forward<T: Real>(self, isa: Isa, z: &[T], a: &[T], y: &[T], label: Option<usize>) -> T {
        match (self, label) {
            (Self::SquaredError, _) => reduce::squared_distance(isa, a, y),
            (Self::CrossEntropy, Some(label)) => reduce::log_loss_at(isa, z, label),
            (Self::CrossEntropy, None) => reduce::log_loss(isa, z, y),
            (Self::BinaryCrossEntropy, _) => reduce::binary_log_loss(isa, z, y),
        }
    }

    /// r of the last layer, not yet divided by the rows of the batch; all are (rows, n_out).
    ///
    /// For a cross-entropy and its activation it is simply a - y.
    #[expect(clippy::too_many_arguments, reason = "the symbols of the equation")]
    pub fn backward<T: Real>(
        self,
        isa: Isa,
        output: Activation,
        z: &[T],
        a: &[T],
        y: &[T],
        r: &mut [T],
        n_out: usize,
    ) {
        match self {
            Self::SquaredError => {
                elementwise::twice_difference(isa, a, y, r); // dE/da = 2 (a - y)
                output.backward(isa, z, a, r, n_out); // r = sigma'(z) * dE/da (Eq. 24)
            }
            Self::CrossEntropy | Self::BinaryCrossEntropy => elementwise::difference(isa, a, y, r),
        }
    }

    /// dE/da of one output, for a trace; a term whose numerator is 0 is 0.
    pub fn derivative<T: Real>(self, a: T, y: T) -> T {
        let quotient = |x: T, y: T| if x == T::ZERO { T::ZERO } else { x / y };
        match self {
            Self::SquaredError => T::TWO * (a - y),
            Self::CrossEntropy => T::ZERO - quotient(y, a),
            Self::BinaryCrossEntropy => quotient(T::ONE - y, T::ONE - a) - quotient(y, a),
        }
    }
}
