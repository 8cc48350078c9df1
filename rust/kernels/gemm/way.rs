//! What tiles fetch on their way: what is packed next, and what they change.

use super::super::memory::{LINE_BYTES, fetch_to_second};
use super::super::simd::Simd;
use super::pack::lines_of;
use super::tile::form;
use crate::matrix::MatRef;

/// Whether a tile of so many registers fetches B's next pieces on its way.
pub(super) const fn fetches_b(operands: u8, registers: usize) -> bool {
    registers > 1 && matches!(operands, form::ROWS | form::PACKED)
}

/// How many elements of B are fetched together: as many as the widest tile has columns.
pub(super) const fn piece<S: Simd>() -> usize {
    if S::WIDE_ROWS > 0 { 4 * S::LANES } else { 2 * S::LANES }
}

/// A tile's way is cut into legs of so many steps along the summation, and before each a few lines are asked for:
/// the innermost loop has no time to ask for one now and then, and a core waits that has asked for more than it
/// can count.
pub(super) const LEG: usize = 32;

/// How many legs a tile of k steps has.
const fn legs(k: usize) -> usize {
    (k / 4 * 4).div_ceil(LEG)
}

/// How many pieces of B a leg asks for at most: a cache line for four steps.
const fn most_of_leg<S: Simd>() -> usize {
    LEG / 4 / piece_lines::<S>()
}

/// How many cache lines a piece fills.
const fn piece_lines<S: Simd>() -> usize {
    (piece::<S>() * size_of::<S::T>()).div_ceil(LINE_BYTES)
}

/// What a tile still has to fetch of B on its way: so many pieces of lines, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// The next, and how many bytes they are apart.
    at: *const i8,
    stride: usize,
    pieces: usize,
    /// How many a leg fetches.
    each: usize,
}

impl Share {
    /// Nothing.
    pub(super) const NONE: Self = Self { at: std::ptr::null(), stride: 0, pieces: 0, each: 0 };

    /// Whether a leg has anything to fetch.
    #[inline(always)]
    pub(super) fn is_left(&self) -> bool {
        self.pieces > 0
    }

    /// Fetches the pieces of a leg.
    #[inline(always)]
    pub(super) fn fetch<S: Simd>(&mut self) {
        let pieces = self.each.min(self.pieces);
        for _ in 0..pieces {
            for line in 0..piece_lines::<S>() {
                fetch_to_second(self.at.wrapping_add(line * LINE_BYTES));
            }
            #[cfg(test)]
            super::tests::FETCHED.with(|fetched| {
                let mut all = fetched.take();
                all.push(self.at);
                fetched.set(all);
            });
            self.at = self.at.wrapping_add(self.stride);
        }
        self.pieces -= pieces;
    }
}

/// What a wide tile's sums will change, as far as it is still to be fetched: some of its rows before each leg.
#[derive(Clone, Copy)]
pub(super) struct Changed<T> {
    /// The next row, and how many elements they are apart.
    at: *const T,
    stride: usize,
    rows: usize,
    /// How many rows a leg fetches.
    each: usize,
}

impl<T> Changed<T> {
    /// Nothing, where all was fetched before.
    pub(super) const NONE: Self = Self { at: std::ptr::null(), stride: 0, rows: 0, each: 0 };

    /// So many rows, fetched on a way of k steps: a leg at least.
    #[inline(always)]
    pub(super) fn new((at, stride): (*const T, usize), rows: usize, k: usize) -> Self {
        let legs = k / LEG;
        // A division takes as long as some steps.
        let each = if legs >= rows { 1 } else { rows.div_ceil(legs) };
        Self { at, stride, rows, each }
    }

