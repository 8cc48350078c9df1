//! Products that leave out what is 0 in A, element by element: half of what relu hands on is. That is
//! exact by rule 8 of `docs/exactness.md` where B is finite, and so all that is met of B is looked at:
//! within a step r can overflow before anything else tells. Then the block is done over as it is.
//!
//! A lone row of A that meets a few registers' columns of B takes a load for each multiply-add, so B
//! has to be in the first cache: a block of rule 1 is cut into pieces of [`PIECE`] rows of B, each packed
//! when its turn comes, which all rows of A meet before the next. Between the pieces a chain's sum is
//! kept as it is.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use super::BLOCK;
use super::chain::{Next, PIECE, Piece, Rows, chain};
use super::chunk::Chunk;
use super::job::CHUNK_ROWS;
use super::pack::{Ahead, pack_panels, transposed};
use super::panel::{group, is_zero};
use super::settle::{settle, settle_here};
use super::tile::{Output, Place, fetch, form};
use crate::kernels::Real;
use crate::kernels::memory::is_first_cache_roomy;
use crate::kernels::simd::Simd;
use crate::matrix::MatRef;

/// So many bytes of a row of B are met at a time at most: with [`PIECE`] rows, two thirds of a first
/// cache of 48 KB.
const WIDTH: usize = 512;

/// And where the first cache holds less: three quarters of 32 KB.
const NARROW: usize = 384;

/// How many elements of a row are met at a time at most.
pub(super) const fn width<T>() -> usize {
    WIDTH / size_of::<T>()
}

/// Leaving out takes longer for each element than not to: it pays where at most so many of so many
/// are not 0.
const MOST: (usize, usize) = (3, 5);

/// So many rows of A are looked at, or columns where those lie side by side.
const LOOKS: usize = 8;

/// How many registers' columns B has at least, and how many rows.
const LEAST: (usize, usize) = (4, 64);

/// How many rows A has at least where B has yet to be packed, and looked at.
const LEAST_ROWS: usize = 16;

/// So many bytes come soon enough: rows would wait longer while what is packed next is fetched.
const NEAR: usize = 5 << 19;

/// How many rows ahead what a row of sums will change is fetched.
const AHEAD: usize = 4;

/// Whether so much of a block of A (m, k) is 0, as far as a few rows of it tell, that leaving it out
/// pays where B has so many columns, `ready` or not.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn pays<S: Simd>(a: MatRef<'_, S::T>, columns: usize, ready: bool) -> bool {
    let lines = if a.column_stride() == 1 { a } else { a.transposed() };
    if columns < LEAST.0 * S::LANES
        || a.columns() < LEAST.1
        || !(ready || a.rows() >= LEAST_ROWS)
        || lines.column_stride() != 1
    {
        return false;
    }
    let (mut looks, mut met) = (0, 0);
    for i in (0..lines.rows()).step_by(lines.rows().div_ceil(LOOKS)) {
        let line = lines.rows_from(i, 1).data().as_ptr();
        for t in (0..lines.columns()).step_by(PIECE) {
            let count = PIECE.min(lines.columns() - t);
            // SAFETY: so many elements lie side by side there.
            met += unsafe { bits::<S>(line.add(t), count) }.count_ones() as usize;
            looks += count;
        }
    }
    met * MOST.1 <= looks * MOST.0
}

