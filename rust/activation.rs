//! Activations: a = sigma(z), and r = sigma'(z) * dE/da.

use crate::error::Error;
use crate::kernels::{Isa, Real, abreast, elementwise, math, reduce};

/// A hidden unit whose derivative is below this hardly lets the error through: it is saturated.
pub const SATURATED: f64 = 1.0 / 1024.0;

/// What a layer makes of z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// a = z.
    Identity,
    /// a = 1 / (1 + exp(-z)) (Eq. 7).
    Sigmoid,
    /// a = tanh(z).
    Tanh,
    /// a = 0 where z <= 0, else z.
    Relu,
    /// a = exp(z) / sum of exp(z): at the output only.
    Softmax,
}

impl Activation {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Identity, Self::Sigmoid, Self::Tanh, Self::Relu, Self::Softmax];

    /// The name in Python and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Softmax => "softmax",
        }
    }

    /// The one of a name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|each| each.name() == name);
        found.ok_or_else(|| Error::unknown_name("activation", name, &Self::ALL.map(Self::name)))
    }

    /// a = sigma(z) (Eq. 7); z and a are (rows, n_out).
    pub fn forward<T: Real>(self, isa: Isa, z: &[T], a: &mut [T], n_out: usize) {
        match self {
            Self::Identity => a.copy_from_slice(z),
            Self::Sigmoid => math::sigmoid(isa, z, a),
            Self::Tanh => math::tanh(isa, z, a),
            Self::Relu => elementwise::relu(isa, z, a),
            Self::Softmax => abreast::softmax(isa, z, a, n_out),
        }
    }

    /// a = sigma(z + b) in place of z: pieces of rows (rows, n), and b (n,); for hidden layers.
    ///
    /// # Panics
    /// For softmax, which needs whole rows.
    pub fn forward_with_bias<T: Real>(self, isa: Isa, z: &mut [T], b: &[T]) {
        match self {
            Self::Identity => elementwise::add(isa, z, b),
            Self::Sigmoid => elementwise::add_sigmoid(isa, z, b),
            Self::Tanh => elementwise::add_tanh(isa, z, b),
            Self::Relu => elementwise::add_relu(isa, z, b),
            Self::Softmax => unreachable!("softmax in a hidden layer"),
        }
    }

    /// r = sigma'(z) * dE/da (Eq. 24) in place of dE/da; all are (rows, n_out). Every
    /// derivative there is can be had from a.
    ///
    /// Returns how many units are saturated: sigma' below [`SATURATED`].
    pub fn backward<T: Real>(self, isa: Isa, a: &[T], r: &mut [T], n_out: usize) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Sigmoid => elementwise::sigmoid_backward(isa, a, r, T::from_f64(SATURATED)),
            Self::Tanh => elementwise::tanh_backward(isa, a, r, T::from_f64(SATURATED)),
            Self::Relu => elementwise::relu_backward(isa, a, r),
            Self::Softmax => {
                for (a, r) in a.chunks_exact(n_out).zip(r.chunks_exact_mut(n_out)) {
                    reduce::softmax_backward(isa, a, r);
                }
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation;
    use crate::kernels::{Isa, Real};

    /// a and r of two rows, dE/da being 1, 2, 3 and 4; and the saturated units.
    fn both<T: Real>(activation: Activation, z: [T; 4]) -> Vec<([T; 4], [T; 4], u64)> {
        let each = Isa::available().into_iter().map(|isa| {
            let (mut a, mut r) = ([T::ZERO; 4], [1.0, 2.0, 3.0, 4.0].map(T::from_f64));
            activation.forward(isa, &z, &mut a, 2);
            let saturated = activation.backward(isa, &a, &mut r, 2);
            (a, r, saturated)
        });
        each.collect()
    }

    #[test]
    fn identity_and_relu_by_hand() {
        let z = [1.0_f32, -2.0, 0.0, 0.5];
        for found in both(Activation::Identity, z) {
            assert_eq!(found, (z, [1.0, 2.0, 3.0, 4.0], 0));
        }
        for found in both(Activation::Relu, z) {
            assert_eq!(found, ([1.0, 0.0, 0.0, 0.5], [1.0, 0.0, 0.0, 4.0], 2));
        }
    }

    #[test]
    fn sigmoid_and_tanh_by_hand() {
        for (a, r, saturated) in both(Activation::Sigmoid, [0.0_f64, 40.0, -800.0, 0.0]) {
            assert_eq!((a, r), ([0.5, 1.0, 0.0, 0.5], [0.25, 0.0, 0.0, 1.0]));
            assert_eq!(saturated, 2);
        }
        for (a, r, saturated) in both(Activation::Tanh, [0.0_f64, 40.0, -40.0, 0.0]) {
            assert_eq!((a, r), ([0.0, 1.0, -1.0, 0.0], [1.0, 0.0, 0.0, 4.0]));
            assert_eq!(saturated, 2);
        }
    }

    #[test]
    fn softmax_goes_row_by_row() {
        // r = a (dE/da - sum of a dE/da): the sums are 1.5 and 4, as a is (1/2, 1/2) and (0, 1).
        for found in both(Activation::Softmax, [3.0_f64, 3.0, -900.0, 0.0]) {
            assert_eq!(found, ([0.5, 0.5, 0.0, 1.0], [-0.25, 0.25, 0.0, 0.0], 0));
        }
    }

    #[test]
    fn names_lead_back() {
        for each in Activation::ALL {
            assert_eq!(Activation::named(each.name()), Ok(each));
        }
        assert!(Activation::named("Sigmoid").is_err());
    }
}
