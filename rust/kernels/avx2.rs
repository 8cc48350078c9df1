//! The registers of AVX2, with FMA and POPCNT: 256 bits.

use std::arch::asm;
// Reason: the names of intrinsics say where they come from.
#[allow(clippy::wildcard_imports)]
use std::arch::x86_64::*;

use super::curves::x86 as curves;
use super::gemm::tile::{Output, Place, tile};
use super::simd::Simd;

/// Eight `f32`.
#[derive(Clone, Copy)]
pub struct F32;

/// Four `f64`.
#[derive(Clone, Copy)]
pub struct F64;

/// Eight lanes of ones, then eight of zeros: from `8 - count` on, a mask of `count` lanes.
static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
/// Likewise in lanes of 64 bits, from `4 - count` on.
static MASK64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

#[inline(always)]
unsafe fn mask(count: usize) -> __m256i {
    // SAFETY: the caller has AVX2; eight lanes from 8 - count on lie within the table.
    unsafe { _mm256_loadu_si256(MASK.as_ptr().add(8 - count.min(8)).cast()) }
}

#[inline(always)]
unsafe fn mask64(count: usize) -> __m256i {
    // SAFETY: likewise, four lanes.
    unsafe { _mm256_loadu_si256(MASK64.as_ptr().add(4 - count.min(4)).cast()) }
}

/// Writes the first lanes. In parts, as AMD's processors take a dozen cycles and more for a store by a mask.
#[inline(always)]
unsafe fn store_part(to: *mut f32, count: usize, v: __m256) {
    // SAFETY: the caller has AVX2, and room for `count` elements.
    unsafe {
        if count >= 8 {
            return _mm256_storeu_ps(to, v);
        }
        let (mut to, mut rest) = (to, _mm256_castps256_ps128(v));
        if count & 4 != 0 {
            _mm_storeu_ps(to, rest);
            (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(v));
        }
        if count & 2 != 0 {
            _mm_storel_epi64(to.cast(), _mm_castps_si128(rest)); // at any address
            (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
        }
        if count & 1 != 0 {
            _mm_store_ss(to, rest);
        }
    }
}

/// Likewise.
#[inline(always)]
unsafe fn store_part64(to: *mut f64, count: usize, v: __m256d) {
    // SAFETY: likewise.
    unsafe {
        if count >= 4 {
            return _mm256_storeu_pd(to, v);
        }
        let (mut to, mut rest) = (to, _mm256_castpd256_pd128(v));
        if count & 2 != 0 {
            _mm_storeu_pd(to, rest);
            (to, rest) = (to.add(2), _mm256_extractf128_pd::<1>(v));
        }
        if count & 1 != 0 {
            _mm_store_sd(to, rest);
        }
    }
}

/// As [`Simd::lit_pixels`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
    let mut met = [_mm256_setzero_si256(); 2];
    for r in 0..rows {
        let (a, b);
        // SAFETY: the caller's word. What others may write to is read by an instruction.
        unsafe {
            asm!("vmovdqu {a}, [{from}]", "vmovdqu {b}, [{from} + 32]", a = out(ymm_reg) a,
                b = lateout(ymm_reg) b, from = in(reg) start.add(r * stride),
                options(readonly, nostack, preserves_flags));
        }
        met = [_mm256_or_si256(met[0], a), _mm256_or_si256(met[1], b)];
    }
    let [low, high] = met.map(|met| {
        let dark = _mm256_cmpeq_epi8(met, _mm256_setzero_si256());
        u64::from(!_mm256_movemask_epi8(dark).cast_unsigned())
    });
    high << 32 | low
}