/// One block of a chunk, A (m, k), some panels at a time.
///
/// # Safety
/// As for what takes a block as it is, in `chunk.rs`; [`pays`] says that it pays.
#[inline(always)]
pub(super) unsafe fn leave_out<S: Simd>(
    chunk: &mut Chunk<'_, S::T>,
    a: MatRef<'_, S::T>,
    first: usize,
    output: &Output<S::T>,
    check: &mut S::V,
) {
    let (size, n) = ((a.rows(), a.columns()), chunk.columns());
    assert!((1..=CHUNK_ROWS).contains(&size.0) && (1..=BLOCK).contains(&size.1), "a block");
    #[cfg(test)]
    tests::TAKEN.with(|taken| taken.set(taken.get() + 1));
    let mut place = chunk.place(a);
    if a.column_stride() != 1 {
        // SAFETY: the caller's word; there is room for the rows of a chunk.
        unsafe { transposed::<S>(a, chunk.rows.as_mut_ptr(), BLOCK) };
        (place.a, place.a_strides) = (chunk.rows.as_ptr(), (BLOCK, 1));
    }
    let marks = [[0; CHUNK_ROWS]; BLOCK / PIECE];
    let mut rows = Rows { a: place.a, stride: place.a_strides.0, size, marks };
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        mark::<S>(&mut rows);
        let mut j = 0;
        while j < n {
            let columns = together::<S>(n - j);
            let next = together::<S>(if j + columns < n { n - j - columns } else { n });
            // A panel of one register is soon done as it is.
            let narrow = columns <= S::LANES;
            let fetches = size.0.div_ceil(S::ROWS) * size.1.div_ceil(PIECE);
            let mut ahead = chunk.ahead(first, (j + columns, next), NEAR, fetches);
            place.columns = columns;
            let whole =
                narrow || !panels::<S>(chunk, (first, j), &rows, place, output, check, &mut ahead);
            if whole {
                place.b = chunk.pack_b::<S>(first, place.k, (j, columns));
                let mut way = chunk.way_to::<S>((form::ROWS, &place), first, (j + columns, next));
                group::<S>(form::ROWS, place, size.0, output, check, &mut way);
            }
            j += columns;
            place.c += columns;
        }
    }
}

/// Sets the bits of all elements of A that are not 0.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
unsafe fn mark<S: Simd>(rows: &mut Rows<S::T>) {
    let (m, k) = rows.size;
    for i in 0..m {
        for first in (0..k).step_by(PIECE) {
            // SAFETY: so many elements lie side by side there.
            rows.marks[first / PIECE][i] =
                unsafe { bits::<S>(rows.a.add(i * rows.stride + first), PIECE.min(k - first)) };
        }
    }
}

/// A bit for each of at most [`PIECE`] elements that is not 0.
///
/// # Safety
/// As for [`Simd`]; there are so many.
#[inline(always)]
unsafe fn bits<S: Simd>(from: *const S::T, count: usize) -> u64 {
    let mut bits = 0;
    if count == PIECE {
        // As most are: without a question for each register.
        for t in (0..PIECE).step_by(S::LANES) {
            // SAFETY: the caller's word.
            bits |= u64::from(unsafe { S::nonzero(S::load(from.add(t))) }) << t;
        }
        return bits;
    }
    for t in (0..count).step_by(S::LANES) {
        // SAFETY: the caller's word.
        let v = unsafe {
            if count - t >= S::LANES {
                S::load(from.add(t))
            } else {
                S::load_part(from.add(t), count - t)
            }
        };
        // SAFETY: likewise.
        bits |= u64::from(unsafe { S::nonzero(v) }) << t;
    }
    bits
}

/// How many columns of B, which has so many left, are met together: panels of two registers, of
/// which turns differ by one at most. A panel of one register comes last, by itself.
#[inline(always)]
fn together<S: Simd>(left: usize) -> usize {
    let panel = 2 * S::LANES;
    let panels = left / panel + usize::from(left % panel > S::LANES);
    if panels == 0 {
        return left;
    }
    const { assert!(most_panels::<S>(NARROW) >= 3, "so that no turn has a lone panel") }
    let (least, most) = const { (most_panels::<S>(NARROW), most_panels::<S>(WIDTH)) };
    let turns = panels.div_ceil(if least < most && is_roomy() { most } else { least });
    left.min(panels.div_ceil(turns) * panel)
}

/// How many panels of so many bytes a row are met together at most; there are registers for six.
#[inline(always)]
const fn most_panels<S: Simd>(bytes: usize) -> usize {
    let panels = bytes / (2 * S::LANES * size_of::<S::T>());
    if panels < 6 { panels } else { 6 }
}

/// Whether the first cache holds the widest pieces of B beside the rest.
#[inline(always)]
fn is_roomy() -> bool {
    #[cfg(test)]
    if let Some(roomy) = tests::ROOMY.get() {
        return roomy;
    }
    is_first_cache_roomy()
}

