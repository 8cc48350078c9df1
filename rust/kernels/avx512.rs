//! The registers of AVX-512: 512 bits.

use std::arch::asm;
// Reason: the names of intrinsics say where they come from.
#[allow(clippy::wildcard_imports)]
use std::arch::x86_64::*;

use super::gemm::tile::{Output, Place, tile};
use super::simd::Simd;

/// Sixteen `f32`.
#[derive(Clone, Copy)]
pub struct F32;

/// Eight `f64`.
#[derive(Clone, Copy)]
pub struct F64;

/// A mask of the first `count` lanes, at most sixteen.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits are left")]
fn first(count: usize) -> u16 {
    (u32::from(u16::MAX) >> (16 - count.min(16))) as u16
}

/// Likewise, at most eight.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "eight bits are left")]
fn first_of_eight(count: usize) -> u8 {
    (u32::from(u8::MAX) >> (8 - count.min(8))) as u8
}

impl Simd for F32 {
    type T = f32;
    type V = __m512;
    const LANES: usize = 16;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the caller has AVX-512; so all below. Pointers are the caller's word.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_foreign(from: *const f32) -> __m512 {
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(from: *const f32) -> __m512 {
            let v;
            // SAFETY: the caller's word.
            unsafe {
                asm!("vmovups {v}, [{from}]", v = lateout(zmm_reg) v, from = in(reg) from,
                    options(readonly, nostack, preserves_flags));
            }
            v
        }
        unsafe { load(from) }
    }
    #[inline(always)]
    unsafe fn load_pixels(from: *const u8) -> __m512 {
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(from: *const u8) -> __m512i {
            let v;
            // SAFETY: the caller's word.
            unsafe {
                asm!("vpmovzxbd {v}, xmmword ptr [{from}]", v = lateout(zmm_reg) v, from = in(reg) from,
                    options(readonly, nostack, preserves_flags));
            }
            v
        }
        unsafe { _mm512_cvtepi32_ps(load(from)) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(first(count), from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, count: usize, v: __m512) {
        unsafe { _mm512_mask_storeu_ps(to, first(count), v) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_or_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn nonzero(a: __m512) -> u32 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, _mm512_setzero_ps()).into() }
    }

    /// Pairs, fours, then whole quarters change places.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller has AVX-512, sixteen rows to read and sixteen to write.
        unsafe {
            let mut r = [_mm512_setzero_ps(); 16];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm512_loadu_ps(from.add(i * stride));
            }
            let mut t = r;
            for i in (0..16).step_by(4) {
                let [ab, ab2] =
                    [_mm512_unpacklo_ps(r[i], r[i + 1]), _mm512_unpackhi_ps(r[i], r[i + 1])];
                let [cd, cd2] = [
                    _mm512_unpacklo_ps(r[i + 2], r[i + 3]),
                    _mm512_unpackhi_ps(r[i + 2], r[i + 3]),
                ];
                t[i] = _mm512_shuffle_ps::<0x44>(ab, cd);
                t[i + 1] = _mm512_shuffle_ps::<0xEE>(ab, cd);
                t[i + 2] = _mm512_shuffle_ps::<0x44>(ab2, cd2);
                t[i + 3] = _mm512_shuffle_ps::<0xEE>(ab2, cd2);
            }
            for i in 0..4 {
                let [a, b, c, d] = [t[i], t[i + 4], t[i + 8], t[i + 12]];
                let (ab, ab2) =
                    (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xDD>(a, b));
                let (cd, cd2) =
                    (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xDD>(c, d));
                let quarters = [
                    _mm512_shuffle_f32x4::<0x88>(ab, cd),
                    _mm512_shuffle_f32x4::<0x88>(ab2, cd2),
                    _mm512_shuffle_f32x4::<0xDD>(ab, cd),
                    _mm512_shuffle_f32x4::<0xDD>(ab2, cd2),
                ];
                for (q, &quarter) in quarters.iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * q + i) * to_stride), quarter);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const V: usize, const FORM: u8>(
        place: &Place<f32>,
        output: &Output<f32>,
        to: *mut f32,
        check: &mut Self::V,
    ) -> bool {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        unsafe fn compiled<const R: usize, const V: usize, const FORM: u8>(
            place: &Place<f32>,
            output: &Output<f32>,
            to: *mut f32,
            check: &mut __m512,
        ) -> bool {
            // SAFETY: the caller's word.
            unsafe { tile::<F32, R, V, FORM>(place, output, to, check) }
        }
        // SAFETY: the caller's word.
        unsafe { compiled::<R, V, FORM>(place, output, to, check) }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl Simd for F64 {
    type T = f64;
    type V = __m512d;
    const LANES: usize = 8;
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f64) -> __m512d {
        // SAFETY: as above; so all below.
        unsafe { _mm512_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> __m512d {
        unsafe { _mm512_loadu_pd(from) }
    }
    #[inline(always)]
    unsafe fn load_foreign(from: *const f64) -> __m512d {
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(from: *const f64) -> __m512d {
            let v;
            // SAFETY: the caller's word.
            unsafe {
                asm!("vmovupd {v}, [{from}]", v = lateout(zmm_reg) v, from = in(reg) from,
                    options(readonly, nostack, preserves_flags));
            }
            v
        }
        unsafe { load(from) }
    }
    #[inline(always)]
    unsafe fn load_pixels(from: *const u8) -> __m512d {
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(from: *const u8) -> __m256i {
            let v;
            // SAFETY: the caller's word.
            unsafe {
                asm!("vpmovzxbd {v}, qword ptr [{from}]", v = lateout(ymm_reg) v, from = in(reg) from,
                    options(readonly, nostack, preserves_flags));
            }
            v
        }
        unsafe { _mm512_cvtepi32_pd(load(from)) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f64, count: usize) -> __m512d {
        unsafe { _mm512_maskz_loadu_pd(first_of_eight(count), from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, v: __m512d) {
        unsafe { _mm512_storeu_pd(to, v) }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f64, count: usize, v: __m512d) {
        unsafe { _mm512_mask_storeu_pd(to, first_of_eight(count), v) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m512d, b: __m512d, c: __m512d) -> __m512d {
        unsafe { _mm512_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512d, b: __m512d) -> __m512d {
        unsafe { _mm512_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512d, b: __m512d) -> __m512d {
        unsafe { _mm512_sub_pd(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: __m512d, b: __m512d) -> __m512d {
        unsafe { _mm512_or_pd(a, b) }
    }

    #[inline(always)]
    unsafe fn nonzero(a: __m512d) -> u32 {
        unsafe { _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(a, _mm512_setzero_pd()).into() }
    }

    /// Pairs, then whole quarters change places.
    #[inline(always)]
    unsafe fn transpose(from: *const f64, stride: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller has AVX-512, eight rows to read and eight to write.
        unsafe {
            let mut r = [_mm512_setzero_pd(); 8];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm512_loadu_pd(from.add(i * stride));
            }
            let mut t = r;
            for i in (0..8).step_by(2) {
                t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);
                t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);
            }
            for i in 0..2 {
                let [a, b, c, d] = [t[i], t[i + 2], t[i + 4], t[i + 6]];
                let (ab, ab2) =
                    (_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xDD>(a, b));
                let (cd, cd2) =
                    (_mm512_shuffle_f64x2::<0x88>(c, d), _mm512_shuffle_f64x2::<0xDD>(c, d));
                let quarters = [
                    _mm512_shuffle_f64x2::<0x88>(ab, cd),
                    _mm512_shuffle_f64x2::<0x88>(ab2, cd2),
                    _mm512_shuffle_f64x2::<0xDD>(ab, cd),
                    _mm512_shuffle_f64x2::<0xDD>(ab2, cd2),
                ];
                for (q, &quarter) in quarters.iter().enumerate() {
                    _mm512_storeu_pd(to.add((2 * q + i) * to_stride), quarter);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const V: usize, const FORM: u8>(
        place: &Place<f64>,
        output: &Output<f64>,
        to: *mut f64,
        check: &mut Self::V,
    ) -> bool {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        unsafe fn compiled<const R: usize, const V: usize, const FORM: u8>(
            place: &Place<f64>,
            output: &Output<f64>,
            to: *mut f64,
            check: &mut __m512d,
        ) -> bool {
            // SAFETY: the caller's word.
            unsafe { tile::<F64, R, V, FORM>(place, output, to, check) }
        }
        // SAFETY: the caller's word.
        unsafe { compiled::<R, V, FORM>(place, output, to, check) }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f64) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
