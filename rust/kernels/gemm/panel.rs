//! Panels of a product: tile by tile.

use std::mem::MaybeUninit;

use super::pack::height;
use super::settle::settle;
use super::tile::{Output, Place, fetch, form, start_of};
use super::way::{Changed, LEG, Way, fetches_b};
use crate::kernels::Real;
use crate::kernels::simd::Simd;

/// What the columns that are left make of the next tile.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// How many registers a row has; four span two panels.
    registers: usize,
    /// How many columns it has: the last register may be incomplete.
    pub(super) columns: usize,
    /// How many rows it has at most, where A is copied or it packs.
    pub(super) rows: usize,
}

impl Shape {
    #[inline(always)]
    pub(super) fn of<S: Simd>(left: usize) -> Self {
        let (registers, rows) = match left {
            _ if S::WIDE_ROWS > 0 && left > 3 * S::LANES => (4, S::WIDE_ROWS),
            _ if left > S::LANES => (2, S::ROWS),
            _ => (1, S::ROWS),
        };
        Self { registers, columns: left.min(registers * S::LANES), rows }
    }

    /// Whether its columns are whole panels.
    #[inline(always)]
    pub(super) fn is_whole<S: Simd>(self) -> bool {
        self.registers > 1 && self.columns == self.registers * S::LANES
    }
}

/// How many rows the tiles that begin at a place have at most: as A was copied, or as suits the columns; where A
/// is not copied, [`rows_of`] may give the narrow ones more.
#[inline(always)]
pub(super) fn tallest<S: Simd>(form: u8, place: &Place<S::T>) -> usize {
    if form == form::PACKED { place.a_strides.1 } else { Shape::of::<S>(place.columns).rows }
}

/// How many tiles of a group of m rows fetch something on their way, at most: all but one that packs, and those of
/// one register. Where a tall one does for two, the share of one is not fetched.
#[inline(always)]
pub(super) fn tiles_on_the_way<S: Simd>(form: u8, place: &Place<S::T>, m: usize) -> usize {
    let each = Shape::of::<S>(place.columns).columns;
    let across = place.columns / each + usize::from(place.columns % each > S::LANES);
    let tiles = m.div_ceil(tallest::<S>(form, place)) * across;
    tiles.saturating_sub(usize::from(!place.unpacked.is_null()))
}

/// Some panels of B, packed one behind the other, and all rows of A. Where there are several tiles
/// side by side, a tile's rows meet all of them before the next, so that C is passed row by row.
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
    way: &mut Way<S::T>,
) {
    let columns = place.columns;
    let most = tallest::<S>(form, &place);
    let several = columns > Shape::of::<S>(columns).columns;
    debug_assert!(place.unpacked.is_null() || !several, "one tile packs what it meets");
    let mut i = 0;
    while i < m {
        let rows = if several { height(m - i, most) } else { m };
        let (mut at, mut left) = (place, columns);
        while left > 0 {
            let shape = Shape::of::<S>(left);
            at.columns = shape.columns;
            let size = (rows, most);
            // SAFETY: the caller's word.
            unsafe {
                match shape.registers {
                    // Not compiled for sets without wide tiles.
                    4 if S::WIDE_ROWS > 0 => {
                        tiles_of::<S, 4>(form, at, size, output, check, way);
                    }
                    2 => tiles_of::<S, 2>(form, at, size, output, check, way),
                    _ => tiles_of::<S, 1>(form, at, size, output, check, way),
                }
            }
            left -= at.columns;
            at.b = at.b.wrapping_add(at.columns * place.k);
            at.c += at.columns;
        }
        let packed = form == form::PACKED;
        let skip = if packed { most * place.k } else { rows * place.a_strides.0 };
        place.down(rows, skip);
        i += rows;
    }
}

/// How many elements a tile's sums are at most: six rows of four registers of sixteen.
pub(super) const SUMS: usize = 6 * 4 * 16;

