//! The two element types, `f32` and `f64`, behind one trait.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::foreign::Bits;

/// A floating-point element: `f32` or `f64`.
///
/// Each operation rounds once, to nearest; [`Real::mul_add`] is the fused `self * b + c`.
pub trait Real:
    Bits
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + super::math::Coefficients
    + super::math::Elementary
    + super::simd::Vectors
    + super::lines::Registers
    + 'static
{
    /// +0.0.
    const ZERO: Self;
    /// 1.0.
    const ONE: Self;
    /// 2.0.
    const TWO: Self;
    /// From 1.0 to the next number.
    const EPSILON: Self;
    /// Below it a number is far from overflow.
    const FAR: Self;
    /// Pixels / 255, what a network sees of them.
    const QUOTIENTS: &'static [Self; 256];
    /// How many elements fill a 256-bit register.
    const LANES: usize;
    /// The dtype's name in Python and in files: `float32` or `float64`.
    const DTYPE: &'static str;

    /// `self * b + c`, rounded once.
    #[must_use]
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// The square root, rounded once.
    #[must_use]
    fn sqrt(self) -> Self;
    /// The magnitude.
    #[must_use]
    fn abs(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The nearest element to `x`.
    fn from_f64(x: f64) -> Self;
    /// pixel / 255 for a pixel below 256, rounded once, without a division: the number of [`Real::QUOTIENTS`].
    ///
    /// The product with the reciprocal is off by an ulp at most, and what the remainder adds to it rounds to the
    /// quotient: tests look at all 256.
    fn quotient(pixel: i32) -> Self;
    /// The same number as `f64`; exact.
    fn to_f64(self) -> f64;
}

macro_rules! real {
    ($t:ident, $lanes:literal) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const TWO: Self = 2.0;
            const EPSILON: Self = $t::EPSILON;
            const FAR: Self = $t::MAX / 8.0;
            #[expect(clippy::cast_precision_loss, reason = "a pixel is below 256")]
            const QUOTIENTS: &'static [Self; 256] = &{
                let mut quotients = [0.0; 256];
                let mut pixel = 0;
                while pixel < 256 {
                    quotients[pixel] = pixel as $t / 255.0;
                    pixel += 1;
                }
                quotients
            };
            const LANES: usize = $lanes;
            const DTYPE: &'static str = match $lanes {
                8 => "float32",
                _ => "float64",
            };

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                $t::mul_add(self, b, c)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $t::abs(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, clippy::cast_lossless)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_lossless,
                reason = "a pixel is below 256"
            )]
            fn quotient(pixel: i32) -> Self {
                let (pixel, most) = (pixel as $t, 255.0);
                let near = pixel * (1.0 / most);
                (-near).mul_add(most, pixel).mul_add(1.0 / most, near)
            }
            #[inline(always)]
            #[allow(clippy::cast_lossless)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    };
}

real!(f32, 8);
real!(f64, 4);
