//! exp, sigmoid, tanh and log: the same operations in the same order on every path.
//!
//! Only `+ - * /`, fused multiply-adds, selections and bit operations are used, without a branch,
//! so a loop over a slice becomes vector code and gives the bits of the scalar function. The steps
//! that matter keep the low part that rounding drops beside the rounded number (`high + low`),
//! which holds the results near half a unit in the last place. Slices go through sigmoid and tanh
//! several registers at once, in `curves.rs`.
//!
//! The coefficients and the golden values of the float64 tests come from
//! `tests/golden/make_math.py`.

// Reason: the reduced argument, its square and the like are best called r, z, s, as in textbooks.
#![allow(clippy::many_single_char_names)]
// Reason: a function left uncalled inside a loop keeps the loop scalar.
#![allow(clippy::inline_always)]

use super::simd::simd_kernel;
use super::{curves, kernel};

/// The elementary functions of an element type.
///
/// NaN gives NaN. `f32` and `f64` have inherent `exp` and `tanh`, which are the platform's and
/// hide these: on a concrete type write `Elementary::exp(x)`.
pub trait Elementary: Copy {
    /// e to the power `self`.
    #[must_use]
    fn exp(self) -> Self;
    /// 1 / (1 + exp(-self)).
    #[must_use]
    fn sigmoid(self) -> Self;
    /// The hyperbolic tangent.
    #[must_use]
    fn tanh(self) -> Self;
    /// The natural logarithm: -inf at 0, NaN below.
    #[must_use]
    fn log(self) -> Self;
    /// log(1 + self) for `self` in [0, 1], which is all that the losses need.
    #[must_use]
    fn log1p(self) -> Self;
}

/// The numbers of exp, sigmoid and tanh.
pub trait Coefficients: Sized + 'static {
    /// Adding and taking away 1.5 * 2^mantissa rounds to a whole number.
    const ROUND: Self;
    /// Added to a whole number: the last bits of the sum are the biased exponent of its power of two.
    const EXPONENT: Self;
    /// log2(e).
    const LOG2_E: Self;
    /// ln 2.
    const LN_2: Self;
    /// ln 2 - `LN_2`.
    const LN_2_LOW: Self;
    /// From here down exp is 0.
    const UNDERFLOW: Self;
    /// From half of it on tanh is 1.
    const SATURATED: Self;
    /// exp(r) = 1 + r + r^2 P(r): the even powers of P, lowest first.
    const EXP_EVEN: &'static [Self];
    /// And the odd ones.
    const EXP_ODD: &'static [Self];
}

/// What the functions are made of.
trait Parts: Copy {
    /// `(high, low, n)` with exp(self) = 2^n (1 + high + low), |high| < 0.42, n whole.
    fn exp_parts(self) -> (Self, Self, Self);
    /// 2^self for a whole number within the exponents of normal numbers.
    fn power_of_two(self) -> Self;
    /// `(p, q)` with 2^self = p q, for a whole number within twice those exponents.
    fn two_powers_of_two(self) -> (Self, Self);
    /// `scale (high + low) / (1 + t)`, where 1 + t is `divisor + divisor_low`, and `scale` is a power
    /// of two that leaves the quotient normal.
    fn quotient(high: Self, low: Self, divisor: Self, divisor_low: Self, scale: Self) -> Self;
    /// log(self) + low, where |low| is at most a unit in the last place of 1.
    fn log_plus(self, low: Self) -> Self;
}

/// `x` where `condition` holds, else `y`: a selection, not a branch.
#[inline(always)]
fn select<T>(condition: bool, x: T, y: T) -> T {
    if condition { x } else { y }
}

