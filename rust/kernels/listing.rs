//! Which pixels of a block are not zero: the form that images are kept in.

use super::foreign::Foreign;
use super::gemm::BLOCK;
use super::sparse::LitPixel;
use super::{Isa, Kind};

/// A listing may write so far behind its own entries.
pub const SLACK: usize = 32;

/// Lists what of a block of at most 256 pixels is not zero at the beginning of `to`. Returns how
/// many entries there are; what is written behind them is of no meaning.
///
/// # Panics
/// Where the block is longer, or `to` not [`SLACK`] longer than it.
pub fn list(isa: Isa, block: Foreign<'_, u8>, to: &mut [LitPixel]) -> usize {
    assert!(block.len() <= BLOCK && to.len() >= block.len() + SLACK, "room for all and more");
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has the features; there is room, as was just looked at.
        Kind::Avx512 if x86::has_compress() => unsafe { x86::compressed(block, to) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise; an `Isa` of this kind exists only where the processor has AVX2.
        Kind::Avx2 | Kind::Avx512 => unsafe { x86::shuffled(block, to) },
        Kind::Portable => copied(block, to),
    }
}

/// The plain form of a copy.
fn copied(block: Foreign<'_, u8>, to: &mut [LitPixel]) -> usize {
    let mut pixels = [0; BLOCK];
    let pixels = &mut pixels[..block.len()];
    block.copy(0, pixels);
    plain(pixels, 0, to)
}

