//! The innermost part of a product: a tile of C held in registers through a block of rule 1.

// Reason: the functions of iterators are not always inlined into one that is compiled for a wider
// instruction set, and a call within the innermost loop costs most of the speed.
#![allow(clippy::needless_range_loop)]

use super::super::Real;
use super::super::foreign::Bits;
use super::super::memory;
use super::super::simd::Simd;
use super::BLOCK;
use super::settle::{set, settle_here};
use super::way::{Changed, LEG, Share, fetch_row, fetches_b};

/// How many rows of B ahead are fetched where they lie in place.
const AHEAD: usize = 8;

/// How the operands of a tile lie.
pub(super) mod form {
    /// A in place, its columns side by side; B packed.
    pub(in super::super) const ROWS: u8 = 0;
    /// Both packed; A tile by tile, its columns so far apart as its second stride says, which is how many
    /// rows a tile has at most.
    pub(in super::super) const PACKED: u8 = 1;
    /// Both in place, A of any strides.
    pub(in super::super) const DIRECT: u8 = 2;
    /// A in place, its rows side by side; B packed.
    pub(in super::super) const COLUMNS: u8 = 3;
    /// Both in place; what counts as rows are blocks of a lone row, each with its own rows of B.
    pub(in super::super) const BLOCKS: u8 = 4;
    /// A in place, its columns side by side, of which only those are taken that are listed, and B, in
    /// place or a panel of a copy; others may write to A meanwhile.
    pub(in super::super) const LISTED: u8 = 5;
    /// Likewise, and A are pixels.
    pub(in super::super) const PIXELS: u8 = 6;
    /// As `ROWS`, and several tiles are one below the other: a run.
    pub(in super::super) const RUN: u8 = 7;
    /// Added to one that has B packed: B is read where it lies, and packed on the way, by the first tile
    /// of a panel. Its multiply-adds hide what the copy would wait for.
    pub(in super::super) const PACKING: u8 = 16;
}
use form::{BLOCKS, COLUMNS, DIRECT, LISTED, PACKED, PACKING, PIXELS, ROWS, RUN};

/// Whether the rows of B are so far apart as its stride says.
const fn is_strided(form: u8) -> bool {
    matches!(form, DIRECT | BLOCKS | LISTED | PIXELS)
}

/// What becomes of the sums of a block. Element (i, j) of C stands at `i * stride + j` of each
/// vector; a vector that is not there is a null pointer.
#[derive(Clone, Copy)]
pub enum Output<T> {
    /// C = 0 + sum.
    Set(*mut T),
    /// C = C + sum.
    Add(*mut T),
    /// The gradient g = before + sum (else 0 + sum) moves the parameters w by rule 4.
    Step {
        /// The parameters.
        w: *mut T,
        /// The velocity of momentum, or null.
        v: *mut T,
        /// The sum of the blocks before this one, or null.
        before: *const T,
        /// Rate, momentum and l2.
        hyper: [T; 3],
    },
}

/// A tile's place: elements of A and B to read, where it stands in C, how many of its columns
/// there are.
#[derive(Clone, Copy)]
pub struct Place<T> {
    /// A from the tile's first row on, and its strides.
    pub(super) a: *const T,
    pub(super) a_strides: (usize, usize),
    /// B from the tile's first column on, and its row stride, where it is not packed tile by tile.
    pub(super) b: *const T,
    pub(super) b_stride: usize,
    /// Where B lies, if the panel, or the two that a wide tile spans, is still to be packed: whole
    /// registers, side by side; else null. The first tile packs it to `b`, which can be written to, and is
    /// as tall as can be; for the tiles below it this is null.
    pub(super) unpacked: *const T,
    /// The tile's first element in C, and C's row stride.
    pub(super) c: usize,
    pub(super) c_stride: usize,
    /// How many columns the tile has, or all tiles that begin here.
    pub(super) columns: usize,
    /// The length of the block, or of the list.
    pub(super) k: usize,
    /// How many tiles a run has, one below the other.
    pub(super) run: usize,
    /// The columns of A, and so rows of B, that are taken.
    pub(super) list: *const u8,
    /// A's pixels, in the place of A.
    pub(super) pixels: *const u8,
    /// What is fetched on the way, where columns of numbers are listed.
    pub(super) next: NextRows,
    /// And where B is packed, panel by panel.
    pub(super) share: Share,
    /// And of what it changes.
    pub(super) changed: Changed<T>,
}

impl<T> Place<T> {
    /// Goes down so many rows of C, and so many elements of A.
    #[inline(always)]
    pub(super) fn down(&mut self, rows: usize, skip: usize) {
        self.a = self.a.wrapping_add(skip);
        self.c = self.c.wrapping_add(rows.wrapping_mul(self.c_stride));
    }
}

