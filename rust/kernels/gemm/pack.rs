//! Operands copied to where the innermost loop reads them one after the other.

use super::super::memory::fetch_far;
use super::super::simd::Simd;
use super::BLOCK;
use crate::matrix::MatRef;

/// Whether A's rows, of k columns, are copied for many of C's, though they could be read in place. Narrow tiles read
/// them twice as often as wide ones, and lines that follow each other come sooner than those of six rows.
pub(super) const fn copies_rows<S: Simd>(k: usize) -> bool {
    S::WIDE_ROWS == 0 && k >= S::LANES
}

/// How many rows the next tile has, at most `most`, where so many are left: no tile is so low that
/// its chains could not fill the pipeline, if that can be had.
#[inline(always)]
pub(super) fn height(left: usize, most: usize) -> usize {
    if left >= 2 * most || left == most {
        most
    } else if left > most {
        left.div_ceil(2)
    } else {
        left
    }
}

/// Copies A (m, k) tile by tile, column by column: of each the tile's rows, at most `most`, which is
/// [`Simd::ROWS`] or [`Simd::WIDE_ROWS`]. So far apart the columns stand, however low the tile.
///
/// # Safety
/// As for [`Simd`]; `to` has room for `most * k` elements a tile.
#[inline(always)]
pub(super) unsafe fn pack_rows<S: Simd>(a: MatRef<'_, S::T>, most: usize, mut to: *mut S::T) {
    let (m, k) = (a.rows(), a.columns());
    let mut i = 0;
    while i < m {
        let rows = height(m - i, most);
        // SAFETY: the tile's rows are within A, whose elements are within its slice; `to` is the
        // caller's word.
        unsafe {
            let (tile, left) = (a.rows_from(i, rows), a.rows_from(i, m - i));
            match rows {
                _ if can_cross::<S>(left, most) => cross_tile::<S>(left, most, to),
                1 => pack_tile::<S, 1>(tile, most, to),
                2 => pack_tile::<S, 2>(tile, most, to),
                3 => pack_tile::<S, 3>(tile, most, to),
                4 => pack_tile::<S, 4>(tile, most, to),
                5 => pack_tile::<S, 5>(tile, most, to),
                6 => pack_tile::<S, 6>(tile, most, to),
                7 => pack_tile::<S, 7>(tile, most, to),
                8 => pack_tile::<S, 8>(tile, most, to),
                _ => unreachable!("no tile has more rows"),
            }
            to = to.add(most * k);
        }
        i += rows;
    }
}

/// Whether the first tile of A (m, k) can be copied by whole registers along its rows: these lie in place, and as many
/// are left as registers take in.
#[inline(always)]
fn can_cross<S: Simd>(a: MatRef<'_, S::T>, most: usize) -> bool {
    copies_rows::<S>(a.columns())
        && a.column_stride() == 1
        && a.rows() >= most.next_multiple_of(S::LANES)
}

/// The first tile of A (m, k), as [`pack_rows`] copies it, block by block. What registers hold of rows below the
/// tile comes to stand where the next column does, which is written later.
///
/// # Safety
/// As for [`pack_rows`], and [`can_cross`]. Behind the last column they write only where they hold rows below the
/// tile: then there is another tile, which is copied later and has its room there.
#[inline(always)]
unsafe fn cross_tile<S: Simd>(a: MatRef<'_, S::T>, most: usize, to: *mut S::T) {
    debug_assert!(can_cross::<S>(a, most), "registers take in rows that are there");
    #[cfg(test)]
    tests::CROSSED.with(|crossed| crossed.set(crossed.get() + 1));
    let (k, stride) = (a.columns(), a.row_stride());
    // From below, so that each column's first rows are written last.
    for r in (0..most).step_by(S::LANES).rev() {
        let mut done = 0;
        while let Some(t) = start::<S>(done, k) {
            // SAFETY: so many rows and columns are there; `to` is the caller's word.
            unsafe {
                let from = a.data().as_ptr().add(r * stride + t);
                S::transpose(from, stride, to.add(t * most + r), most);
            }
            done = t + S::LANES;
        }
    }
}

