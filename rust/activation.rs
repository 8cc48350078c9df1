//! Activations: a = sigma(z), and r = sigma'(z) * dE/da.

use crate::error::Error;
use crate::kernels::{Isa, Real, elementwise, math, reduce};

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
    /// a = z where z > 0, else 0.
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
            Self::Softmax => {
                for (z, a) in z.chunks_exact(n_out).zip(a.chunks_exact_mut(n_out)) {
                    reduce::softmax(isa, z, a);
                }
            }
        }
    }

    /// r = sigma'(z) * dE/da (Eq. 24) in place of dE/da; all are (rows, n_out).
    ///
    /// Returns how many units are saturated: sigma' below [`SATURATED`].
    pub fn backward<T: Real>(self, isa: Isa, z: &[T], a: &[T], r: &mut [T], n_out: usize) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Sigmoid => elementwise::sigmoid_backward(isa, a, r, T::from_f64(SATURATED)),
            Self::Tanh => elementwise::tanh_backward(isa, a, r, T::from_f64(SATURATED)),
            Self::Relu => elementwise::relu_backward(isa, z, r),
            Self::Softmax => {
                for (a, r) in a.chunks_exact(n_out).zip(r.chunks_exact_mut(n_out)) {
                    reduce::softmax_backward(isa, a, r);
                }
                0
            }
        }
    }
}
