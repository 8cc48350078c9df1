//! Initial weights: drawn evenly from -limit to limit.

use crate::error::Error;
use crate::kernels::Real;
use crate::rng::{INITIAL_WEIGHTS, Words, uniform};

/// How wide the initial weights of a layer are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initialization {
    /// limit = sqrt(6 / (n_in + n_out)): for sigmoid, tanh and softmax.
    GlorotUniform,
    /// limit = sqrt(6 / n_in): for relu.
    HeUniform,
    /// limit = sqrt(3 / n_in): keeps the variance of what comes in.
    LecunUniform,
}

impl Initialization {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::GlorotUniform, Self::HeUniform, Self::LecunUniform];

    /// The name in Python and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GlorotUniform => "glorot_uniform",
            Self::HeUniform => "he_uniform",
            Self::LecunUniform => "lecun_uniform",
        }
    }

    /// The one of a name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|each| each.name() == name);
        found.ok_or_else(|| Error::unknown_name("initialization", name, &Self::ALL.map(Self::name)))
    }

    /// Weights of a layer (n_out, n_in) with n_in inputs lie within -limit .. limit.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^31")]
    pub fn limit(self, n_in: usize, n_out: usize) -> f64 {
        match self {
            Self::GlorotUniform => (6.0 / (n_in + n_out) as f64).sqrt(),
            Self::HeUniform => (6.0 / n_in as f64).sqrt(),
            Self::LecunUniform => (3.0 / n_in as f64).sqrt(),
        }
    }

    /// The weights of a layer (n_out, n_in), row by row: computed in f64, rounded once.
    pub fn draw<T: Real>(
        self,
        seed: u64,
        layer: usize,
        n_in: usize,
        n_out: usize,
    ) -> impl Iterator<Item = T> {
        let limit = self.limit(n_in, n_out);
        let words = Words::new(seed, INITIAL_WEIGHTS, layer as u64).take(n_in * n_out);
        words.map(move |word| T::from_f64(limit * (2.0 * uniform(word) - 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::Initialization;

    /// Printed by numpy 2.4.6 from the formula of `docs/exactness.md`: seed 9, layer 1, 3 inputs,
    /// 2 outputs.
    #[test]
    fn weights_are_those_of_numpy() {
        let weights = Initialization::GlorotUniform.draw::<f32>(9, 1, 3, 2);
        assert_eq!(
            weights.map(f32::to_bits).collect::<Vec<_>>(),
            [0x3f87_6f04, 0x3f41_4b25, 0xbf68_4a3e, 0xbf18_89a0, 0xbf85_0773, 0x3f4b_10db]
        );
        let weights = Initialization::HeUniform.draw::<f64>(9, 1, 3, 2);
        assert_eq!(
            weights.map(f64::to_bits).collect::<Vec<_>>(),
            [
                0x3ff5_db02_e7a8_6516,
                0x3fef_314e_eed3_cc6e,
                0xbff2_be29_6fd1_f3a0,
                0xbfe8_9d9b_361f_0eff,
                0xbff5_77ac_bb8c_ad72,
                0x3ff0_6282_8d85_6a19,
            ]
        );
    }

    #[test]
    fn limits_follow_the_sizes() {
        assert_eq!(Initialization::GlorotUniform.limit(4, 2).to_bits(), 1.0_f64.to_bits());
        assert_eq!(Initialization::HeUniform.limit(6, 9).to_bits(), 1.0_f64.to_bits());
        assert_eq!(Initialization::LecunUniform.limit(3, 9).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn names_lead_back() {
        for each in Initialization::ALL {
            assert_eq!(Initialization::named(each.name()), Ok(each));
        }
        assert!(Initialization::named("zeros").is_err());
    }
}