/// Where a tile's sums stand, a cache line each register; a tile writes what is read of them.
#[repr(align(64))]
pub(super) struct Sums<T>(MaybeUninit<[T; SUMS]>);

impl<T: Real> Sums<T> {
    /// Not even zeros: to write these takes as long as a small tile.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    #[inline(always)]
    pub(super) fn start(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

/// All tiles of a panel of `V` registers' columns, m rows in all and each tile at most so many, by the
/// form of the operands.
///
/// # Safety
/// As for [`panel`].
#[inline(always)]
unsafe fn tiles_of<S: Simd, const V: usize>(
    form: u8,
    place: Place<S::T>,
    size: (usize, usize),
    output: &Output<S::T>,
    check: &mut S::V,
    way: &mut Way<S::T>,
) {
    // SAFETY: the caller's word.
    unsafe {
        match form {
            form::ROWS => panel::<S, V, { form::ROWS }>(place, size, output, check, way),
            form::PACKED => panel::<S, V, { form::PACKED }>(place, size, output, check, way),
            form::COLUMNS => panel::<S, V, { form::COLUMNS }>(place, size, output, check, way),
            form::DIRECT => panel::<S, V, { form::DIRECT }>(place, size, output, check, way),
            _ => unreachable!("other forms have no panels"),
        }
    }
}

/// How many rows the next tile of a panel has, where so many are left and A's rows need not be as many as were
/// copied together: the narrower, the more, as it takes eight sums to keep two units busy and more to hide
/// all else, and what is read of B serves more of them.
#[inline(always)]
fn rows_of<S: Simd, const V: usize>(left: usize, most: usize) -> usize {
    match V {
        1 => height(left, S::TALL_ROWS[0]),
        2 if left <= S::TALL_ROWS[1] => left,
        _ => height(left, most),
    }
}

/// Whether there are tiles of so many rows above `S::ROWS` by so many registers.
const fn is_tall<S: Simd>(rows: usize, registers: usize, form: u8) -> bool {
    registers <= 2 && rows <= S::TALL_ROWS[registers - 1] && form != form::PACKED
}

/// Whether tiles fetch what they change. Where they are narrow, requests for what a core's own caches hold take 2 % of
/// their time (AMD Zen 2), so only what was met long ago is asked for; parameters are, as steps pass them once.
#[inline(always)]
fn changes_far<S: Simd>(output: &Output<S::T>, way: &Way<S::T>) -> bool {
    S::WIDE_ROWS > 0 || way.is_far() || matches!(output, Output::Step { .. })
}

/// What is left of a panel, where its tiles are short and do nothing but set C: those as tall as can be at one call, as
/// each is so short that a call takes a good part of its time. Returns how many rows they have.
///
/// # Safety
/// As for [`panel`].
#[inline(always)]
unsafe fn run<S: Simd, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    left: usize,
    output: &Output<S::T>,
    (to, check): (*mut S::T, &mut S::V),
    way: &Way<S::T>,
) -> usize {
    const RUN: u8 = form::RUN;
    if FORM != form::ROWS || V > 2 || place.k >= 2 * LEG || way.is_far() {
        return 0;
    }
    let tallest = if V == 1 { S::TALL_ROWS[0] } else { S::ROWS };
    // The last two share what is left, where it is not a whole one.
    let tiles = (left / tallest).saturating_sub(usize::from(!left.is_multiple_of(tallest)));
    if tiles < 2 || !place.unpacked.is_null() || !matches!(output, Output::Set(_)) {
        return 0;
    }
    #[cfg(test)]
    tests::RUNS.set(tests::RUNS.get() + 1);
    let place = Place { run: tiles, ..*place };
    // SAFETY: the caller's word.
    unsafe {
        match tallest {
            4 if S::ROWS == 4 => S::tile::<4, V, RUN>(&place, output, to, check),
            6 if S::ROWS == 6 => S::tile::<6, V, RUN>(&place, output, to, check),
            8 if S::ROWS == 8 && V == 2 => S::tile::<8, V, RUN>(&place, output, to, check),
            16 if S::ROWS == 8 && V == 1 => S::tile::<16, V, RUN>(&place, output, to, check),
            _ => unreachable!("no tiles are taller"),
        };
    }
    tiles * tallest
}

/// All tiles of a panel of `V` registers' columns, from top to bottom.
///
/// # Safety
/// As for [`tile`](super::tile::tile).
#[inline(always)]
unsafe fn panel<S: Simd, const V: usize, const FORM: u8>(
    mut place: Place<S::T>,
    (m, most): (usize, usize),
    output: &Output<S::T>,
    check: &mut S::V,
    way: &mut Way<S::T>,
) {
    const {
        assert!(matches!(S::ROWS, 4 | 6 | 8) && matches!(S::WIDE_ROWS, 0 | 6), "tiles below");
        assert!(2 * S::ROWS * S::LANES <= SUMS && 4 * S::WIDE_ROWS * S::LANES <= SUMS);
        let [one, two] = S::TALL_ROWS;
        assert!(one * S::LANES <= SUMS && 2 * two * S::LANES <= SUMS);
        assert!(one == S::ROWS && two == S::ROWS || one == 16 && two == 12 && S::ROWS == 8);
    }
    #[cfg(test)]
    if V == 4 {
        super::tests::WIDE.with(|wide| {
            let mut met = wide.get();
            met[usize::from(FORM)] += 1;
            wide.set(met);
        });
    }
    let mut sums = Sums::<S::T>::new();
    let to = sums.start();
    debug_assert!(
        place.unpacked.is_null()
            || V >= 2
                && matches!(FORM, form::ROWS | form::PACKED)
                && (place.columns, height(m, most)) == (V * S::LANES, most),
        "the first tile packs whole registers, and is as tall as one that packs can be"
    );
    let mut i = 0;
    while i < m {
        // SAFETY: the caller's word.
        let done = unsafe { run::<S, V, FORM>(&place, m - i, output, (to, check), way) };
        if done > 0 {
            place.down(done, done * place.a_strides.0);
            i += done;
            continue;
        }
        let rows = if FORM == form::PACKED || !place.unpacked.is_null() {
            height(m - i, most)
        } else {
            rows_of::<S, V>(m - i, most)
        };
        #[cfg(test)]
        tests::TALLEST.set(rows.max(tests::TALLEST.get()));
        // On its way a tile fetches what it has time for. The one that packs does not, as it waits for B itself.
        let on_the_way = fetches_b(FORM, V) && place.unpacked.is_null();
        if on_the_way {
            place.share = way.next();
        }
        // SAFETY: the caller's word; the sums fit into the space.
        unsafe {
            if V == 4 && on_the_way && place.k >= 2 * LEG {
                let start = (start_of(&place, output), place.c_stride);
                place.changed = Changed::new(start, rows, place.k);
            } else if !fetches_b(FORM, V) || changes_far::<S>(output, way) {
                fetch::<S>(&place, output, rows);
            }
            let settled = match rows {
                _ if V >= 2 && !place.unpacked.is_null() => {
                    let settled = packing::<S, V, FORM>(&place, rows, output, to, check);
                    place.unpacked = std::ptr::null(); // the tiles below read what is packed
                    settled
                }
                1 => S::tile::<1, V, FORM>(&place, output, to, check),
                2 => S::tile::<2, V, FORM>(&place, output, to, check),
                3 => S::tile::<3, V, FORM>(&place, output, to, check),
                4 => S::tile::<4, V, FORM>(&place, output, to, check),
                5 if S::ROWS > 4 => S::tile::<5, V, FORM>(&place, output, to, check),
                6 if S::ROWS > 4 => S::tile::<6, V, FORM>(&place, output, to, check),
                7 if S::ROWS > 6 && V < 4 => S::tile::<7, V, FORM>(&place, output, to, check),
                8 if S::ROWS > 6 && V < 4 => S::tile::<8, V, FORM>(&place, output, to, check),
                9 if const { is_tall::<S>(9, V, FORM) } => {
                    S::tile::<9, V, FORM>(&place, output, to, check)
                }
                10 if const { is_tall::<S>(10, V, FORM) } => {
                    S::tile::<10, V, FORM>(&place, output, to, check)
                }
                11 if const { is_tall::<S>(11, V, FORM) } => {
                    S::tile::<11, V, FORM>(&place, output, to, check)
                }
                12 if const { is_tall::<S>(12, V, FORM) } => {
                    S::tile::<12, V, FORM>(&place, output, to, check)
                }
                13 if const { is_tall::<S>(13, V, FORM) } => {
                    S::tile::<13, V, FORM>(&place, output, to, check)
                }
                14 if const { is_tall::<S>(14, V, FORM) } => {
                    S::tile::<14, V, FORM>(&place, output, to, check)
                }
                15 if const { is_tall::<S>(15, V, FORM) } => {
                    S::tile::<15, V, FORM>(&place, output, to, check)
                }
                16 if const { is_tall::<S>(16, V, FORM) } => {
                    S::tile::<16, V, FORM>(&place, output, to, check)
                }
                _ => unreachable!("a tile has at most S::ROWS, S::WIDE_ROWS or S::TALL_ROWS rows"),
            };
            if !settled {
                settle::<S>(&place, output, (rows, V), to, check);
            }
        }
        let skip = if FORM == form::PACKED { most * place.k } else { rows * place.a_strides.0 };
        place.down(rows, skip);
        i += rows;
    }
}

/// The first tile of a panel, or two, of whole registers, as tall as can be, which packs it.
///
/// # Safety
/// As for [`tile`](super::tile::tile); `place.unpacked` and `place.b` are the panel's, unpacked and packed.
#[inline(always)]
unsafe fn packing<S: Simd, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    rows: usize,
    output: &Output<S::T>,
    to: *mut S::T,
    check: &mut S::V,
) -> bool {
    const IN_PLACE: u8 = form::ROWS | form::PACKING;
    const COPIED: u8 = form::PACKED | form::PACKING;
    #[cfg(test)]
    super::tests::PACKED.with(|packed| packed.set(packed.get() + 1));
    // SAFETY: the caller's word.
    unsafe {
        match (FORM, V, rows) {
            (form::ROWS, 2, 4) if S::ROWS == 4 => {
                S::tile::<4, 2, IN_PLACE>(place, output, to, check)
            }
            (form::ROWS, 2, 6) if S::ROWS == 6 => {
                S::tile::<6, 2, IN_PLACE>(place, output, to, check)
            }
            (form::ROWS, 2, 8) if S::ROWS == 8 => {
                S::tile::<8, 2, IN_PLACE>(place, output, to, check)
            }
            (form::PACKED, 2, 4) if S::ROWS == 4 => {
                S::tile::<4, 2, COPIED>(place, output, to, check)
            }
            // A part that begins with wide tiles is packed by their height.
            (form::PACKED, 2, 6) if S::ROWS == 6 || S::WIDE_ROWS == 6 => {
                S::tile::<6, 2, COPIED>(place, output, to, check)
            }
            (form::PACKED, 2, 8) if S::ROWS == 8 => {
                S::tile::<8, 2, COPIED>(place, output, to, check)
            }
            (form::ROWS, 4, 6) if S::WIDE_ROWS == 6 => {
                S::tile::<6, 4, IN_PLACE>(place, output, to, check)
            }
            (form::PACKED, 4, 6) if S::WIDE_ROWS == 6 => {
                S::tile::<6, 4, COPIED>(place, output, to, check)
            }
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

#[cfg(test)]
#[path = "panel_tests.rs"]
mod tests;