/// The same of one tile, of `R` rows.
///
/// # Safety
/// As for [`pack_rows`].
#[inline(always)]
unsafe fn pack_tile<S: Simd, const R: usize>(a: MatRef<'_, S::T>, most: usize, to: *mut S::T) {
    let (row, column) = (a.row_stride(), a.column_stride());
    for t in 0..a.columns() {
        // SAFETY: the caller's word.
        unsafe {
            let (from, to) = (a.data().as_ptr().add(t * column), to.add(t * most));
            if row == 1 {
                to.copy_from_nonoverlapping(from, R); // in few moves, as R is known
            } else {
                for r in 0..R {
                    to.add(r).write(from.add(r * row).read());
                }
            }
        }
    }
}

/// How many elements behind the last panel of k rows may be written, too: of fewer rows than a
/// register has lanes, if B lies across.
#[inline(always)]
pub(super) const fn behind<S: Simd>(k: usize) -> usize {
    2 * S::LANES * S::LANES.saturating_sub(k)
}

/// Copies B (k, n) panel by panel of two registers' columns, one behind the other; the last may have
/// one register. In this order: what one writes behind its rows the next overwrites.
///
/// # Safety
/// As for [`Simd`]; `to` has room for n columns, filled up to whole registers, of k rows, and for what
/// is written [`behind`] them where B's columns do not lie side by side.
#[inline(always)]
pub(super) unsafe fn pack_panels<S: Simd>(b: MatRef<'_, S::T>, mut to: *mut S::T) {
    let width = 2 * S::LANES;
    for j in (0..b.columns()).step_by(width) {
        let columns = (b.columns() - j).min(width);
        let panel = b.columns_from(j, columns);
        // SAFETY: the caller's word.
        unsafe {
            if columns > S::LANES {
                pack_panel::<S, 2>(panel, to);
            } else {
                pack_panel::<S, 1>(panel, to);
            }
        }
        to = to.wrapping_add(width * b.rows());
    }
}

/// Copies a panel B (k, n) of at most `V` registers' columns, row by row, filled up with 0.
///
/// # Safety
/// As for [`Simd`]; `to` has room for `V * LANES` elements a row, of which there are k, or
/// [`Simd::LANES`] where that is more and B's columns do not lie side by side.
#[inline(always)]
unsafe fn pack_panel<S: Simd, const V: usize>(b: MatRef<'_, S::T>, to: *mut S::T) {
    let (k, n) = (b.rows(), b.columns());
    let (row, column) = (b.row_stride(), b.column_stride());
    let width = V * S::LANES;
    let from = b.data().as_ptr();
    // SAFETY: every element read is within B; `to` is the caller's word.
    unsafe {
        if column == 1 && n == width {
            for t in 0..k {
                for v in 0..V {
                    S::store(
                        to.add(t * width + v * S::LANES),
                        S::load(from.add(t * row + v * S::LANES)),
                    );
                }
            }
        } else if column == 1 {
            for t in 0..k {
                for v in 0..V {
                    let count = n.saturating_sub(v * S::LANES).min(S::LANES);
                    let from = from.wrapping_add(t * row + v * S::LANES);
                    S::store(to.add(t * width + v * S::LANES), S::load_part(from, count));
                }
            }
        } else {
            transposed::<S>(b, to, width);
        }
    }
}

