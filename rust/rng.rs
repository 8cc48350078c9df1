//! Random words from Philox4x64-10, the counter-based generator that NumPy has too.
//!
//! A word is a function of (seed, stream, index) and its place, so a draw never depends on the
//! draws before it.

/// The stream of initial weights; its index is the layer.
pub const INITIAL_WEIGHTS: u64 = 1;
/// The stream of shuffles; its index is the epoch.
pub const SHUFFLE: u64 = 2;

/// The words of one (seed, stream, index), in order.
///
/// They are those of `numpy.random.Philox(key=[seed, stream], counter=[0, index, 0, 0])`.
///
/// ```
/// use chainrule::rng::{INITIAL_WEIGHTS, Words};
///
/// assert_eq!(Words::new(0, INITIAL_WEIGHTS, 0).next(), Some(0xd037_f8c3_f9a1_d176));
/// ```
#[derive(Clone, Debug)]
pub struct Words {
    key: [u64; 2],
    index: u64,
    next: u64,
    block: [u64; 4],
}

impl Words {
    /// The words from the first.
    #[must_use]
    pub fn new(seed: u64, stream: u64, index: u64) -> Self {
        Self { key: [seed, stream], index, next: 0, block: [0; 4] }
    }

    /// Word i, wherever the iterator stands.
    #[must_use]
    pub fn at(&self, i: u64) -> u64 {
        self.four(i)[(i % 4) as usize]
    }

    /// The four words that are drawn together, word i among them: from i / 4 * 4 on.
    #[inline(always)]
    #[must_use]
    pub fn four(&self, i: u64) -> [u64; 4] {
        // NumPy increments first: words 0 to 3 are the block of counter (1, index, 0, 0).
        philox([i / 4 + 1, self.index, 0, 0], self.key)
    }
}

impl Iterator for Words {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let place = (self.next % 4) as usize;
        if place == 0 {
            self.block = self.four(self.next);
        }
        self.next += 1;
        Some(self.block[place])
    }
}

/// A word as a number in [0, 1): its upper 53 bits.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
pub fn uniform(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0) // 2^-53
}

/// Ten rounds of Philox4x64 (Salmon et al., 2011).
// Inlined, so that a loop over blocks prepares the keys of all rounds once, which halves its time.
#[inline(always)]
fn philox(mut counter: [u64; 4], mut key: [u64; 2]) -> [u64; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(0x9E37_79B9_7F4A_7C15);
            key[1] = key[1].wrapping_add(0xBB67_AE85_84CA_A73B);
        }
        let (high_0, low_0) = product(0xD2E7_470E_E14C_6C93, counter[0]);
        let (high_1, low_1) = product(0xCA5A_8263_9512_1157, counter[2]);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
    }
    counter
}

/// The upper and the lower half of a 128-bit product.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn product(a: u64, b: u64) -> (u64, u64) {
    let wide = u128::from(a) * u128::from(b);
    ((wide >> 64) as u64, wide as u64)
}

#[cfg(test)]
mod tests {
    use super::{Words, uniform};

    /// Printed by numpy 2.4.6: `Philox(key=[seed, stream], counter=[0, index, 0, 0]).random_raw`.
    #[test]
    fn words_are_those_of_numpy() {
        let words = |seed, stream, index, n| -> Vec<u64> {
            let words = Words::new(seed, stream, index);
            let apart: Vec<_> = (0..n).map(|i| words.at(i)).collect();
            assert!(words.take(apart.len()).eq(apart.iter().copied()), "one by one");
            apart
        };
        assert_eq!(
            words(0, 1, 0, 8),
            [
                0xd037_f8c3_f9a1_d176,
                0xc057_419b_4c21_0765,
                0xabf1_3115_117b_0065,
                0x7bae_035d_ea6e_a5c0,
                0xb487_ac82_e7dd_d46f,
                0x45e8_1edb_a7c5_9426,
                0xd0a3_831e_be9a_338c,
                0x9019_4c97_f11d_0dc3,
            ]
        );
        assert_eq!(
            words(42, 2, 7, 6),
            [
                0x6397_52f8_ebfe_ce58,
                0x536b_c7cd_0186_6107,
                0xa34c_84e3_405a_4881,
                0x312b_e097_cce0_04a3,
                0xdb99_7a0c_7e1a_a972,
                0x6645_b0a6_b092_8018,
            ]
        );
        assert_eq!(
            words(u64::MAX, 1, u64::MAX, 5),
            [
                0x6f24_056c_a939_ce9b,
                0xe5f3_a9f0_dec6_7b67,
                0x0096_605b_074c_2b4f,
                0x6be4_752d_4eb5_a74a,
                0xb476_a240_4ce4_f7bd,
            ]
        );
    }

    #[test]
    fn uniforms_reach_from_zero_to_below_one() {
        assert_eq!(uniform(0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(uniform(2047).to_bits(), 0.0_f64.to_bits());
        assert_eq!(uniform(u64::MAX).to_bits(), (1.0 - f64::EPSILON / 2.0).to_bits());
    }
}
