//! Lines in the registers of AVX2 and of AVX-512.

// Reason: intrinsics are many, and named as nothing else is.
#[allow(clippy::wildcard_imports)]
use std::arch::x86_64::*;

use super::{LINE, Lines, Registers, Work};
use crate::kernels::simd::{Simd, Vectors};

/// The witness of AVX2, FMA and POPCNT.
#[derive(Clone, Copy, Debug)]
pub struct Avx2<T>(std::marker::PhantomData<T>);

/// The witness of AVX-512.
#[derive(Clone, Copy, Debug)]
pub struct Avx512<T>(std::marker::PhantomData<T>);

impl Registers for f32 {
    type Avx2 = Avx2<f32>;
    type Avx512 = Avx512<f32>;
}

impl Registers for f64 {
    type Avx2 = Avx2<f64>;
    type Avx512 = Avx512<f64>;
}

/// Implements [`Lines`] for one set and element: the registers of a line by number, how many
/// elements each has, and the intrinsics.
macro_rules! lines {
    (
        $set:ident<$t:ident>, $features:literal, $v:ident, [$($i:literal)+], $lanes:literal,
        $set1:ident, $load:ident, $store:ident, $fmadd:ident, $add:ident, $sub:ident, $mul:ident,
        lane: |$w:ident, $k:ident| $lane:expr, abs: |$a:ident| $abs:expr, positive: |$z:ident, $d:ident| $positive:expr,
        above: |$l:ident, $r:ident| $above:expr, equal: |$l2:ident, $r2:ident| $equal:expr $(,)?
    ) => {
        impl Lines for $set<$t> {
            type T = $t;
            type W = [$v; LINE / $lanes];
            type Simd = <$t as Vectors>::$set;

            #[inline(always)]
            unsafe fn witness() -> Self {
                Self(std::marker::PhantomData)
            }
            #[inline(always)]
            fn apart<W: Work<$t>>(self, work: W) -> W::Output {
                #[target_feature(enable = $features)]
                #[inline(never)]
                fn compiled<W: Work<$t>>(work: W, s: $set<$t>) -> W::Output {
                    work.run(s)
                }
                // SAFETY: `self` is the witness that the processor has the features.
                unsafe { compiled(work, self) }
            }

            #[inline(always)]
            unsafe fn splat(x: $t) -> Self::W {
                // SAFETY: the caller has a witness; so all below.
                [unsafe { $set1(x) }; LINE / $lanes]
            }
            #[inline(always)]
            unsafe fn load(from: &[$t; LINE]) -> Self::W {
                // SAFETY: the registers are together as long as the line.
                [$(unsafe { $load(from.as_ptr().add($i * $lanes)) }),+]
            }
            #[inline(always)]
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "a register has few lanes"
            )]
            unsafe fn lane<const K: usize>(a: Self::W) -> Self::W {
                let ($w, $k) = (a[K / $lanes], (K % $lanes) as i32);
                [unsafe { $lane }; LINE / $lanes]
            }
            #[inline(always)]
            unsafe fn store(to: &mut [$t; LINE], a: Self::W) {
                // SAFETY: likewise.
                $(unsafe { $store(to.as_mut_ptr().add($i * $lanes), a[$i]) };)+
            }
            #[inline(always)]
            unsafe fn mul_add(a: Self::W, b: Self::W, c: Self::W) -> Self::W {
                [$(unsafe { $fmadd(a[$i], b[$i], c[$i]) }),+]
            }
            #[inline(always)]
            unsafe fn add_products(a: *const $t, at: usize, b: Self::W, sums: &mut Self::W) {
                unsafe { Self::Simd::add_products(a, at, b, sums) }
            }
            #[inline(always)]
            unsafe fn add(a: Self::W, b: Self::W) -> Self::W {
                [$(unsafe { $add(a[$i], b[$i]) }),+]
            }
            #[inline(always)]
            unsafe fn sub(a: Self::W, b: Self::W) -> Self::W {
                [$(unsafe { $sub(a[$i], b[$i]) }),+]
            }
            #[inline(always)]
            unsafe fn mul(a: Self::W, b: Self::W) -> Self::W {
                [$(unsafe { $mul(a[$i], b[$i]) }),+]
            }
            #[inline(always)]
            unsafe fn abs(a: Self::W) -> Self::W {
                [$({ let $a = a[$i]; unsafe { $abs } }),+]
            }
            #[inline(always)]
            unsafe fn unless_off(z: Self::W, d: Self::W) -> Self::W {
                [$({ let ($z, $d) = (z[$i], d[$i]); unsafe { $positive } }),+]
            }
            #[inline(always)]
            unsafe fn above(a: Self::W, b: Self::W) -> u32 {
                $(({ let ($l, $r) = (a[$i], b[$i]); bits(unsafe { $above }) } << ($i * $lanes)))|+
            }
            #[inline(always)]
            unsafe fn equal(a: Self::W, b: Self::W) -> u32 {
                $(({ let ($l2, $r2) = (a[$i], b[$i]); bits(unsafe { $equal }) } << ($i * $lanes)))|+
            }
        }
    };
}

/// A mask as a number.
#[inline(always)]
fn bits(mask: impl TryInto<u32>) -> u32 {
    mask.try_into().unwrap_or(0) // a mask of signs is never negative: it has at most eight bits
}

lines!(
    Avx2<f32>, "avx2,fma,popcnt", __m256, [0 1], 8,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps,
    _mm256_sub_ps, _mm256_mul_ps,
    lane: |w, k| _mm256_permutevar8x32_ps(w, _mm256_set1_epi32(k)),
    abs: |a| _mm256_andnot_ps(_mm256_set1_ps(-0.0), a),
    positive: |z, d| _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(z, _mm256_setzero_ps()), d),
    above: |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)),
    equal: |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)),
);

lines!(
    Avx2<f64>, "avx2,fma,popcnt", __m256d, [0 1 2 3], 4,
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd,
    _mm256_sub_pd, _mm256_mul_pd,
    lane: |w, k| {
        let w = _mm256_castpd_ps(w);
        _mm256_castps_pd(_mm256_permutevar8x32_ps(w, _mm256_setr_epi32(2*k,2*k+1,2*k,2*k+1,2*k,2*k+1,2*k,2*k+1)))
    },
    abs: |a| _mm256_andnot_pd(_mm256_set1_pd(-0.0), a),
    positive: |z, d| _mm256_and_pd(_mm256_cmp_pd::<_CMP_NLE_UQ>(z, _mm256_setzero_pd()), d),
    above: |a, b| _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(a, b)),
    equal: |a, b| _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(a, b)),
);

lines!(
    Avx512<f32>, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt", __m512, [0], 16,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps,
    _mm512_sub_ps, _mm512_mul_ps,
    lane: |w, k| _mm512_permutexvar_ps(_mm512_set1_epi32(k), w),
    abs: |a| _mm512_abs_ps(a),
    positive: |z, d| {
        _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(z, _mm512_setzero_ps()), d)
    },
    above: |a, b| _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b),
    equal: |a, b| _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b),
);

lines!(
    Avx512<f64>, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt", __m512d, [0 1], 8,
    _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd,
    _mm512_sub_pd, _mm512_mul_pd,
    lane: |w, k| _mm512_permutexvar_pd(_mm512_set1_epi64(i64::from(k)), w),
    abs: |a| _mm512_abs_pd(a),
    positive: |z, d| {
        _mm512_maskz_mov_pd(_mm512_cmp_pd_mask::<_CMP_NLE_UQ>(z, _mm512_setzero_pd()), d)
    },
    above: |a, b| _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b),
    equal: |a, b| _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b),
);
