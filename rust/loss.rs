//! Losses: E of a row, and the r of the last layer that it starts the way back with.

use crate::activation::Activation;
use crate::error::Error;
use crate::kernels::{Isa, Real, abreast, elementwise, reduce};

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

    /// E of each row; z, a and y are (rows, n_out), the losses (rows,), and so the labels where there
    /// are any.
    pub fn forward_rows<T: Real>(
        self,
        isa: Isa,
        (z, a, y): (&[T], &[T], &[T]),
        labels: &[u32],
        losses: &mut [T],
    ) {
        let Some(n) = z.len().checked_div(losses.len()) else { return };
        match self {
            Self::SquaredError => abreast::squared_distances(isa, a, y, losses, n),
            Self::CrossEntropy if labels.is_empty() => abreast::log_losses(isa, z, y, losses, n),
            Self::CrossEntropy => abreast::log_losses_at(isa, z, labels, losses, n),
            Self::BinaryCrossEntropy => {
                let rows = z.chunks_exact(n).zip(y.chunks_exact(n));
                for ((z, y), loss) in rows.zip(losses) {
                    *loss = reduce::binary_log_loss(isa, z, y);
                }
            }
        }
    }

    /// All that training asks of rows whose answers are labels, where that can be had at once: E of each
    /// row (Eq. 11), the losses (rows,), and r of the last layer (rows, n_out), divided by `divisor`
    /// (rule 3). z is (rows, n_out). Returns how many rows are classified rightly; none, and nothing is
    /// written, where the loss is another or there are no labels.
    pub fn at_once<T: Real>(
        self,
        isa: Isa,
        (z, labels): (&[T], &[u32]),
        losses: &mut [T],
        r: &mut [T],
        divisor: T,
    ) -> Option<u64> {
        let n_out = z.len().checked_div(labels.len())?;
        let of_rows = (n_out, divisor);
        (self == Self::CrossEntropy)
            .then(|| abreast::classify(isa, (z, labels), losses, r, of_rows))
    }

    /// r of the last layer, not yet divided by the rows of the batch; all are (rows, n_out).
    ///
    /// For a cross-entropy and its activation it is simply a - y.
    pub fn backward<T: Real>(
        self,
        isa: Isa,
        output: Activation,
        a: &[T],
        y: &[T],
        r: &mut [T],
        n_out: usize,
    ) {
        match self {
            Self::SquaredError => {
                elementwise::twice_difference(isa, a, y, r); // dE/da = 2 (a - y)
                output.backward(isa, a, r, n_out); // r = sigma'(z) * dE/da (Eq. 24)
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

#[cfg(test)]
mod tests {
    use super::Loss;
    use crate::activation::Activation;
    use crate::error::Error;
    use crate::kernels::Isa;

    #[test]
    fn squared_error_by_hand() {
        let (z, a, y) = ([9.0; 2], [0.5_f32, 2.0], [1.0, 0.0]);
        for isa in Isa::available() {
            let loss = Loss::SquaredError.forward(isa, &z, &a, &y, None);
            assert_eq!(loss.to_bits(), 4.25_f32.to_bits());
            let mut r = [0.0; 2];
            Loss::SquaredError.backward(isa, Activation::Sigmoid, &a, &y, &mut r, 2);
            assert_eq!(r, [-0.25, -8.0]); // a (1 - a) * 2 (a - y)
        }
    }

    #[test]
    fn cross_entropies_come_from_z() {
        let (z, a) = ([1000.0_f64, 0.0], [1.0, 0.0]);
        for isa in Isa::available() {
            let loss = |label| Loss::CrossEntropy.forward(isa, &z, &a, &[0.0; 2], Some(label));
            assert_eq!([loss(0), loss(1)], [0.0, 1000.0]);
            let soft = Loss::CrossEntropy.forward(isa, &z, &a, &[0.75, 0.25], None);
            assert_eq!(soft.to_bits(), 250.0_f64.to_bits());
            let both = Loss::BinaryCrossEntropy.forward(isa, &z, &a, &[1.0, 0.0], None);
            assert_eq!(both.to_bits(), std::f64::consts::LN_2.to_bits());
            let wrong = Loss::BinaryCrossEntropy.forward(isa, &z, &a, &[0.0, 0.0], None);
            assert_eq!(wrong.to_bits(), (1000.0 + std::f64::consts::LN_2).to_bits());
            for (loss, output) in [
                (Loss::CrossEntropy, Activation::Softmax),
                (Loss::BinaryCrossEntropy, Activation::Sigmoid),
            ] {
                let mut r = [9.0; 2];
                loss.backward(isa, output, &[0.75, 0.25], &[0.0, 1.0], &mut r, 2);
                assert_eq!(r, [0.75, -0.75]);
            }
        }
    }

    #[test]
    fn a_term_without_numerator_is_zero() {
        let bits = |loss: Loss, a: f64, y: f64| loss.derivative(a, y).to_bits();
        assert_eq!(bits(Loss::SquaredError, 0.5, 1.0), (-1.0_f64).to_bits());
        assert_eq!(bits(Loss::CrossEntropy, 0.5, 0.25), (-0.5_f64).to_bits());
        assert_eq!(bits(Loss::CrossEntropy, 0.0, 0.0), 0.0_f64.to_bits());
        assert_eq!(bits(Loss::BinaryCrossEntropy, 0.5, 0.25), 1.0_f64.to_bits());
        assert_eq!(bits(Loss::BinaryCrossEntropy, 0.0, 0.0), 1.0_f64.to_bits());
        assert_eq!(bits(Loss::BinaryCrossEntropy, 1.0, 1.0), (-1.0_f64).to_bits());
    }

    #[test]
    fn a_cross_entropy_needs_its_activation() {
        for output in Activation::ALL {
            let right = output == Activation::Softmax;
            assert_eq!(Loss::CrossEntropy.check_output(output).is_ok(), right);
            let right = output == Activation::Sigmoid;
            assert_eq!(Loss::BinaryCrossEntropy.check_output(output).is_ok(), right);
            assert_eq!(Loss::SquaredError.check_output(output), Ok(()));
        }
        assert_eq!(
            Loss::CrossEntropy.check_output(Activation::Relu),
            Err(Error::LossNeeds { loss: "cross_entropy", expected: "softmax", found: "relu" })
        );
    }

    #[test]
    fn names_lead_back() {
        for each in Loss::ALL {
            assert_eq!(Loss::named(each.name()), Ok(each));
        }
        assert!(Loss::named("mse").is_err());
    }
}