/// Whether panels of B are finite: else what is 0 in A counts.
///
/// # Safety
/// As for [`Simd`]; there are so many elements, whole registers.
#[inline(always)]
pub(super) unsafe fn is_finite<S: Simd>(panels: *const S::T, count: usize) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        let mut met = [S::splat(S::T::ZERO); 4];
        let mut t = 0;
        while t + 4 * S::LANES <= count {
            for i in 0..4 {
                let v = S::load(panels.add(t + i * S::LANES));
                met[i] = S::add(met[i], S::sub(v, v));
            }
            t += 4 * S::LANES;
        }
        while t < count {
            let v = S::load(panels.add(t));
            met[0] = S::add(met[0], S::sub(v, v));
            t += S::LANES;
        }
        is_zero::<S>(S::add(S::add(met[0], met[1]), S::add(met[2], met[3])))
    }
}

/// A block of rule 1 for panels of B, `place.columns` wide together: from a row and a column of a
/// chunk on. Returns false, and leaves C as it was, where they are not finite.
///
/// # Safety
/// As for [`group`]; there are at least two panels, of two registers each, and at most [`width`] columns.
#[inline(always)]
unsafe fn panels<S: Simd>(
    chunk: &mut Chunk<'_, S::T>,
    at: (usize, usize),
    rows: &Rows<S::T>,
    place: Place<S::T>,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) -> bool {
    // SAFETY: the caller's word.
    unsafe {
        match place.columns.div_ceil(2 * S::LANES) {
            2 => pieces::<S, 2>(chunk, at, rows, place, output, check, ahead),
            3 => pieces::<S, 3>(chunk, at, rows, place, output, check, ahead),
            4 if most_panels::<S>(WIDTH) >= 4 => {
                pieces::<S, 4>(chunk, at, rows, place, output, check, ahead)
            }
            5 if most_panels::<S>(WIDTH) >= 5 => {
                pieces::<S, 5>(chunk, at, rows, place, output, check, ahead)
            }
            6 if most_panels::<S>(WIDTH) >= 6 => {
                pieces::<S, 6>(chunk, at, rows, place, output, check, ahead)
            }
            _ => unreachable!("no more panels are met together"),
        }
    }
}

/// The same of `P` panels, piece by piece.
///
/// # Safety
/// As for [`panels`].
#[inline(always)]
unsafe fn pieces<S: Simd, const P: usize>(
    chunk: &mut Chunk<'_, S::T>,
    (first, j): (usize, usize),
    rows: &Rows<S::T>,
    place: Place<S::T>,
    output: &Output<S::T>,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) -> bool {
    let last = (place.k - 1) / PIECE;
    for piece in 0..=last {
        // SAFETY: the caller's word; so below.
        let b = unsafe { piece_of_b::<S>(chunk, (first, place.k), (j, place.columns), piece) };
        let Some((b, panel)) = b else { return false };
        let piece = Piece { number: piece, b, panel };
        let sums = chunk.sums.as_mut_ptr();
        if piece.number < last {
            unsafe { begin::<S, P>(rows, &piece, sums, ahead) };
        } else {
            unsafe { end::<S, P>(rows, &piece, place, output, sums, check, ahead) };
        }
    }
    #[cfg(test)]
    tests::FINISHED.with(|finished| finished.set(finished.get() + 1));
    true
}

/// Panels of a piece of B, which is packed now if it is not yet, and how far one is from the next;
/// none where the piece is not finite or, of what was packed before, anything.
///
/// # Safety
/// As for [`panels`].
#[inline(always)]
unsafe fn piece_of_b<S: Simd>(
    chunk: &mut Chunk<'_, S::T>,
    (first, k): (usize, usize),
    columns: (usize, usize),
    piece: usize,
) -> Option<(*const S::T, usize)> {
    let (at, width) = (piece * PIECE, 2 * S::LANES);
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        if chunk.is_packed() {
            let panels = chunk.pack_b::<S>(first, k, columns);
            return chunk.is_finite().then(|| (panels.add(at * width), k * width));
        }
        let b = chunk.b(first + at, PIECE.min(k - at), columns);
        let to = chunk.panels.as_mut_ptr();
        let finite = if b.column_stride() == 1 && b.columns().is_multiple_of(width) {
            pack_rows_of_b::<S>(b, to)
        } else {
            pack_panels::<S>(b, to);
            is_finite::<S>(to, b.columns().next_multiple_of(width) * b.rows())
        };
        finite.then_some((to.cast_const(), b.rows() * width))
    }
}

