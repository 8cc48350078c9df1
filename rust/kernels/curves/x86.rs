//! sigmoid and tanh of several registers at once, by the operations of `math.rs`, which judges them.

// Reason: the functions of iterators are not always inlined into one that is compiled for a wider
// instruction set.
#![allow(clippy::needless_range_loop)]

// Reason: the names of intrinsics say where they come from.
#[allow(clippy::wildcard_imports)]
use std::arch::x86_64::*;

use crate::kernels::math::Coefficients;
use crate::kernels::simd::Simd;
use crate::kernels::{Real, avx2, avx512};

/// What the curves need of a register beside [`Simd`]. Every operation works lane by lane and rounds once.
///
/// # Safety
/// As for [`Simd`].
pub trait Curved: Simd {
    /// a b.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a / b.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// c - a b, rounded once.
    unsafe fn neg_mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// -|a|.
    unsafe fn neg_abs(a: Self::V) -> Self::V;
    /// |a| with the sign of b.
    unsafe fn copysign(a: Self::V, b: Self::V) -> Self::V;
    /// a, or the bound where a is less; NaN stays.
    unsafe fn at_least(a: Self::V, bound: Self::V) -> Self::V;
    /// a where z < 0, else b.
    unsafe fn where_negative(z: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// The last bits as the exponent, without the others.
    unsafe fn last_bits_to_exponent(a: Self::V) -> Self::V;
}

/// Some registers, by number.
macro_rules! each {
    (|$i:ident| $register:expr) => {{
        let mut registers = [S::splat(S::T::ZERO); N];
        for $i in 0..N {
            registers[$i] = $register;
        }
        registers
    }};
}

/// sigmoid, as in `math.rs`.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn sigmoid<S: Curved, const N: usize>(z: [S::V; N]) -> [S::V; N] {
    // SAFETY: the caller's word.
    unsafe {
        let (zero, one) = (S::splat(S::T::ZERO), S::splat(S::T::ONE));
        let underflow = S::splat(S::T::UNDERFLOW);
        let [high, low, n] = exp_parts::<S, N>(each!(|i| S::at_least(S::neg_abs(z[i]), underflow)));
        let e = each!(|i| S::add(one, high[i]));
        let e_low = each!(|i| S::add(S::sub(high[i], S::sub(e[i], one)), low[i]));
        let (half, round) = (S::splat(S::T::ONE / S::T::TWO), S::splat(S::T::ROUND));
        let half = each!(|i| S::sub(S::mul_add(n[i], half, round), round));
        let p = power_of_two::<S, N>(half);
        let q = power_of_two::<S, N>(each!(|i| S::sub(n[i], half[i])));
        let power = each!(|i| S::mul(p[i], q[i]));
        let divisor = each!(|i| S::mul_add(e[i], power[i], one));
        let divisor_low = each!(|i| {
            let low = S::mul(e_low[i], power[i]);
            S::add(S::sub(S::mul(e[i], power[i]), S::sub(divisor[i], one)), low)
        });
        let dividend = each!(|i| S::where_negative(z[i], e[i], one));
        let dividend_low = each!(|i| S::where_negative(z[i], e_low[i], zero));
        let scale = each!(|i| S::where_negative(z[i], p[i], one));
        let a = quotient::<S, N>(dividend, dividend_low, divisor, divisor_low, scale);
        each!(|i| S::mul(a[i], S::where_negative(z[i], q[i], one)))
    }
}

/// tanh, as in `math.rs`.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn tanh<S: Curved, const N: usize>(z: [S::V; N]) -> [S::V; N] {
    // SAFETY: the caller's word.
    unsafe {
        let (one, two) = (S::splat(S::T::ONE), S::splat(S::T::TWO));
        let saturated = S::splat(-S::T::SATURATED);
        let [high, low, n] =
            exp_parts::<S, N>(each!(|i| S::at_least(S::mul(two, S::neg_abs(z[i])), saturated)));
        let p = power_of_two::<S, N>(n);
        let whole = each!(|i| S::sub(p[i], one));
        let whole_low = each!(|i| S::sub(p[i], S::add(whole[i], one)));
        let m = each!(|i| S::mul_add(p[i], high[i], whole[i]));
        let m_low = each!(|i| {
            let low = S::mul_add(p[i], low[i], whole_low[i]);
            S::add(S::mul_add(p[i], high[i], S::sub(whole[i], m[i])), low)
        });
        let divisor = each!(|i| S::add(two, m[i]));
        let divisor_low = each!(|i| S::add(S::sub(m[i], S::sub(divisor[i], two)), m_low[i]));
        let a = quotient::<S, N>(m, m_low, divisor, divisor_low, [one; N]);
        each!(|i| S::copysign(a[i], z[i]))
    }
}

/// `exp_parts`, as in `math.rs`.
#[inline(always)]
unsafe fn exp_parts<S: Curved, const N: usize>(x: [S::V; N]) -> [[S::V; N]; 3] {
    // SAFETY: the caller's word.
    unsafe {
        let (round, log2_e) = (S::splat(S::T::ROUND), S::splat(S::T::LOG2_E));
        let (ln_2, ln_2_low) = (S::splat(S::T::LN_2), S::splat(S::T::LN_2_LOW));
        let n = each!(|i| S::sub(S::mul_add(x[i], log2_e, round), round));
        let exact = each!(|i| S::neg_mul_add(n[i], ln_2, x[i]));
        let r = each!(|i| S::neg_mul_add(n[i], ln_2_low, exact[i]));
        let r_low = each!(|i| S::neg_mul_add(n[i], ln_2_low, S::sub(exact[i], r[i])));
        let square = each!(|i| S::mul(r[i], r[i]));
        let even = horner::<S, N>(square, S::T::EXP_EVEN);
        let odd = horner::<S, N>(square, S::T::EXP_ODD);
        let p = each!(|i| S::mul_add(odd[i], r[i], even[i]));
        let tail = each!(|i| S::mul_add(square[i], p[i], r_low[i]));
        let high = each!(|i| S::add(r[i], tail[i]));
        let low = each!(|i| S::sub(tail[i], S::sub(high[i], r[i])));
        [high, low, n]
    }
}