    /// Fetches the rows of a leg, so many elements of each, which end in the last of `V` registers.
    ///
    /// # Safety
    /// As for [`Simd`]; any address will do.
    #[inline(always)]
    pub(super) unsafe fn fetch<S: Simd<T = T>, const V: usize>(&mut self, columns: usize) {
        let rows = self.each.min(self.rows);
        for _ in 0..rows {
            // SAFETY: the caller's word.
            unsafe {
                for v in 0..V {
                    S::prefetch(self.at.wrapping_add(v * S::LANES));
                }
                // What begins within a line ends in another.
                S::prefetch(self.at.wrapping_add(columns - 1));
            }
            #[cfg(test)]
            super::tests::CHANGED.with(|changed| {
                let mut all = changed.take();
                all.push(self.at.cast());
                changed.set(all);
            });
            self.at = self.at.wrapping_add(self.stride);
        }
        self.rows -= rows;
    }
}

/// Fetches a row of what a tile changes; to its last line, or as many lines as it fills.
///
/// # Safety
/// As for [`Simd`]; any address will do.
#[inline(always)]
pub(super) unsafe fn fetch_row<S: Simd>(row: *const S::T, columns: usize, to_last: bool) {
    // SAFETY: the caller's word.
    unsafe {
        let line = LINE_BYTES / size_of::<S::T>();
        for v in (0..columns).step_by(if to_last { line } else { S::LANES }) {
            S::prefetch(row.wrapping_add(v));
        }
        // What begins within a line ends in another.
        if to_last {
            S::prefetch(row.wrapping_add(columns - 1));
        }
    }
}

/// What is packed next: tiles fetch it on their way, so that packing does not wait for memory. Each fetches its
/// share, and not the first ones all: a core that asks for more than it can count waits.
///
/// B's lines, rows or columns, whichever lie side by side, are cut into pieces. One piece is fetched of
/// all lines, then the next.
pub(super) struct Way<T> {
    b: *const T,
    stride: usize,
    length: usize,
    lines: usize,
    /// How many elements a piece has.
    size: usize,
    /// Of which line what comes next is, and which piece.
    line: usize,
    piece: usize,
    /// How many pieces a tile fetches, and a leg of it.
    share: usize,
    each: usize,
}

impl<T> Way<T> {
    /// Where nothing is fetched.
    pub(super) const NONE: Self = Self {
        b: std::ptr::null(),
        stride: 0,
        length: 0,
        lines: 0,
        size: 1,
        line: 0,
        piece: 0,
        share: 0,
        each: 0,
    };

    /// Some panels of B, fetched by so many tiles of k steps, if these have the time.
    #[inline(always)]
    pub(super) fn new<S: Simd<T = T>>(b: &MatRef<'_, T>, (tiles, k): (usize, usize)) -> Self {
        let (stride, length, lines) = lines_of(b);
        let (size, legs) = (piece::<S>(), legs(k));
        // A tile fetches of one piece of the lines.
        let tiles = tiles / length.div_ceil(size).max(1);
        let each = lines.div_ceil((tiles * legs).max(1)).min(most_of_leg::<S>());
        let share = each * legs;
        Self { b: b.data().as_ptr(), stride, length, lines, size, line: 0, piece: 0, share, each }
    }

    /// Whether anything is fetched on the way: then what tiles change is as far.
    #[inline(always)]
    pub(super) fn is_far(&self) -> bool {
        self.lines > 0
    }