/// Packs whole panels of B, whose columns lie side by side, row by row. Returns whether they are finite.
///
/// # Safety
/// As for [`Simd`]; the columns lie side by side, and are whole panels; `to` has room for as many
/// elements.
#[inline(always)]
unsafe fn pack_rows_of_b<S: Simd>(b: MatRef<'_, S::T>, to: *mut S::T) -> bool {
    let width = 2 * S::LANES;
    // SAFETY: every element read is within B; `to` is the caller's word.
    unsafe {
        let mut met = [S::splat(S::T::ZERO); 2];
        for t in 0..b.rows() {
            let from = b.data().as_ptr().add(t * b.row_stride());
            for j in (0..b.columns()).step_by(width) {
                for v in 0..2 {
                    let x = S::load(from.add(j + v * S::LANES));
                    S::store(to.add(j * b.rows() + t * width + v * S::LANES), x);
                    met[v] = S::add(met[v], S::sub(x, x));
                }
            }
        }
        is_zero::<S>(S::add(met[0], met[1]))
    }
}

/// All rows of A through a piece that is not the last.
///
/// # Safety
/// As for [`panels`].
#[inline(always)]
unsafe fn begin<S: Simd, const P: usize>(
    rows: &Rows<S::T>,
    piece: &Piece<S::T>,
    sums: *mut S::T,
    ahead: &mut Ahead<S::T>,
) {
    // SAFETY: the caller's word; there is a row at least.
    let mut next = unsafe { Next::<S>::first(rows, 0, piece) };
    for i in 0..rows.size.0 {
        if i % S::ROWS == 0 {
            ahead.fetch();
        }
        // SAFETY: the caller's word.
        unsafe {
            let sums = sums.add(i * P * 2 * S::LANES);
            let first = next.take(rows, i, piece);
            let chains = chain::<S, P>(first, piece, begun::<S, P>(sums, piece.number));
            for p in 0..P {
                S::store(sums.add(2 * p * S::LANES), chains[p][0]);
                S::store(sums.add((2 * p + 1) * S::LANES), chains[p][1]);
            }
        }
    }
}

/// All rows of A through the last piece.
///
/// # Safety
/// As for [`panels`].
#[inline(always)]
unsafe fn end<S: Simd, const P: usize>(
    rows: &Rows<S::T>,
    piece: &Piece<S::T>,
    mut place: Place<S::T>,
    output: &Output<S::T>,
    sums: *mut S::T,
    check: &mut S::V,
    ahead: &mut Ahead<S::T>,
) {
    // SAFETY: the caller's word; there is a row at least.
    let mut next = unsafe { Next::<S>::first(rows, 0, piece) };
    for i in 0..rows.size.0 {
        if i % S::ROWS == 0 {
            ahead.fetch();
        }
        // SAFETY: the caller's word.
        unsafe {
            let sums = sums.add(i * P * 2 * S::LANES);
            if i + AHEAD < rows.size.0 {
                let mut next = place;
                next.c += AHEAD * place.c_stride;
                fetch::<S>(&next, output, 1);
            }
            let first = next.take(rows, i, piece);
            let chains = chain::<S, P>(first, piece, begun::<S, P>(sums, piece.number));
            let mut at = place;
            for p in 0..P {
                let here = [chains[p]];
                if at.columns < 2 * S::LANES || !settle_here::<S, 1, 2>(&at, output, &here, check) {
                    S::store(sums, chains[p][0]);
                    S::store(sums.add(S::LANES), chains[p][1]);
                    settle::<S>(&at, output, (1, 2), sums, check);
                }
                at.c += 2 * S::LANES;
                at.columns = at.columns.saturating_sub(2 * S::LANES);
            }
        }
        place.c = place.c.wrapping_add(place.c_stride); // of the last row it may be anything
    }
}

/// The chains of a row before a piece.
///
/// # Safety
/// As for [`panels`].
#[inline(always)]
unsafe fn begun<S: Simd, const P: usize>(sums: *const S::T, piece: usize) -> [[S::V; 2]; P] {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut chains = [[S::splat(S::T::ZERO); 2]; P];
        if piece > 0 {
            for p in 0..P {
                for v in 0..2 {
                    chains[p][v] = S::load(sums.add((2 * p + v) * S::LANES));
                }
            }
        }
        chains
    }
}

#[cfg(test)]
#[path = "nonzero_tests.rs"]
mod tests;
