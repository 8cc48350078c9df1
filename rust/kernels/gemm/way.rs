//! What tiles fetch on their way: what is packed next, and what they change.

use std::ops::Range;

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

/// A tile's way is cut into legs of so many steps along the summation, and before each some pieces are asked
/// for, a cache line for four steps: the innermost loop has no time to ask for one now and then.
pub(super) const LEG: usize = 32;

/// How many of these a tile of k steps has time to fetch.
pub(super) const fn pieces_on_the_way<S: Simd>(k: usize) -> usize {
    (k / 4 * 4).div_ceil(LEG) * (LEG / 4 / piece_lines::<S>())
}

/// How many cache lines a piece fills.
const fn piece_lines<S: Simd>() -> usize {
    (piece::<S>() * size_of::<S::T>()).div_ceil(LINE_BYTES)
}

/// What a tile fetches on its way: so many pieces of lines of B, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Share {
    /// The first, and how many bytes they are apart.
    start: *const i8,
    stride: usize,
    pieces: usize,
}

impl Share {
    /// Nothing.
    pub(super) const NONE: Self = Self { start: std::ptr::null(), stride: 0, pieces: 0 };

    /// Fetches the pieces of a leg.
    #[inline(always)]
    pub(super) fn fetch<S: Simd>(&self, leg: usize) {
        let lines = piece_lines::<S>();
        let each = LEG / 4 / lines;
        for piece in leg * each..self.pieces.min((leg + 1) * each) {
            let piece = self.start.wrapping_add(piece.wrapping_mul(self.stride));
            for line in 0..lines {
                fetch_to_second(piece.wrapping_add(line * LINE_BYTES));
            }
            #[cfg(test)]
            super::tests::FETCHED.with(|fetched| {
                let mut all = fetched.take();
                all.push(piece);
                fetched.set(all);
            });
        }
    }
}

/// What a wide tile's sums will change: some of its rows are fetched before each leg. Asked for together, before the
/// first, they would be more lines than a core can count.
#[derive(Clone, Copy)]
pub(super) struct Changed<T> {
    /// The first element.
    start: *const T,
    /// How many rows a leg fetches.
    rows: usize,
}

impl<T> Changed<T> {
    /// Nothing, where all was fetched before.
    pub(super) const NONE: Self = Self { start: std::ptr::null(), rows: 0 };

    /// So many rows, fetched on a way of k steps: a leg at least.
    #[inline(always)]
    pub(super) fn new(start: *const T, rows: usize, k: usize) -> Self {
        Self { start, rows: rows.div_ceil(k / LEG) }
    }

    /// Those of so many rows that a leg fetches.
    #[inline(always)]
    fn of(&self, leg: usize, rows: usize) -> Range<usize> {
        let first = leg * self.rows;
        first.min(rows)..(first + self.rows).min(rows)
    }

    /// Fetches the rows of a leg, so many elements of each.
    ///
    /// # Safety
    /// As for [`Simd`]; any address will do.
    #[inline(always)]
    pub(super) unsafe fn fetch<S: Simd<T = T>>(
        &self,
        leg: usize,
        (rows, columns): (usize, usize),
        stride: usize,
    ) {
        for row in self.of(leg, rows) {
            let row = self.start.wrapping_add(row.wrapping_mul(stride));
            // SAFETY: the caller's word.
            unsafe { fetch_row::<S>(row, columns, true) };
            #[cfg(test)]
            super::tests::CHANGED.with(|changed| {
                let mut all = changed.take();
                all.push(row.cast());
                changed.set(all);
            });
        }
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
        for v in (0..columns).step_by(S::LANES) {
            S::prefetch(row.wrapping_add(v));
        }
        // What begins within a line ends in another.
        if to_last {
            S::prefetch(row.wrapping_add(columns - 1));
        }
    }
}

/// What is packed next: tiles fetch it on their way, so that packing does not wait for memory, and neither
/// do they, as a core does that asks for more than it can count.
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
}

impl<T> Way<T> {
    /// Where nothing is fetched.
    pub(super) const NONE: Self =
        Self { b: std::ptr::null(), stride: 0, length: 0, lines: 0, size: 1, line: 0, piece: 0 };