    /// The share of the next tile.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Share {
        if self.piece * self.size >= self.length {
            return Share::NONE;
        }
        let at = self.b.wrapping_add(self.line * self.stride + self.piece * self.size);
        // A piece that begins within a cache line touches one more. That is the first: within a block the
        // panel before ends in it, and has fetched it.
        let start = at.cast::<i8>().wrapping_add(LINE_BYTES - size_of::<T>());
        let pieces = self.share.min(self.lines - self.line);
        self.line += pieces;
        if self.line == self.lines {
            (self.line, self.piece) = (0, self.piece + 1);
        }
        Share { at: start, stride: self.stride * size_of::<T>(), pieces, each: self.each }
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, LEG, MatRef, Share, Way, legs, most_of_leg, piece};
    use crate::kernels::gemm::tests::{CHANGED, FETCHED};
    use crate::kernels::portable::Portable;

    type S = Portable<f32>;

    #[test]
    fn tiles_share_the_lines_of_b() {
        let data = vec![0.0_f32; 9 * 40];
        // Three pieces of each line, of which a leg fetches one.
        let b = MatRef::with_strides(&data, 9, 2 * piece::<S>() + 1, 40, 1);
        let mut way = Way::new::<S>(&b, (6, 5 * LEG));
        let shares = [(0, 0, 5), (5, 0, 4), (0, 1, 5), (5, 1, 4), (0, 2, 5), (5, 2, 4)];
        for (i, (line, piece, pieces)) in shares.into_iter().enumerate() {
            let Share { at, stride, pieces: found, each } = way.next();
            let first = data.as_ptr().wrapping_add(line * 40 + piece * super::piece::<S>());
            assert_eq!((at, stride), (first.cast::<i8>().wrapping_add(60), 160), "tile {i}");
            assert_eq!((found, each), (pieces, 1), "tile {i}");
        }
        assert_eq!(way.next().pieces, 0);
        let mut none = Way::<f32>::NONE;
        assert_eq!(none.next().pieces, 0);
    }

    /// As slowly as so many tiles can, but no faster than they have time for.
    #[test]
    fn legs_fetch_a_share_and_no_more() {
        let (k, lines) = (3 * LEG + 4, 70);
        let data = vec![0.0_f32; lines * 40];
        let b = MatRef::with_strides(&data, lines, piece::<S>(), 40, 1);
        for b in [b, MatRef::with_strides(&data, piece::<S>(), lines, 1, 40)] {
            for (tiles, each) in [(40, 1), (18, 1), (17, 2), (9, 2), (3, 6), (2, 8), (0, 8)] {
                let mut way = Way::new::<S>(&b, (tiles, k));
                FETCHED.set(Vec::new());
                let mut met = 0;
                for _ in 0..tiles {
                    let mut share = way.next();
                    for _ in 0..legs(k) {
                        share.fetch::<S>();
                        let now = FETCHED.take();
                        assert!(now.len() <= each, "{} pieces by one leg of {tiles}", now.len());
                        for found in now {
                            let line = data.as_ptr().wrapping_add(met * 40).cast::<i8>();
                            assert_eq!(found, line.wrapping_add(60));
                            met += 1;
                        }
                    }
                }
                assert_eq!(Way::new::<S>(&b, (tiles, k)).each, each, "by {tiles} tiles");
                let time = tiles * legs(k) * most_of_leg::<S>();
                assert_eq!(met, lines.min(time), "by {tiles} tiles");
            }
        }
    }

    #[test]
    fn legs_fetch_every_row_once() {
        let data = vec![0.0_f32; 6 * 40];
        for (rows, k) in (1..=6).flat_map(|rows| (2 * LEG..=256).step_by(4).map(move |k| (rows, k)))
        {
            let mut changed = Changed::new((data.as_ptr(), 40), rows, k);
            let mut found = Vec::new();
            for _ in 0..legs(k) {
                CHANGED.set(Vec::new());
                // SAFETY: plain lanes.
                unsafe { changed.fetch::<S, 4>(30) };
                let now = CHANGED.take();
                assert!(k < 6 * LEG || now.len() <= 1, "{k} steps");
                found.extend(now);
            }
            let expected: Vec<_> =
                (0..rows).map(|row| data.as_ptr().wrapping_add(row * 40).cast()).collect();
            assert_eq!(found, expected, "{k} steps");
        }
        CHANGED.set(Vec::new());
        let mut none = Changed::<f32>::NONE;
        // SAFETY: plain lanes.
        unsafe { none.fetch::<S, 4>(30) };
        assert!(CHANGED.take().is_empty());
    }
}