/// `power_of_two`, as in `math.rs`.
#[inline(always)]
unsafe fn power_of_two<S: Curved, const N: usize>(n: [S::V; N]) -> [S::V; N] {
    // SAFETY: the caller's word.
    unsafe {
        let exponent = S::splat(S::T::EXPONENT);
        each!(|i| S::last_bits_to_exponent(S::add(n[i], exponent)))
    }
}

/// `quotient`, as in `math.rs`.
#[inline(always)]
unsafe fn quotient<S: Curved, const N: usize>(
    high: [S::V; N],
    low: [S::V; N],
    divisor: [S::V; N],
    divisor_low: [S::V; N],
    scale: [S::V; N],
) -> [S::V; N] {
    // SAFETY: the caller's word.
    unsafe {
        let one = S::splat(S::T::ONE);
        let inverse = each!(|i| S::div(one, divisor[i]));
        let q = each!(|i| S::mul(high[i], inverse[i]));
        let rest = each!(|i| {
            let low = S::neg_mul_add(q[i], divisor_low[i], low[i]);
            S::add(S::neg_mul_add(q[i], divisor[i], high[i]), low)
        });
        each!(|i| S::mul_add(rest[i], S::mul(inverse[i], scale[i]), S::mul(q[i], scale[i])))
    }
}

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
unsafe fn horner<S: Curved, const N: usize>(x: [S::V; N], c: &[S::T]) -> [S::V; N] {
    let mut k = c.len() - 1;
    // SAFETY: the caller's word.
    unsafe {
        let mut sums = [S::splat(c[k]); N];
        while k > 0 {
            k -= 1;
            sums = each!(|i| S::mul_add(sums[i], x[i], S::splat(c[k])));
        }
        sums
    }
}

/// Implements [`Curved`]: the intrinsics, and a mantissa's bits.
macro_rules! curved {
    (
        $set:ident::$element:ident, $v:ident, $mul:ident, $div:ident, $neg_mul_add:ident,
        $set1:ident, $and:ident, $and_not:ident, $or:ident, $max:ident,
        where_negative: |$z:ident, $a:ident, $b:ident| $where_negative:expr,
        exponent: |$bits:ident| $exponent:expr $(,)?
    ) => {
        impl Curved for $set::$element {
            #[inline(always)]
            unsafe fn mul(a: $v, b: $v) -> $v {
                // SAFETY: the caller has the set; so all below.
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            unsafe fn div(a: $v, b: $v) -> $v {
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            unsafe fn neg_mul_add(a: $v, b: $v, c: $v) -> $v {
                unsafe { $neg_mul_add(a, b, c) }
            }
            #[inline(always)]
            unsafe fn neg_abs(a: $v) -> $v {
                unsafe { $or(a, $set1(-0.0)) }
            }
            #[inline(always)]
            unsafe fn copysign(a: $v, b: $v) -> $v {
                unsafe { $or($and_not($set1(-0.0), a), $and($set1(-0.0), b)) }
            }
            #[inline(always)]
            unsafe fn at_least(a: $v, bound: $v) -> $v {
                unsafe { $max(bound, a) } // the second where either is NaN
            }
            #[inline(always)]
            unsafe fn where_negative($z: $v, $a: $v, $b: $v) -> $v {
                unsafe { $where_negative }
            }
            #[inline(always)]
            unsafe fn last_bits_to_exponent($bits: $v) -> $v {
                unsafe { $exponent }
            }
        }
    };
}

curved!(
    avx2::F32, __m256, _mm256_mul_ps, _mm256_div_ps, _mm256_fnmadd_ps,
    _mm256_set1_ps, _mm256_and_ps, _mm256_andnot_ps, _mm256_or_ps, _mm256_max_ps,
    where_negative: |z, a, b| {
        _mm256_blendv_ps(b, a, _mm256_cmp_ps::<_CMP_LT_OQ>(z, _mm256_setzero_ps()))
    },
    exponent: |a| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a))),
);

curved!(
    avx2::F64, __m256d, _mm256_mul_pd, _mm256_div_pd, _mm256_fnmadd_pd,
    _mm256_set1_pd, _mm256_and_pd, _mm256_andnot_pd, _mm256_or_pd, _mm256_max_pd,
    where_negative: |z, a, b| {
        _mm256_blendv_pd(b, a, _mm256_cmp_pd::<_CMP_LT_OQ>(z, _mm256_setzero_pd()))
    },
    exponent: |a| _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(a))),
);

curved!(
    avx512::F32, __m512, _mm512_mul_ps, _mm512_div_ps, _mm512_fnmadd_ps,
    _mm512_set1_ps, _mm512_and_ps, _mm512_andnot_ps, _mm512_or_ps, _mm512_max_ps,
    where_negative: |z, a, b| {
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(z, _mm512_setzero_ps()), b, a)
    },
    exponent: |a| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a))),
);

curved!(
    avx512::F64, __m512d, _mm512_mul_pd, _mm512_div_pd, _mm512_fnmadd_pd,
    _mm512_set1_pd, _mm512_and_pd, _mm512_andnot_pd, _mm512_or_pd, _mm512_max_pd,
    where_negative: |z, a, b| {
        _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(z, _mm512_setzero_pd()), b, a)
    },
    exponent: |a| _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(a))),
);