    /// Some panels of B in pieces of so many elements.
    #[inline(always)]
    pub(super) fn new(b: &MatRef<'_, T>, size: usize) -> Self {
        let (stride, length, lines) = lines_of(b);
        Self { b: b.data().as_ptr(), stride, length, lines, size, line: 0, piece: 0 }
    }

    /// The share of the next tile, if it has time for so many pieces.
    #[inline(always)]
    pub(super) fn next(&mut self, times: usize) -> Share {
        if self.piece * self.size >= self.length {
            return Share::NONE;
        }
        let at = self.b.wrapping_add(self.line * self.stride + self.piece * self.size);
        // A piece that begins within a cache line touches one more. That is the first: within a block the
        // panel before ends in it, and has fetched it.
        let start = at.cast::<i8>().wrapping_add(LINE_BYTES - size_of::<T>());
        let pieces = times.min(self.lines - self.line);
        self.line += pieces;
        if self.line == self.lines {
            (self.line, self.piece) = (0, self.piece + 1);
        }
        Share { start, stride: self.stride * size_of::<T>(), pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, LEG, MatRef, Share, Way, piece, pieces_on_the_way};
    use crate::kernels::gemm::tests::FETCHED;
    use crate::kernels::portable::Portable;

    type S = Portable<f32>;

    #[test]
    fn tiles_share_the_lines_of_b() {
        let data = vec![0.0_f32; 9 * 40];
        let mut way = Way::new(&MatRef::with_strides(&data, 9, 20, 40, 1), 8);
        let shares = [(0, 0, 5), (5, 0, 4), (0, 1, 5), (5, 1, 4), (0, 2, 5), (5, 2, 4)];
        for (i, (line, piece, pieces)) in shares.into_iter().enumerate() {
            let Share { start, stride, pieces: found } = way.next(5);
            let first = data.as_ptr().wrapping_add(line * 40 + piece * 8).cast::<i8>();
            assert_eq!((start, stride), (first.wrapping_add(60), 160), "tile {i}");
            assert_eq!(found, pieces, "tile {i}");
        }
        assert_eq!(way.next(5).pieces, 0);
        let mut none = Way::<f32>::NONE;
        assert_eq!(none.next(5).pieces, 0);
    }

    #[test]
    fn legs_fetch_a_share_and_no_more() {
        let (k, lines) = (3 * LEG + 4, 70);
        let data = vec![0.0_f32; lines * 40];
        let b = MatRef::with_strides(&data, lines, piece::<S>(), 40, 1);
        for b in [b, MatRef::with_strides(&data, piece::<S>(), lines, 1, 40)] {
            let mut way = Way::new(&b, piece::<S>());
            let mut expected = Vec::new();
            for line in 0..lines {
                let at = data.as_ptr().wrapping_add(line * 40).cast::<i8>();
                expected.push(at.wrapping_add(60));
            }
            FETCHED.set(Vec::new());
            for _ in 0..lines.div_ceil(pieces_on_the_way::<S>(k)) {
                let share = way.next(pieces_on_the_way::<S>(k));
                (0..k.div_ceil(LEG)).for_each(|leg| share.fetch::<S>(leg));
            }
            assert_eq!(FETCHED.take(), expected);
            assert_eq!(way.next(1).pieces, 0);
        }
    }

    #[test]
    fn legs_fetch_every_row_once() {
        for (rows, k) in (1..=6).flat_map(|rows| (2 * LEG..=256).step_by(4).map(move |k| (rows, k)))
        {
            let changed = Changed::<f32>::new(std::ptr::null(), rows, k);
            let legs = k.div_ceil(LEG);
            let found: Vec<usize> = (0..legs).flat_map(|leg| changed.of(leg, rows)).collect();
            assert_eq!(found, (0..rows).collect::<Vec<_>>(), "{k} steps");
            assert!(k < 6 * LEG || (0..legs).all(|leg| changed.of(leg, rows).len() <= 1), "{k}");
        }
        assert!(Changed::<f32>::NONE.of(0, 6).is_empty());
    }
}