/// `R` rows by `V` registers of C, from +0.0 through the whole block.
///
/// # Safety
/// As for [`Simd`]; the elements that `place` names by `FORM` can be read and, with [`form::PACKING`],
/// those of the panel written.
#[inline(always)]
pub unsafe fn sums<S: Simd, const R: usize, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
) -> [[S::V; V]; R] {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let Place { a, a_strides, k, .. } = *place;
        let mut rows = [a; R];
        for r in 0..R {
            rows[r] = a.wrapping_add(r * a_strides.0);
        }
        let mut sums = [[S::splat(S::T::ZERO); V]; R];
        let (mut t, mut fetched) = (0, 0);
        let (mut share, mut changed) = (place.share, place.changed);
        while fetches_b(FORM, V) && t + 4 <= k {
            share.fetch::<S>();
            if V == 4 {
                changed.fetch::<S, V>(place.columns);
            }
            // Where nothing of B is left to fetch, nor of C, the rest is one leg.
            let leg = if V == 4 || share.is_left() { LEG } else { k };
            let end = k.min(t + leg) / 4 * 4;
            while t < end {
                four::<S, R, V, FORM>(place, &rows, t, &mut sums);
                t += 4;
            }
        }
        // With stores between the steps the compiler would load more of A ahead than registers hold.
        while FORM & PACKING == 0 && t + 4 <= k {
            if FORM == LISTED && fetched < 2 * place.next.lines {
                // A few at a time: a core waits when it has asked for more lines than it can count.
                place.next.fetch_half::<R>(fetched);
                fetched += 1;
            }
            four::<S, R, V, FORM>(place, &rows, t, &mut sums);
            t += 4;
        }
        while t < k {
            step::<S, R, V, FORM>(place, &rows, t, &mut sums);
            t += 1;
        }
        // Where few columns are listed, the rest.
        while FORM == LISTED && fetched < 2 * place.next.lines {
            place.next.fetch_half::<R>(fetched);
            fetched += 1;
        }
        sums
    }
}

/// Rows that are looked at when the tile is done: the look would wait for them.
#[derive(Clone, Copy)]
pub(super) struct NextRows {
    /// The first, and how many bytes they are apart.
    pub(super) start: *const i8,
    pub(super) stride: usize,
    /// How many cache lines are fetched of each, from its beginning on.
    pub(super) lines: usize,
    /// Whether to the first cache, else to the second.
    pub(super) to_first: bool,
}

impl NextRows {
    /// None.
    pub(super) const NONE: Self =
        Self { start: std::ptr::null(), stride: 0, lines: 0, to_first: false };

    /// A line of half of so many rows: line by line, and of each first the upper half.
    #[inline(always)]
    pub(super) fn half<const R: usize>(&self, half: usize) -> impl Iterator<Item = *const i8> {
        let (first, line) = (half % 2 * R.div_ceil(2), half / 2 * memory::LINE_BYTES);
        let start = self.start.wrapping_add(line + first * self.stride);
        let rows = if R.is_multiple_of(2) { R / 2 } else { R.div_ceil(2).min(R - first) };
        (0..rows).map(move |r| start.wrapping_add(r * self.stride))
    }

    /// Fetches it.
    #[inline(always)]
    fn fetch_half<const R: usize>(&self, half: usize) {
        for at in self.half::<R>(half) {
            if self.to_first {
                memory::fetch(at);
            } else {
                memory::fetch_to_second(at);
            }
        }
    }
}

/// Four steps along the summation, from the t-th on.
///
/// # Safety
/// As for [`sums`].
#[inline(always)]
unsafe fn four<S: Simd, const R: usize, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    rows: &[*const S::T; R],
    t: usize,
    sums: &mut [[S::V; V]; R],
) {
    // SAFETY: the caller's word.
    unsafe {
        step::<S, R, V, FORM>(place, rows, t, sums);
        step::<S, R, V, FORM>(place, rows, t + 1, sums);
        step::<S, R, V, FORM>(place, rows, t + 2, sums);
        step::<S, R, V, FORM>(place, rows, t + 3, sums);
    }
}

/// One step along the summation: a row of B, an element of each row of A.
///
/// # Safety
/// As for [`sums`].
// A function, as a closure would not be compiled for the instruction set.
#[inline(always)]
unsafe fn step<S: Simd, const R: usize, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    rows: &[*const S::T; R],
    t: usize,
    sums: &mut [[S::V; V]; R],
) {
    let panel = if V < 2 { S::LANES } else { 2 * S::LANES };
    let stride = if is_strided(FORM) { place.b_stride } else { panel };
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let listed = matches!(FORM, LISTED | PIXELS);
        let t = if listed { usize::from(*place.list.add(t)) } else { t };
        let mut row = if FORM & PACKING == 0 {
            row_of_b::<S, V, FORM>(place, place.b.add(t * stride))
        } else {
            let row = row_of_b::<S, V, FORM>(place, place.unpacked.add(t * place.b_stride));
            for v in 0..V {
                let to = place.b.add(t * stride + in_panels::<S>(v, place.k));
                S::store(to.cast_mut(), row[v]);
            }
            row
        };
        for r in 0..R {
            if FORM == BLOCKS && r > 0 {
                row = row_of_b::<S, V, FORM>(place, place.b.add((r * BLOCK + t) * stride));
            }
            if FORM == LISTED {
                S::add_products(rows[r], t, row, &mut sums[r]);
                continue;
            }
            if FORM == PIXELS {
                let pixel = u8::read(place.pixels.add(r * place.a_strides.0 + t)).into();
                S::add_products(S::T::QUOTIENTS.as_ptr(), pixel, row, &mut sums[r]);
                continue;
            }
            let x = match FORM & !PACKING {
                ROWS | RUN => S::splat(*rows[r].add(t)),
                PACKED | COLUMNS => S::splat(*place.a.add(t * place.a_strides.1 + r)),
                _ => S::splat(*rows[r].add(t * place.a_strides.1)),
            };
            for v in 0..V {
                sums[r][v] = S::mul_add(x, row[v], sums[r][v]);
            }
        }
    }
}