/// Copies a panel B (k, n) whose rows lie across, to rows of so many elements, filled up with 0: block
/// by block where its columns are contiguous.
///
/// # Safety
/// As for [`Simd`]; `width` is at least n, and `to` has room for so many rows of it as B has, or
/// [`Simd::LANES`] where that is more.
#[inline(always)]
pub(super) unsafe fn transposed<S: Simd>(b: MatRef<'_, S::T>, to: *mut S::T, width: usize) {
    let (k, n) = (b.rows(), b.columns());
    let (row, column) = (b.row_stride(), b.column_stride());
    let from = b.data().as_ptr();
    let mut done = 0;
    if row == 1 {
        while let Some(j) = start::<S>(done, n) {
            // Of a short panel elements behind its columns are read too, if there are any, and
            // written behind its rows.
            let last = (j + S::LANES - 1) * column;
            let mut t = 0;
            while t < k {
                let at = start::<S>(t, k).unwrap_or(t);
                if last + at + S::LANES > b.data().len() {
                    break;
                }
                // SAFETY: the caller's word, as at + LANES is LANES or at most k, and j + LANES at most n;
                // what is read lies within the slice.
                unsafe {
                    S::transpose(from.add(j * column + at), column, to.add(at * width + j), width);
                }
                t = at + S::LANES;
            }
            if t < k {
                break;
            }
            done = j + S::LANES;
        }
    }
    // SAFETY: every element read is within B; `to` is the caller's word.
    unsafe {
        for t in 0..k {
            for j in done..n {
                to.add(t * width + j).write(from.add(t * row + j * column).read());
            }
            for j in n..width {
                to.add(t * width + j).write(S::T::default());
            }
        }
    }
}

/// Where the next whole register of `count` elements begins of which some are done; the last may
/// begin among those. None where all are done, or there are too few.
#[inline(always)]
fn start<S: Simd>(done: usize, count: usize) -> Option<usize> {
    (done < count && count >= S::LANES).then(|| done.min(count - S::LANES))
}

/// The panels of B from a row and a column on; those of the next block where a block has no more.
#[inline(always)]
pub(super) fn panels_at<T: Copy>(
    b: MatRef<'_, T>,
    first: usize,
    j: usize,
    width: usize,
) -> Option<MatRef<'_, T>> {
    let (first, j) = if j < b.columns() { (first, j) } else { (first + BLOCK, 0) };
    let k = b.rows().checked_sub(first).filter(|&k| k > 0)?.min(BLOCK);
    Some(b.rows_from(first, k).columns_from(j, width.min(b.columns() - j)))
}

/// What is packed next: some lines of it are fetched at a time while rows are worked on, so that packing
/// does not wait for memory.
pub(super) struct Ahead<T> {
    /// The next line of B, a row or a column, whichever lies side by side.
    at: *const T,
    stride: usize,
    length: usize,
    /// How many lines are left, and how many are fetched at a time.
    left: usize,
    each: usize,
}

impl<T> Ahead<T> {
    /// Some panels of B, if there are more, by so many times.
    #[inline(always)]
    pub(super) fn new(b: Option<MatRef<'_, T>>, times: usize) -> Self {
        let Some(b) = b else {
            return Self { at: std::ptr::null(), stride: 0, length: 0, left: 0, each: 0 };
        };
        let (stride, length, left) = lines_of(&b);
        Self { at: b.data().as_ptr(), stride, length, left, each: left.div_ceil(times.max(1)) }
    }

    /// Fetches some lines.
    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        if self.left > 0 {
            self.fetch_lines();
        }
    }

    // Not inlined: a product that fetches nothing keeps its registers.
    #[inline(never)]
    fn fetch_lines(&mut self) {
        for _ in 0..self.each.min(self.left) {
            fetch_far(self.at, self.length);
            #[cfg(test)]
            super::tests::AHEAD.with(|fetched| fetched.set(fetched.get() + self.length));
            self.at = self.at.wrapping_add(self.stride);
            self.left -= 1;
        }
    }
}

