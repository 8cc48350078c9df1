//! Panels of a product: tile by tile.

use super::pack::{Ahead, height};
use super::tile::{Output, Place, fetch, form, settle};
use crate::kernels::Real;
use crate::kernels::simd::Simd;

/// Some panels of B, packed one behind the other, and all rows of A. Where there are several panels
/// a tile of rows meets all of them before the next, so that C is passed row by row.
///
/// # Safety
/// As for [`panel`].
#[inline(always)]
pub(super) unsafe fn group<S: Simd>(
    form: u8,
    mut place: Place<S::T>,
    m: usize,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    let (columns, width) = (place.columns, 2 * S::LANES);
    let several = columns > width;
    let mut i = 0;
    while i < m {
        let rows = if several { height::<S>(m - i) } else { m };
        let mut at = place;
        for j in (0..columns).step_by(width) {
            at.columns = (columns - j).min(width);
            // SAFETY: the caller's word.
            unsafe {
                if at.columns > S::LANES {
                    tiles_of::<S, 2>(form, at, rows, output, check, ahead);
                } else {
                    tiles_of::<S, 1>(form, at, rows, output, check, ahead);
                }
            }
            at.b = at.b.wrapping_add(width * place.k);
            at.c += width;
        }
        let skip = if form == form::PACKED { S::ROWS * place.k } else { rows * place.a_strides.0 };
        place.a = place.a.wrapping_add(skip);
        place.c += rows * place.c_stride;
        i += rows;
    }
}

/// Where a tile's sums stand, a cache line each register.
#[repr(align(64))]
pub(super) struct Sums<T>(pub(super) [T; 8 * 2 * 16]);

/// All tiles of a panel of `V` registers' columns, by the form of the operands.
///
/// # Safety
/// As for [`panel`].
#[inline(always)]
unsafe fn tiles_of<S: Simd, const V: usize>(
    form: u8,
    place: Place<S::T>,
    m: usize,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    // SAFETY: the caller's word.
    unsafe {
        match form {
            form::ROWS => panel::<S, V, { form::ROWS }>(place, m, output, check, ahead),
            form::PACKED => panel::<S, V, { form::PACKED }>(place, m, output, check, ahead),
            form::COLUMNS => panel::<S, V, { form::COLUMNS }>(place, m, output, check, ahead),
            _ => panel::<S, V, { form::DIRECT }>(place, m, output, check, ahead),
        }
    }
}

/// All tiles of a panel of `V` registers' columns, from top to bottom.
///
/// # Safety
/// As for [`tile`](super::tile::tile).
#[inline(always)]
unsafe fn panel<S: Simd, const V: usize, const FORM: u8>(
    mut place: Place<S::T>,
    m: usize,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    let mut sums = Sums([S::T::ZERO; 8 * 2 * 16]);
    let to = sums.0.as_mut_ptr();
    let mut i = 0;
    while i < m {
        ahead.fetch();
        let rows = height::<S>(m - i);
        // SAFETY: the caller's word; eight rows of two registers of at most sixteen
        // elements fit into the space.
        unsafe {
            fetch::<S>(&place, output, rows);
            let settled = match rows {
                _ if V == 2 && !place.unpacked.is_null() => {
                    let settled = packing::<S, V, FORM>(&place, output, to, check);
                    place.unpacked = std::ptr::null();
                    settled
                }
                1 => S::tile::<1, V, FORM>(&place, output, to, check),
                2 => S::tile::<2, V, FORM>(&place, output, to, check),
                3 => S::tile::<3, V, FORM>(&place, output, to, check),
                4 => S::tile::<4, V, FORM>(&place, output, to, check),
                5 if S::ROWS >= 5 => S::tile::<5, V, FORM>(&place, output, to, check),
                6 if S::ROWS >= 6 => S::tile::<6, V, FORM>(&place, output, to, check),
                7 if S::ROWS >= 7 => S::tile::<7, V, FORM>(&place, output, to, check),
                _ if S::ROWS >= 8 => S::tile::<8, V, FORM>(&place, output, to, check),
                _ => unreachable!("a tile has at most S::ROWS rows"),
            };
            if !settled {
                settle::<S>(&place, output, (rows, V), to, check);
            }
        }
        let skip = if FORM == form::PACKED { S::ROWS * place.k } else { rows * place.a_strides.0 };
        place.a = place.a.wrapping_add(skip);
        place.c += rows * place.c_stride;
        i += rows;
    }
}

/// The first tile of a panel of two whole registers, [`Simd::ROWS`] high, which packs it.
///
/// # Safety
/// As for [`tile`](super::tile::tile); `place.unpacked` and `place.b` are the panel's, unpacked and packed.
#[inline(always)]
unsafe fn packing<S: Simd, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    output: &Output<S::T>,
    to: *mut S::T,
    check: &mut S::V,
) -> bool {
    const ROWS: u8 = form::ROWS | form::PACKING;
    const PACKED: u8 = form::PACKED | form::PACKING;
    #[cfg(test)]
    super::tests::PACKED.with(|packed| packed.set(packed.get() + 1));
    // SAFETY: the caller's word.
    unsafe {
        match (FORM, V, S::ROWS) {
            (form::ROWS, 2, 4) => S::tile::<4, 2, ROWS>(place, output, to, check),
            (form::ROWS, 2, 6) => S::tile::<6, 2, ROWS>(place, output, to, check),
            (form::ROWS, 2, 8) => S::tile::<8, 2, ROWS>(place, output, to, check),
            (form::PACKED, 2, 4) => S::tile::<4, 2, PACKED>(place, output, to, check),
            (form::PACKED, 2, 6) => S::tile::<6, 2, PACKED>(place, output, to, check),
            (form::PACKED, 2, 8) => S::tile::<8, 2, PACKED>(place, output, to, check),
            _ => unreachable!("other panels are packed beforehand"),
        }
    }
}

/// Whether every lane is 0.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn is_zero<S: Simd>(v: S::V) -> bool {
    let mut lanes = [S::T::ZERO; 16];
    // SAFETY: no register has more lanes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes.iter().all(|&lane| lane == S::T::ZERO)
}