/// How far behind the first a register of a row stands that was packed, two a panel of k rows.
#[inline(always)]
const fn in_panels<S: Simd>(v: usize, k: usize) -> usize {
    v / 2 * 2 * S::LANES * k + v % 2 * S::LANES
}

/// `V` registers of a row of B; in place, the last may be incomplete.
///
/// # Safety
/// As for [`sums`].
#[inline(always)]
unsafe fn row_of_b<S: Simd, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    b: *const S::T,
) -> [S::V; V] {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut row = [S::splat(S::T::ZERO); V];
        for v in 0..V {
            let packed = !is_strided(FORM) && FORM & PACKING == 0;
            let b = b.add(if packed { in_panels::<S>(v, place.k) } else { v * S::LANES });
            if FORM == DIRECT || FORM & PACKING != 0 {
                // Rows of B in place lie too far apart for the processor to see what comes next.
                S::prefetch(b.wrapping_add(AHEAD.wrapping_mul(place.b_stride)));
            }
            row[v] = if is_strided(FORM) && v + 1 == V {
                S::load_part(b, place.columns - v * S::LANES)
            } else {
                S::load(b)
            };
        }
        row
    }
}

/// One tile. What becomes of its sums, where that is simple and all columns are there; returns
/// whether. Else they are left at `to`, row by row, for [`settle`](super::settle::settle).
///
/// # Safety
/// As for [`sums`] and [`settle`](super::settle::settle); `to` has room for `R * V` registers.
#[inline(always)]
pub unsafe fn tile<S: Simd, const R: usize, const V: usize, const FORM: u8>(
    place: &Place<S::T>,
    output: &Output<S::T>,
    to: *mut S::T,
    check: &mut S::V,
) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        if FORM == RUN {
            run::<S, R, V>(place, output);
            return true;
        }
        let sums = sums::<S, R, V, FORM>(place);
        if FORM != BLOCKS
            && place.columns >= V * S::LANES
            && settle_here::<S, R, V>(place, output, &sums, check)
        {
            return true;
        }
        for r in 0..R {
            for v in 0..V {
                S::store(to.add((r * V + v) * S::LANES), sums[r][v]);
            }
        }
        false
    }
}

/// Tiles that set C, one below the other.
///
/// # Safety
/// As for [`tile`], of each.
#[inline(always)]
unsafe fn run<S: Simd, const R: usize, const V: usize>(place: &Place<S::T>, output: &Output<S::T>) {
    let Output::Set(c) = *output else { unreachable!("a run sets C") };
    let mut place = *place;
    for _ in 0..place.run {
        // SAFETY: the caller's word.
        unsafe {
            let sums = sums::<S, R, V, RUN>(&place);
            if place.columns >= V * S::LANES {
                set::<S, R, V>(&place, c, &sums, true);
            } else {
                set::<S, R, V>(&place, c, &sums, false);
            }
        }
        place.down(R, R * place.a_strides.0);
    }
}

/// Where what a tile's sums will change begins.
#[inline(always)]
pub(super) fn start_of<T>(place: &Place<T>, output: &Output<T>) -> *const T {
    let c = match *output {
        Output::Set(c) | Output::Add(c) => c,
        Output::Step { w, .. } => w,
    };
    c.wrapping_add(place.c).cast_const()
}

/// Fetches what a tile's sums will change, but where that is only written, and soon.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn fetch<S: Simd>(place: &Place<S::T>, output: &Output<S::T>, rows: usize) {
    // A tile does not wait for what it only writes, and a short one is soon done.
    if place.k < 2 * LEG && matches!(output, Output::Set(_)) {
        return;
    }
    #[cfg(test)]
    super::tests::ASKED.with(|asked| asked.set(asked.get() + rows));
    let start = start_of(place, output);
    for r in 0..rows {
        let row = start.wrapping_add(r.wrapping_mul(place.c_stride));
        // A short tile has no time for more lines than it must have.
        // SAFETY: the caller's word; any address will do.
        unsafe { fetch_row::<S>(row, place.columns, place.k >= 2 * LEG) };
    }
}
