//! The registers of AVX-512: 512 bits.

use std::arch::asm;
// Reason: the names of intrinsics say where they come from.
#[allow(clippy::wildcard_imports)]
use std::arch::x86_64::*;

use super::curves::x86 as curves;
use super::gemm;
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

/// As [`Simd::lit_pixels`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
    let mut met = _mm512_setzero_si512();
    for r in 0..rows {
        let pixels;
        // SAFETY: the caller's word. What others may write to is read by an instruction.
        unsafe {
            asm!("vmovdqu8 {pixels}, [{from}]", pixels = lateout(zmm_reg) pixels,
                from = in(reg) start.add(r * stride), options(readonly, nostack, preserves_flags));
        }
        met = _mm512_or_si512(met, pixels);
    }
    _mm512_test_epi8_mask(met, met)
}

/// The places of 64 bits.
#[repr(align(64))]
struct Numbers([u8; 64]);

#[expect(clippy::cast_possible_truncation, reason = "below 64")]
static NUMBERS: Numbers = {
    let mut numbers = [0; 64];
    let mut i = 0;
    while i < numbers.len() {
        numbers[i] = i as u8;
        i += 1;
    }
    Numbers(numbers)
};

/// As [`Simd::places`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn places(set: u64, first: usize, to: *mut u8) {
    if !is_x86_feature_detected!("avx512vbmi2") {
        // SAFETY: the caller's word.
        return unsafe { gemm::places(set, first, to) };
    }
    // SAFETY: the caller's word. A function with the feature could not be inlined here, and a call
    // costs as much as what it would do.
    unsafe {
        let numbers = _mm512_load_si512(NUMBERS.0.as_ptr().cast());
        let first = _mm512_set1_epi8(first.to_le_bytes()[0].cast_signed());
        let mut places = _mm512_add_epi8(numbers, first);
        asm!("vpcompressb {places}{{{set}}}{{z}}, {places}", places = inout(zmm_reg) places,
            set = in(kreg) set, options(pure, nomem, nostack, preserves_flags));
        _mm512_storeu_si512(to.cast(), places);
    }
}

impl Simd for F32 {
    type T = f32;
    type V = __m512;
    const LANES: usize = 16;
    const ROWS: usize = 8;
    const WIDE_ROWS: usize = 6;
    const TALL_ROWS: [usize; 2] = [16, 12];
    const LOOKS_AHEAD: bool = true;
    const ABREAST: bool = true;

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
    unsafe fn load_foreign(from: *const f32) -> [__m512; 4] {
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(from: *const f32) -> [__m512; 4] {
            let (a, b, c, d);
            // SAFETY: the caller's word.
            unsafe {
                asm!(
                    "vmovups {a}, [{from}]",
                    "vmovups {b}, [{from} + 64]",
                    "vmovups {c}, [{from} + 128]",
                    "vmovups {d}, [{from} + 192]",
                    from = in(reg) from, a = out(zmm_reg) a, b = out(zmm_reg) b, c = out(zmm_reg) c,
                    d = lateout(zmm_reg) d, options(readonly, nostack, preserves_flags),
                );
            }
            [a, b, c, d]
        }
        unsafe { load(from) }
    }
    #[inline(always)]
    unsafe fn add_products<const V: usize>(
        a: *const f32,
        at: usize,
        b: [__m512; V],
        sums: &mut [__m512; V],
    ) {
        // The element is in every lane of the instruction's operand: a load by itself takes longer.
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn add(a: *const f32, at: usize, b: __m512, mut sum: __m512) -> __m512 {
            // SAFETY: the caller's word.
            unsafe {
                asm!("vfmadd231ps {sum}, {b}, dword ptr [{a} + 4 * {at}]{{1to16}}",
                    sum = inout(zmm_reg) sum, b = in(zmm_reg) b, a = in(reg) a, at = in(reg) at,
                    options(readonly, nostack));
            }
            sum
        }
        for v in 0..V {
            sums[v] = unsafe { add(a, at, b[v], sums[v]) };
        }
    }
    #[inline(always)]
    unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
        unsafe { lit_pixels(start, rows, stride) }
    }
    #[inline(always)]
    unsafe fn places(set: u64, first: usize, to: *mut u8) {
        unsafe { places(set, first, to) }
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
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt")]
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
    unsafe fn sigmoid<const N: usize>(z: [__m512; N]) -> [__m512; N] {
        unsafe { curves::sigmoid::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn tanh<const N: usize>(z: [__m512; N]) -> [__m512; N] {
        unsafe { curves::tanh::<Self, N>(z) }
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
    const WIDE_ROWS: usize = 6;
    const TALL_ROWS: [usize; 2] = [16, 12];
    const LOOKS_AHEAD: bool = true;
    const ABREAST: bool = true;

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
    unsafe fn load_foreign(from: *const f64) -> [__m512d; 4] {
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn load(from: *const f64) -> [__m512d; 4] {
            let (a, b, c, d);
            // SAFETY: the caller's word.
            unsafe {
                asm!(
                    "vmovupd {a}, [{from}]",
                    "vmovupd {b}, [{from} + 64]",
                    "vmovupd {c}, [{from} + 128]",
                    "vmovupd {d}, [{from} + 192]",
                    from = in(reg) from, a = out(zmm_reg) a, b = out(zmm_reg) b, c = out(zmm_reg) c,
                    d = lateout(zmm_reg) d, options(readonly, nostack, preserves_flags),
                );
            }
            [a, b, c, d]
        }
        unsafe { load(from) }
    }
    #[inline(always)]
    unsafe fn add_products<const V: usize>(
        a: *const f64,
        at: usize,
        b: [__m512d; V],
        sums: &mut [__m512d; V],
    ) {
        // The element is in every lane of the instruction's operand: a load by itself takes longer.
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn add(a: *const f64, at: usize, b: __m512d, mut sum: __m512d) -> __m512d {
            // SAFETY: the caller's word.
            unsafe {
                asm!("vfmadd231pd {sum}, {b}, qword ptr [{a} + 8 * {at}]{{1to8}}",
                    sum = inout(zmm_reg) sum, b = in(zmm_reg) b, a = in(reg) a, at = in(reg) at,
                    options(readonly, nostack));
            }
            sum
        }
        for v in 0..V {
            sums[v] = unsafe { add(a, at, b[v], sums[v]) };
        }
    }
    #[inline(always)]
    unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
        unsafe { lit_pixels(start, rows, stride) }
    }
    #[inline(always)]
    unsafe fn places(set: u64, first: usize, to: *mut u8) {
        unsafe { places(set, first, to) }
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
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt")]
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
    unsafe fn sigmoid<const N: usize>(z: [__m512d; N]) -> [__m512d; N] {
        unsafe { curves::sigmoid::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn tanh<const N: usize>(z: [__m512d; N]) -> [__m512d; N] {
        unsafe { curves::tanh::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f64) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