/// Implements [`Elementary`] for one type.
///
/// `bias`: of exponents, and the same plus the exponent by which `log` scales subnormals;
/// `overflow`, `underflow`: exp is inf at the one and 0 at the other; `one`: tanh is 1 from
/// `one / 2` on; `exp_even`, `exp_odd`, `log`: coefficients, lowest first; `short_ln2`: ln 2 as a
/// number short enough for exact multiples, and the rest.
macro_rules! elementary {
    (
        $t:ident, bits: $bits:ident, mantissa: $mantissa:literal, bias: ($bias:literal, $subnormal_bias:literal),
        ln2_low: $ln2_low:literal, overflow: $overflow:literal, underflow: $underflow:literal,
        one: $one:literal,
        exp_even: $exp_even:expr, exp_odd: $exp_odd:expr,
        short_ln2: ($short_high:literal, $short_low:literal), log: $log:expr $(,)?
    ) => {
        impl Coefficients for $t {
            const ROUND: $t = 1.5 / $t::EPSILON;
            const EXPONENT: $t = Self::ROUND + $bias;
            const LOG2_E: $t = std::$t::consts::LOG2_E;
            const LN_2: $t = std::$t::consts::LN_2;
            const LN_2_LOW: $t = $ln2_low;
            const UNDERFLOW: $t = $underflow;
            const SATURATED: $t = $one;
            const EXP_EVEN: &'static [$t] = &$exp_even;
            const EXP_ODD: &'static [$t] = &$exp_odd;
        }

        impl Parts for $t {
            #[inline(always)]
            fn exp_parts(self) -> (Self, Self, Self) {
                let n = self.mul_add(Self::LOG2_E, Self::ROUND) - Self::ROUND;
                // self - n ln 2: the first step is exact, the second leaves a low part.
                let exact = (-n).mul_add(Self::LN_2, self);
                let r = (-n).mul_add(Self::LN_2_LOW, exact);
                let r_low = (-n).mul_add(Self::LN_2_LOW, exact - r);
                // exp(r) = 1 + r + r^2 P(r); even and odd powers apart make the chain short.
                let square = r * r;
                let even = horner(square, Self::EXP_EVEN);
                let p = horner(square, Self::EXP_ODD).mul_add(r, even);
                let tail = square.mul_add(p, r_low);
                let high = r + tail;
                (high, tail - (high - r), n)
            }

            #[inline(always)]
            fn power_of_two(self) -> Self {
                // The shift drops all other bits.
                $t::from_bits((self + Self::EXPONENT).to_bits() << $mantissa)
            }

            #[inline(always)]
            fn two_powers_of_two(self) -> (Self, Self) {
                let half = self.mul_add(0.5, Self::ROUND) - Self::ROUND;
                (half.power_of_two(), (self - half).power_of_two())
            }

            #[inline(always)]
            fn quotient(
                high: Self,
                low: Self,
                divisor: Self,
                divisor_low: Self,
                scale: Self,
            ) -> Self {
                let inverse = 1.0 / divisor;
                let q = high * inverse;
                let rest = (-q).mul_add(divisor, high) + (-q).mul_add(divisor_low, low);
                // Scaled before the last addition: what is exact need not be waited for.
                rest.mul_add(inverse * scale, q * scale)
            }

            #[inline(always)]
            fn log_plus(self, low: Self) -> Self {
                const ROOT: $bits = std::$t::consts::FRAC_1_SQRT_2.to_bits();
                const POWER: $t = 1.0 / $t::EPSILON;
                // A subnormal becomes normal; `bias` takes the scaling back.
                let small = self < $t::MIN_POSITIVE;
                let x = select(small, self * (4.0 * POWER), self);
                let bias = select(small, POWER + $subnormal_bias, POWER + $bias);
                // x = 2^n (1 + f) with 1 + f from sqrt(1/2) to sqrt(2).
                let shifted = x.to_bits().wrapping_add($t::to_bits(1.0) - ROOT);
                let n = $t::from_bits((shifted >> $mantissa) | POWER.to_bits()) - bias;
                let fraction = shifted & ((1 << $mantissa) - 1);
                let f = $t::from_bits(fraction + ROOT) - 1.0;
                // log(1 + f) = f - (h - s (h + R)) with h = f^2 / 2, s = f / (2 + f), R = z L(z).
                let s = f / (f + 2.0);
                let z = s * s;
                let h = 0.5 * f * f;
                let series = z.mul_add(horner(z, &$log), h);
                let tail = n.mul_add($short_low, low) - (-s).mul_add(series, h);
                // n ln 2 + f and what its rounding drops; n = 0 leaves f itself.
                let whole = n * $short_high;
                let high = whole + f;
                let result = high + ((f - (high - whole)) + tail);
                let result = select(self < $t::INFINITY, result, self);
                let result = select(self == 0.0, $t::NEG_INFINITY, result);
                select(self < 0.0, $t::NAN, result)
            }
        }

        impl Elementary for $t {
            #[inline(always)]
            fn exp(self) -> Self {
                let x = select(self > $overflow, $overflow, self);
                let x = select(x < Self::UNDERFLOW, Self::UNDERFLOW, x);
                let (high, low, n) = x.exp_parts();
                let e = 1.0 + high;
                let e = e + ((high - (e - 1.0)) + low);
                // Two factors, so that a subnormal result is rounded once, by the last.
                let (p, q) = n.two_powers_of_two();
                e * p * q
            }

            #[inline(always)]
            fn sigmoid(self) -> Self {
                // e / (1 + e) with e = exp(z) below 0, 1 / (1 + e) with e = exp(-z) above.
                let x = $t::abs(self);
                let x = -select(x > -Self::UNDERFLOW, -Self::UNDERFLOW, x);
                let (high, low, n) = x.exp_parts();
                let e = 1.0 + high;
                let e_low = (high - (e - 1.0)) + low;
                // e 2^n is exact where it matters beside 1, so that one multiplication by 2^n does.
                let (p, q) = n.two_powers_of_two();
                let power = p * q;
                let divisor = e.mul_add(power, 1.0);
                let divisor_low = (e * power - (divisor - 1.0)) + e_low * power;
                let negative = self < 0.0;
                let dividend = select(negative, e, 1.0);
                let dividend_low = select(negative, e_low, 0.0);
                let scale = select(negative, p, 1.0);
                let a = Self::quotient(dividend, dividend_low, divisor, divisor_low, scale);
                a * select(negative, q, 1.0)
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                // m / (2 + m) with m = expm1(-2 |x|), which is small where x is; the sign comes last.
                let x = -2.0 * $t::abs(self);
                let x = select(x < -Self::SATURATED, -Self::SATURATED, x);
                let (high, low, n) = x.exp_parts();
                let p = n.power_of_two();
                let whole = p - 1.0;
                let whole_low = p - (whole + 1.0);
                // p * high is exact.
                let m = p.mul_add(high, whole);
                let m_low = p.mul_add(high, whole - m) + p.mul_add(low, whole_low);
                let divisor = 2.0 + m;
                let divisor_low = (m - (divisor - 2.0)) + m_low;
                Self::quotient(m, m_low, divisor, divisor_low, 1.0).copysign(self)
            }

            #[inline(always)]
            fn log(self) -> Self {
                self.log_plus(0.0)
            }

            #[inline(always)]
            fn log1p(self) -> Self {
                let x = 1.0 + self;
                x.log_plus((self - (x - 1.0)) / x)
            }
        }
    };
}

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
fn horner<T: super::Real>(x: T, c: &[T]) -> T {
    let mut i = c.len() - 1;
    let mut sum = c[i];
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, c[i]);
    }
    sum
}