/// Lists pixels of which the first has the place `first`: the plain form, and the judge.
#[expect(clippy::cast_possible_truncation, reason = "a block has 256 places")]
fn plain(pixels: &[u8], first: usize, to: &mut [LitPixel]) -> usize {
    let mut n = 0;
    for (chunk, first) in pixels.chunks(8).zip((first..).step_by(8)) {
        if *chunk == [0; 8] {
            continue; // as most are
        }
        for (i, &pixel) in chunk.iter().enumerate() {
            // Written in any case and kept only where it is lit: no branch to guess.
            to[n] = LitPixel { at: (first + i) as u8, pixel };
            n += usize::from(pixel != 0);
        }
    }
    n
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    // Reason: intrinsics are many, and named as nothing else is.
    #[allow(clippy::wildcard_imports)]
    use std::arch::x86_64::*;

    use super::{Foreign, LitPixel, SLACK, plain};

    const _: () = assert!(size_of::<LitPixel>() == 2, "a place, then a pixel");

    /// Whether the processor moves the entries that a mask chooses together.
    pub(super) fn has_compress() -> bool {
        is_x86_feature_detected!("avx512vbmi2")
    }

    /// 32 pixels at a time.
    ///
    /// # Safety
    /// The processor has the features, and `to` is [`SLACK`] longer than the block.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi2,popcnt,avx2")]
    pub(super) unsafe fn compressed(block: Foreign<'_, u8>, to: &mut [LitPixel]) -> usize {
        const { assert!(SLACK >= 32) };
        let mut places = _mm512_cvtepu8_epi16(_mm256_setr_epi8(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
            24, 25, 26, 27, 28, 29, 30, 31,
        ));
        let mut n = 0;
        for at in (0..block.len()).step_by(32) {
            let there = u32::MAX >> (32 - (block.len() - at).min(32));
            let (from, mut pixels) = (block.start().wrapping_add(at), _mm256_setzero_si256());
            // What may change meanwhile is read as by an atomic load: by an instruction.
            // SAFETY: the mask reaches to the end of the block and no further.
            unsafe {
                asm!("vmovdqu8 {pixels}{{{there}}}, [{from}]", pixels = inout(ymm_reg) pixels,
                    there = in(kreg) there, from = in(reg) from,
                    options(readonly, nostack, preserves_flags));
            }
            let wide = _mm512_cvtepu8_epi16(pixels);
            let lit = _mm512_test_epi16_mask(wide, wide);
            let entries = _mm512_or_si512(_mm512_slli_epi16::<8>(wide), places);
            let entries = _mm512_maskz_compress_epi16(lit, entries);
            // SAFETY: n is at most the number of pixels before the chunk, and behind so many there
            // is room for 32 entries.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().add(n).cast(), entries) };
            n += lit.count_ones() as usize;
            places = _mm512_add_epi16(places, _mm512_set1_epi16(32));
        }
        n
    }

    /// For each choice among eight pairs of bytes: where the chosen ones come from.
    static CHOICES: [[u8; 16]; 256] = {
        let mut all = [[0; 16]; 256];
        let mut choice = 0;
        while choice < 256 {
            let (mut from, mut to) = (0, 0);
            while from < 8 {
                if choice >> from & 1 == 1 {
                    all[choice][to] = 2 * from;
                    all[choice][to + 1] = 2 * from + 1;
                    to += 2;
                }
                from += 1;
            }
            choice += 1;
        }
        all
    };

    /// Eight pixels at a time.
    ///
    /// # Safety
    /// As for [`compressed`].
    #[target_feature(enable = "avx2,popcnt")]
    pub(super) unsafe fn shuffled(block: Foreign<'_, u8>, to: &mut [LitPixel]) -> usize {
        const { assert!(SLACK >= 8) };
        let whole = block.len() / 8 * 8;
        let mut places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0);
        let mut n = 0;
        for at in (0..whole).step_by(8) {
            let from = block.start().wrapping_add(at);
            let pixels: __m128i;
            // SAFETY: eight bytes are there.
            unsafe {
                asm!("vmovq {pixels}, qword ptr [{from}]", pixels = lateout(xmm_reg) pixels,
                    from = in(reg) from, options(readonly, nostack, preserves_flags));
            }
            let dark = _mm_movemask_epi8(_mm_cmpeq_epi8(pixels, _mm_setzero_si128()));
            let lit = !dark.to_le_bytes()[0];
            // SAFETY: a choice has 16 bytes.
            let choice = unsafe { _mm_loadu_si128(CHOICES[usize::from(lit)].as_ptr().cast()) };
            let entries = _mm_shuffle_epi8(_mm_unpacklo_epi8(places, pixels), choice);
            // SAFETY: n is at most the number of pixels before the chunk, and behind so many there
            // is room for eight entries.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().add(n).cast(), entries) };
            n += lit.count_ones() as usize;
            places = _mm_add_epi8(places, _mm_set1_epi8(8));
        }
        let mut rest = [0; 8];
        let rest = &mut rest[..block.len() - whole];
        block.copy(whole, rest);
        n + plain(rest, whole, &mut to[n..])
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Foreign, Isa, LitPixel, SLACK, list, plain};
    use crate::rng::Words;

    /// `n` pixels of which a share is not 0.
    #[expect(clippy::cast_possible_truncation, reason = "bytes of a word")]
    fn pixels(seed: u64, n: usize, share: u64) -> Vec<u8> {
        let words = Words::new(seed, 97, 0).take(n);
        words.map(|word| if word % 256 < share { (word >> 8) as u8 } else { 0 }).collect()
    }

    #[test]
    fn every_set_lists_what_the_plain_form_lists() {
        let guard = LitPixel { at: 1, pixel: 2 };
        for isa in Isa::available() {
            for n in (0..=70).chain(BLOCK - 9..=BLOCK) {
                for share in [0, 10, 60, 128, 250, 256] {
                    let block = pixels(n as u64 * 1000 + share, n, share);
                    let mut expected = vec![guard; n + SLACK];
                    let count = plain(&block, 0, &mut expected);
                    let mut found = vec![guard; n + SLACK];
                    let foreign = block[..].into();
                    assert_eq!(list(isa, foreign, &mut found), count, "{isa:?} {n} {share}");
                    assert_eq!(found[..count], expected[..count], "{isa:?} {n} {share}");
                    assert!(found[..count].iter().all(|lit| lit.pixel != 0));
                    assert_eq!(count, block.iter().filter(|&&pixel| pixel != 0).count());
                }
            }
        }
    }

    #[test]
    fn what_changes_meanwhile_is_looked_at_once() {
        for isa in Isa::available() {
            Foreign::in_flux(BLOCK - 3, |block| {
                let mut found = [LitPixel::default(); BLOCK + SLACK];
                let (mut last, mut changes) = (0, 0);
                while changes < 100 {
                    let count = list(isa, block, &mut found);
                    changes += usize::from(count != last);
                    last = count;
                    assert!(found[..count].iter().all(|lit| matches!(lit.pixel, 1 | 2)), "{isa:?}");
                    assert!(found[..count].is_sorted_by(|a, b| a.at < b.at), "{isa:?}");
                }
            });
        }
    }

    #[test]
    #[should_panic(expected = "room for all")]
    fn room_is_looked_at() {
        list(Isa::detect(), (&[0; 40][..]).into(), &mut [LitPixel::default(); 40 + SLACK - 1]);
    }
}
