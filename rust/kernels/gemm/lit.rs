//! Products of rows that are mostly 0, such as pictures: a tile of rows leaves out those columns
//! that are 0 in all of them. That is exact by rule 8 of `docs/exactness.md`.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use super::super::Real;
use super::super::memory::Coming;
use super::super::simd::{Simd, simd_kernel};
use super::tile::{Output, Place, form, settle};
use super::{BLOCK, Sums, height};
use crate::matrix::MatRef;

/// So many columns of A are looked at together.
const COLUMNS: usize = 16;

/// C = A B: A (m, k), B (k, n), C (m, n), the rows of each following each other. What comes next is
/// fetched meanwhile.
///
/// # Panics
/// Where the sizes do not belong together.
pub fn product_lit<T: Real>(
    isa: super::Isa,
    a: &[T],
    b: MatRef<'_, T>,
    c: &mut [T],
    next: &mut Coming,
) {
    let (k, n) = (b.rows(), b.columns());
    assert!(k > 0 && n > 0 && b.column_stride() == 1, "rows of weights");
    assert!(c.len().is_multiple_of(n) && a.len() == c.len() / n * k, "a row of C for a row of A");
    rows(isa, a, b, c, next);
}

simd_kernel! {
    fn rows<T, S>(a: &[T], b: MatRef<'_, T>, c: &mut [T], next: &mut Coming) {
        let (k, n) = (b.rows(), b.columns());
        let each = next.each(a.len().div_ceil(S::ROWS * COLUMNS));
        let mut i = 0;
        while i < c.len() / n {
            let rows = height::<S>(c.len() / n - i);
            let a = &a[i * k..(i + rows) * k];
            for first in (0..k).step_by(BLOCK) {
                // SAFETY: `simd_kernel` has compiled this for S; the sizes are checked.
                unsafe { block::<S>(a, b, &mut c[i * n..(i + rows) * n], rows, first, (next, each)) };
            }
            i += rows;
        }
    }
}

/// One block of rule 1 for one tile of rows.
///
/// # Safety
/// As for [`Simd`]; A (rows, k), B (k, n), C (rows, n), and `first` is below k.
#[inline(always)]
unsafe fn block<S: Simd>(
    a: &[S::T],
    b: MatRef<'_, S::T>,
    c: &mut [S::T],
    rows: usize,
    first: usize,
    next: (&mut Coming, usize),
) {
    let (k, n) = (b.rows(), b.columns());
    let mut places = [0; BLOCK + 8];
    let c = c.as_mut_ptr();
    let output = if first == 0 { Output::Set(c) } else { Output::Add(c) };
    let mut sums = Sums([S::T::ZERO; 8 * 2 * 16]);
    let to = sums.0.as_mut_ptr();
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut check = S::splat(S::T::ZERO);
        let from = a.as_ptr().add(first);
        let count = columns::<S>(from, k, rows, BLOCK.min(k - first), &mut places, next);
        let mut j = 0;
        while j < n {
            let place = Place {
                a: from,
                a_strides: (k, 1),
                b: b.data().as_ptr().add(first * b.row_stride() + j),
                b_stride: b.row_stride(),
                c: j,
                c_stride: n,
                columns: (n - j).min(2 * S::LANES),
                k: count,
                list: places.as_ptr(),
            };
            let registers = place.columns.div_ceil(S::LANES);
            let settled = if registers == 1 {
                tile::<S, 1>(&place, &output, rows, to, &mut check)
            } else {
                tile::<S, 2>(&place, &output, rows, to, &mut check)
            };
            if !settled {
                settle::<S>(&place, &output, (rows, registers), to, &mut check);
            }
            j += place.columns;
        }
    }
}

/// A tile of so many rows.
///
/// # Safety
/// As for [`Simd::tile`].
#[inline(always)]
unsafe fn tile<S: Simd, const V: usize>(
    place: &Place<S::T>,
    output: &Output<S::T>,
    rows: usize,
    to: *mut S::T,
    check: &mut S::V,
) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        match rows {
            1 => S::tile::<1, V, { form::LISTED }>(place, output, to, check),
            2 => S::tile::<2, V, { form::LISTED }>(place, output, to, check),
            3 => S::tile::<3, V, { form::LISTED }>(place, output, to, check),
            4 => S::tile::<4, V, { form::LISTED }>(place, output, to, check),
            5 if S::ROWS >= 5 => S::tile::<5, V, { form::LISTED }>(place, output, to, check),
            6 if S::ROWS >= 6 => S::tile::<6, V, { form::LISTED }>(place, output, to, check),
            7 if S::ROWS >= 7 => S::tile::<7, V, { form::LISTED }>(place, output, to, check),
            _ if S::ROWS >= 8 => S::tile::<8, V, { form::LISTED }>(place, output, to, check),
            _ => unreachable!("a tile has at most S::ROWS rows"),
        }
    }
}

/// Lists the columns of A (rows, k), at most a block, that are not 0 in every row. Returns how many.
/// At each look so many lines of what comes next are fetched.
///
/// # Safety
/// As for [`Simd`]; the rows are `stride` apart.
#[inline(always)]
unsafe fn columns<S: Simd>(
    a: *const S::T,
    stride: usize,
    rows: usize,
    k: usize,
    list: &mut [u8; BLOCK + 8],
    (next, each): (&mut Coming, usize),
) -> usize {
    let mut count = 0;
    let mut t = 0;
    while t < k {
        next.fetch(each);
        let mut mask = 0_u32;
        let mut bits = 0;
        // Whole bytes of a mask, from one register or more.
        while bits < COLUMNS && t + bits < k {
            // SAFETY: the caller's word; so in the whole block.
            unsafe {
                let mut met = S::splat(S::T::ZERO);
                for r in 0..rows {
                    let from = a.add(r * stride + t + bits);
                    let left = k - t - bits;
                    let x = if left < S::LANES { S::load_part(from, left) } else { S::load(from) };
                    met = S::or(met, x);
                }
                mask |= S::nonzero(met) << bits;
            }
            bits += S::LANES;
        }
        for (first, set) in [(t, mask & 255), (t + 8, mask >> 8)] {
            // Eight places are written, of which the next overwrite those that are none. A block
            // has 256 columns, so that a place is one byte.
            let places = PLACES[set as usize] + first as u64 * 0x0101_0101_0101_0101;
            // SAFETY: there are at most as many places as columns before, so below a block.
            unsafe { list.as_mut_ptr().add(count).cast::<[u8; 8]>().write(places.to_le_bytes()) };
            count += set.count_ones() as usize;
        }
        t += COLUMNS;
    }
    count
}

/// For each byte the places of its bits that are set, a byte each.
pub(in crate::kernels) static PLACES: [u64; 256] = {
    let mut places = [0; 256];
    let mut set = 0;
    while set < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if set >> bit & 1 == 1 {
                places[set] |= bit << (8 * count);
                count += 1;
            }
            bit += 1;
        }
        set += 1;
    }
    places
};