impl Simd for F32 {
    type T = f32;
    type V = __m256;
    const LANES: usize = 8;
    const ROWS: usize = 6;
    const WIDE_ROWS: usize = 0;
    const TALL_ROWS: [usize; 2] = [Self::ROWS; 2];
    const LOOKS_AHEAD: bool = false;
    const ABREAST: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the caller has AVX2; so all below. Pointers are the caller's word.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_foreign(from: *const f32) -> [__m256; 4] {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn load(from: *const f32) -> [__m256; 4] {
            let (a, b, c, d);
            // SAFETY: the caller's word.
            unsafe {
                asm!(
                    "vmovups {a}, [{from}]",
                    "vmovups {b}, [{from} + 32]",
                    "vmovups {c}, [{from} + 64]",
                    "vmovups {d}, [{from} + 96]",
                    from = in(reg) from, a = out(ymm_reg) a, b = out(ymm_reg) b, c = out(ymm_reg) c,
                    d = lateout(ymm_reg) d, options(readonly, nostack, preserves_flags),
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
        b: [__m256; V],
        sums: &mut [__m256; V],
    ) {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn splat(a: *const f32, at: usize) -> __m256 {
            let x;
            // SAFETY: the caller's word.
            unsafe {
                asm!("vbroadcastss {x}, dword ptr [{a} + 4 * {at}]", x = lateout(ymm_reg) x,
                    a = in(reg) a, at = in(reg) at, options(readonly, nostack, preserves_flags));
            }
            x
        }
        let x = unsafe { splat(a, at) };
        for v in 0..V {
            sums[v] = unsafe { _mm256_fmadd_ps(x, b[v], sums[v]) };
        }
    }
    #[inline(always)]
    unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
        unsafe { lit_pixels(start, rows, stride) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(from, mask(count)) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, count: usize, v: __m256) {
        unsafe { store_part(to, count, v) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_or_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn nonzero(a: __m256) -> u32 {
        unsafe {
            let met = _mm256_cmp_ps::<_CMP_NEQ_UQ>(a, _mm256_setzero_ps());
            _mm256_movemask_ps(met).cast_unsigned()
        }
    }

    /// Pairs, fours, then halves change places.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller has AVX2, eight rows to read and eight to write.
        unsafe {
            let mut r = [_mm256_setzero_ps(); 8];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm256_loadu_ps(from.add(i * stride));
            }
            let mut t = r;
            for i in [0, 4] {
                let (ab, ab2) =
                    (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1]));
                let (cd, cd2) = (
                    _mm256_unpacklo_ps(r[i + 2], r[i + 3]),
                    _mm256_unpackhi_ps(r[i + 2], r[i + 3]),
                );
                t[i] = _mm256_shuffle_ps::<0x44>(ab, cd);
                t[i + 1] = _mm256_shuffle_ps::<0xEE>(ab, cd);
                t[i + 2] = _mm256_shuffle_ps::<0x44>(ab2, cd2);
                t[i + 3] = _mm256_shuffle_ps::<0xEE>(ab2, cd2);
            }
            // Row after row, as copies of A rely on.
            for i in 0..4 {
                let row = _mm256_permute2f128_ps::<0x20>(t[i], t[i + 4]);
                _mm256_storeu_ps(to.add(i * to_stride), row);
            }
            for i in 0..4 {
                let row = _mm256_permute2f128_ps::<0x31>(t[i], t[i + 4]);
                _mm256_storeu_ps(to.add((i + 4) * to_stride), row);
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
        #[target_feature(enable = "avx2,fma,popcnt")]
        unsafe fn compiled<const R: usize, const V: usize, const FORM: u8>(
            place: &Place<f32>,
            output: &Output<f32>,
            to: *mut f32,
            check: &mut __m256,
        ) -> bool {
            // SAFETY: the caller's word.
            unsafe { tile::<F32, R, V, FORM>(place, output, to, check) }
        }
        // SAFETY: the caller's word.
        unsafe { compiled::<R, V, FORM>(place, output, to, check) }
    }
    #[inline(always)]
    unsafe fn sigmoid<const N: usize>(z: [__m256; N]) -> [__m256; N] {
        unsafe { curves::sigmoid::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn tanh<const N: usize>(z: [__m256; N]) -> [__m256; N] {
        unsafe { curves::tanh::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl Simd for F64 {
    type T = f64;
    type V = __m256d;
    const LANES: usize = 4;
    const ROWS: usize = 6;
    const WIDE_ROWS: usize = 0;
    const TALL_ROWS: [usize; 2] = [Self::ROWS; 2];
    const LOOKS_AHEAD: bool = false;
    const ABREAST: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f64) -> __m256d {
        // SAFETY: as above; so all below.
        unsafe { _mm256_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> __m256d {
        unsafe { _mm256_loadu_pd(from) }
    }
    #[inline(always)]
    unsafe fn load_foreign(from: *const f64) -> [__m256d; 4] {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn load(from: *const f64) -> [__m256d; 4] {
            let (a, b, c, d);
            // SAFETY: the caller's word.
            unsafe {
                asm!(
                    "vmovupd {a}, [{from}]",
                    "vmovupd {b}, [{from} + 32]",
                    "vmovupd {c}, [{from} + 64]",
                    "vmovupd {d}, [{from} + 96]",
                    from = in(reg) from, a = out(ymm_reg) a, b = out(ymm_reg) b, c = out(ymm_reg) c,
                    d = lateout(ymm_reg) d, options(readonly, nostack, preserves_flags),
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
        b: [__m256d; V],
        sums: &mut [__m256d; V],
    ) {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn splat(a: *const f64, at: usize) -> __m256d {
            let x;
            // SAFETY: the caller's word.
            unsafe {
                asm!("vbroadcastsd {x}, qword ptr [{a} + 8 * {at}]", x = lateout(ymm_reg) x,
                    a = in(reg) a, at = in(reg) at, options(readonly, nostack, preserves_flags));
            }
            x
        }
        let x = unsafe { splat(a, at) };
        for v in 0..V {
            sums[v] = unsafe { _mm256_fmadd_pd(x, b[v], sums[v]) };
        }
    }
    #[inline(always)]
    unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
        unsafe { lit_pixels(start, rows, stride) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f64, count: usize) -> __m256d {
        unsafe { _mm256_maskload_pd(from, mask64(count)) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, v: __m256d) {
        unsafe { _mm256_storeu_pd(to, v) }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f64, count: usize, v: __m256d) {
        unsafe { store_part64(to, count, v) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: __m256d, b: __m256d, c: __m256d) -> __m256d {
        unsafe { _mm256_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256d, b: __m256d) -> __m256d {
        unsafe { _mm256_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256d, b: __m256d) -> __m256d {
        unsafe { _mm256_sub_pd(a, b) }
    }

    #[inline(always)]
    unsafe fn or(a: __m256d, b: __m256d) -> __m256d {
        unsafe { _mm256_or_pd(a, b) }
    }

    #[inline(always)]
    unsafe fn nonzero(a: __m256d) -> u32 {
        unsafe {
            let met = _mm256_cmp_pd::<_CMP_NEQ_UQ>(a, _mm256_setzero_pd());
            _mm256_movemask_pd(met).cast_unsigned()
        }
    }

    /// Pairs, then halves change places.
    #[inline(always)]
    unsafe fn transpose(from: *const f64, stride: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller has AVX2, four rows to read and four to write.
        unsafe {
            let mut r = [_mm256_setzero_pd(); 4];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm256_loadu_pd(from.add(i * stride));
            }
            let (ab, ab2) = (_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpackhi_pd(r[0], r[1]));
            let (cd, cd2) = (_mm256_unpacklo_pd(r[2], r[3]), _mm256_unpackhi_pd(r[2], r[3]));
            _mm256_storeu_pd(to, _mm256_permute2f128_pd::<0x20>(ab, cd));
            _mm256_storeu_pd(to.add(to_stride), _mm256_permute2f128_pd::<0x20>(ab2, cd2));
            _mm256_storeu_pd(to.add(2 * to_stride), _mm256_permute2f128_pd::<0x31>(ab, cd));
            _mm256_storeu_pd(to.add(3 * to_stride), _mm256_permute2f128_pd::<0x31>(ab2, cd2));
        }
    }
    #[inline(always)]
    unsafe fn tile<const R: usize, const V: usize, const FORM: u8>(
        place: &Place<f64>,
        output: &Output<f64>,
        to: *mut f64,
        check: &mut Self::V,
    ) -> bool {
        #[target_feature(enable = "avx2,fma,popcnt")]
        unsafe fn compiled<const R: usize, const V: usize, const FORM: u8>(
            place: &Place<f64>,
            output: &Output<f64>,
            to: *mut f64,
            check: &mut __m256d,
        ) -> bool {
            // SAFETY: the caller's word.
            unsafe { tile::<F64, R, V, FORM>(place, output, to, check) }
        }
        // SAFETY: the caller's word.
        unsafe { compiled::<R, V, FORM>(place, output, to, check) }
    }
    #[inline(always)]
    unsafe fn sigmoid<const N: usize>(z: [__m256d; N]) -> [__m256d; N] {
        unsafe { curves::sigmoid::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn tanh<const N: usize>(z: [__m256d; N]) -> [__m256d; N] {
        unsafe { curves::tanh::<Self, N>(z) }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f64) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}
