//! Operands copied to where the innermost loop reads them one after the other.

use super::super::simd::Simd;
use crate::matrix::MatRef;

/// How many rows the next tile has, where so many are left: no tile is so low that its chains
/// could not fill the pipeline, if that can be had.
#[inline(always)]
pub(super) fn height<S: Simd>(left: usize) -> usize {
    if left >= 2 * S::ROWS || left == S::ROWS {
        S::ROWS
    } else if left > S::ROWS {
        left.div_ceil(2)
    } else {
        left
    }
}

/// Copies A (m, k) tile by tile: of each column the tile's rows, [`Simd::ROWS`] apart.
///
/// # Safety
/// As for [`Simd`]; `to` has room for `ROWS * k` elements a tile.
#[inline(always)]
pub(super) unsafe fn pack_rows<S: Simd>(a: MatRef<'_, S::T>, mut to: *mut S::T) {
    let (m, k) = (a.rows(), a.columns());
    let (row, column) = (a.row_stride(), a.column_stride());
    let mut i = 0;
    while i < m {
        let rows = height::<S>(m - i);
        // SAFETY: row i + r and column t are within A, whose elements are within its slice; `to`
        // is the caller's word.
        unsafe {
            let from = a.data().as_ptr().add(i * row);
            for t in 0..k {
                let (from, to) = (from.add(t * column), to.add(t * S::ROWS));
                if row == 1 && rows == S::ROWS {
                    to.copy_from_nonoverlapping(from, S::ROWS);
                } else {
                    for r in 0..rows {
                        to.add(r).write(from.add(r * row).read());
                    }
                }
            }
            to = to.add(S::ROWS * k);
        }
        i += rows;
    }
}

/// Copies B (k, n) panel by panel of two registers' columns, one behind the other; the last may have
/// one register.
///
/// # Safety
/// As for [`pack_panel`] with two registers a panel.
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
/// As for [`Simd`]; `to` has room for `V * LANES` elements a row, of which there are k, or [`Simd::LANES`]
/// where that is more.
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

/// Copies a panel B (k, n) whose rows lie across: block by block where its columns are contiguous.
///
/// # Safety
/// As for [`pack_panel`].
#[inline(always)]
unsafe fn transposed<S: Simd>(b: MatRef<'_, S::T>, to: *mut S::T, width: usize) {
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
                // SAFETY: as there; what is read lies within the slice.
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
    // SAFETY: as there.
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