/// How far the lines of B are apart, how long they are, and how many.
#[inline(always)]
pub(super) fn lines_of<T>(b: &MatRef<'_, T>) -> (usize, usize, usize) {
    if b.column_stride() == 1 {
        (b.row_stride(), b.columns(), b.rows())
    } else {
        (b.column_stride(), b.rows(), b.columns())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::{Ahead, BLOCK, MatRef, height, pack_rows, panels_at};
    use crate::kernels::simd::simd_kernel;
    use crate::kernels::{Isa, Real};

    thread_local! {
        /// How many tiles of A were copied register by register on this thread.
        pub(crate) static CROSSED: Cell<usize> = const { Cell::new(0) };
    }

    simd_kernel! {
        /// Copies A for tiles of two registers. Returns how many rows these have.
        fn copy<T, S>(a: MatRef<'_, T>, to: &mut [T]) -> usize {
            assert!(to.len() >= a.rows() * S::ROWS * a.columns());
            // SAFETY: `simd_kernel` has compiled this for S; there is room for a tile a row.
            unsafe { pack_rows::<S>(a, S::ROWS, to.as_mut_ptr()) };
            S::ROWS
        }
    }

    /// Rows that lie in place, apart from each other, of which tiles are copied register by register or one by one.
    fn check_rows<T: Real>(isa: Isa, (m, k): (usize, usize)) {
        let data: Vec<T> = (0_u32..).map(|i| T::from_f64(i.into())).take(m * (k + 3)).collect();
        let a = MatRef::with_strides(&data[..m * (k + 3) - 3], m, k, k + 3, 1);
        let untouched = T::from_f64(-1.0);
        let mut to = vec![untouched; (m + 1) * 8 * k];
        CROSSED.set(0);
        let most = copy(isa, a, &mut to);
        let lanes = if isa.name() == "avx2" { 32 / size_of::<T>() } else { 4 };
        let crosses = isa.name() != "avx512" && k >= lanes && m >= most.next_multiple_of(lanes);
        assert_eq!(CROSSED.get() > 0, crosses, "({m}, {k}): {}", isa.name());
        let (mut i, mut tile) = (0, 0);
        while i < m {
            let rows = height(m - i, most);
            for (t, r) in (0..k).flat_map(|t| (0..rows).map(move |r| (t, r))) {
                let found = to[(tile * k + t) * most + r];
                let what = format!("({m}, {k}), row {}, column {t}: {}", i + r, isa.name());
                assert_eq!(found, data[(i + r) * (k + 3) + t], "{what}");
            }
            (i, tile) = (i + rows, tile + 1);
        }
        let mut behind = to[tile * most * k..].iter();
        assert!(behind.all(|&x| x == untouched), "({m}, {k}): {}", isa.name());
    }

    #[test]
    fn rows_are_copied_as_tiles_read_them() {
        for isa in Isa::available() {
            for (m, k) in (1..=30).flat_map(|m| [1, 3, 4, 7, 8, 9, 17, 256].map(|k| (m, k))) {
                check_rows::<f32>(isa, (m, k));
                check_rows::<f64>(isa, (m, k));
            }
        }
    }

    #[test]
    fn what_is_fetched_is_what_is_packed_next() {
        let (k, n) = (BLOCK + 3, 70);
        let data = vec![0.0_f32; k * n];
        for b in [MatRef::new(&data, k, n), MatRef::new(&data, n, k).transposed()] {
            let begins = |i, j| &raw const data[i * b.row_stride() + j * b.column_stride()];
            let panel = |first, j| {
                let panel = panels_at(b, first, j, 32).unwrap();
                (panel.data().as_ptr(), panel.rows(), panel.columns())
            };
            assert_eq!(panel(0, 32), (begins(0, 32), BLOCK, 32));
            assert_eq!(panel(0, 64), (begins(0, 64), BLOCK, 6));
            assert_eq!(panel(0, n), (begins(BLOCK, 0), 3, 32));
            assert_eq!(panel(BLOCK, 64), (begins(BLOCK, 64), 3, 6));
            assert!(panels_at(b, BLOCK, n, 32).is_none());
            assert!(panels_at(b.rows_from(0, BLOCK), 0, n, 32).is_none());
        }
    }

    #[test]
    fn all_lines_are_fetched_by_the_last_time() {
        let data = vec![0.0_f32; 9 * 40];
        let rows = MatRef::with_strides(&data, 9, 7, 40, 1);
        for (b, lines) in [(rows, 9), (rows.transposed(), 9), (MatRef::new(&data, 9, 40), 9)] {
            for times in [0, 1, 2, 5, 20] {
                let mut ahead = Ahead::new(Some(b), times);
                assert_eq!((ahead.left, ahead.at), (lines, data.as_ptr()));
                (0..times.max(1)).for_each(|_| ahead.fetch());
                assert_eq!((ahead.left, ahead.at), (0, data.as_ptr().wrapping_add(9 * 40)));
            }
        }
        let mut none = Ahead::<f32>::new(None, 3);
        none.fetch();
        assert!(none.at.is_null());
    }
}