// Error of the rounded coefficients: exp 2^-28.5 of expm1(r), log 2^-29.9 of log(1 + f).
elementary! {
    f32, bits: u32, mantissa: 23, bias: (127.0, 152.0),
    ln2_low: -1.904_654_2e-9, overflow: 89.0, underflow: -105.0, one: 40.0,
    exp_even: [0.5, 0.041_666_355, 0.001_394_088_7],
    exp_odd: [0.166_666_67, 0.008_333_273, 0.000_199_140_8],
    short_ln2: (0.693_145_75, 1.428_606_8e-6),
    log: [0.666_667_64, 0.399_788_38, 0.298_421_5],
}

// Error of the rounded coefficients: exp 2^-60.0 of expm1(r), log 2^-58.9 of log(1 + f).
elementary! {
    f64, bits: u64, mantissa: 52, bias: (1023.0, 1077.0),
    ln2_low: 2.319_046_813_846_299_6e-17, overflow: 710.0, underflow: -746.0, one: 80.0,
    exp_even: [
        0.5,
        0.041_666_666_666_666_7,
        0.001_388_888_888_886_703_6,
        2.480_158_736_025_101_5e-5,
        2.755_724_297_330_224_7e-7,
        2.092_438_731_818_343_4e-9,
    ],
    exp_odd: [
        0.166_666_666_666_666_77,
        0.008_333_333_333_321_716,
        0.000_198_412_698_859_364_42,
        2.755_724_438_425_997_5e-6,
        2.510_897_995_609_210_2e-8,
    ],
    short_ln2: (0.693_147_180_559_890_3, 5.497_923_018_708_371e-14),
    log: [
        0.666_666_666_666_669_5,
        0.399_999_999_996_376_37,
        0.285_714_286_983_355_77,
        0.222_222_026_898_664_85,
        0.181_833_662_949_659_25,
        0.153_187_944_739_741_46,
        0.147_511_231_899_497_14,
    ],
}

kernel! {
    /// a = exp(z), element by element; both slices are equally long.
    pub fn exp<T>(z: &[T], a: &mut [T]) {
        debug_assert_eq!(z.len(), a.len());
        for (a, z) in a.iter_mut().zip(z) {
            *a = z.exp();
        }
    }
}

simd_kernel! {
    /// a = sigmoid(z), element by element; both slices are equally long.
    pub fn sigmoid<T, S>(z: &[T], a: &mut [T]) {
        debug_assert_eq!(z.len(), a.len());
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { curves::follow::<S, curves::Sigmoid>(z, a) }
    }
}

simd_kernel! {
    /// a = tanh(z), element by element; both slices are equally long.
    pub fn tanh<T, S>(z: &[T], a: &mut [T]) {
        debug_assert_eq!(z.len(), a.len());
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { curves::follow::<S, curves::Tanh>(z, a) }
    }
}

#[cfg(test)]
#[path = "math_tests.rs"]
mod tests;
