//! Chains of a lone row of A through a piece of B, by the elements that are not 0.

// Reason: as in `tile.rs`.
#![allow(clippy::needless_range_loop)]

use std::sync::atomic::{Ordering, compiler_fence};

use super::BLOCK;
use super::job::CHUNK_ROWS;
use crate::kernels::simd::Simd;

/// So many rows of B are met at a time: their elements of a row of A have a bit each.
pub(super) const PIECE: usize = u64::BITS as usize;

/// A block of A (m, k), row by row, and a bit for each element: piece by piece, row by row.
pub(super) struct Rows<T> {
    pub(super) a: *const T,
    pub(super) stride: usize,
    pub(super) size: (usize, usize),
    pub(super) marks: [[u64; CHUNK_ROWS]; BLOCK / PIECE],
}

/// A piece of B, packed: where its first panel begins, and how far one is from the next.
pub(super) struct Piece<T> {
    pub(super) number: usize,
    pub(super) b: *const T,
    pub(super) panel: usize,
}

/// The next element of a row of A that is not 0, and where its row of B begins; and those behind it.
#[derive(Clone, Copy)]
pub(super) struct Next<S: Simd> {
    x: S::V,
    b: *const S::T,
    a: *const S::T,
    marks: u64,
}

impl<S: Simd> Next<S> {
    /// The first of row `i` in a piece; where there is none, what stands first, and no mark.
    ///
    /// # Safety
    /// As for [`Simd`]; of A there are the rows and columns of its size, and no mark beyond these;
    /// row `i` is one of them, a column of the piece too; the piece's rows of B are there, in panels.
    #[inline(always)]
    pub(super) unsafe fn first(rows: &Rows<S::T>, i: usize, piece: &Piece<S::T>) -> Self {
        // SAFETY: the caller's word.
        unsafe {
            let a = rows.a.add(i * rows.stride + piece.number * PIECE);
            Self::of(a, rows.marks[piece.number][i], piece.b)
        }
    }

    /// What is next now; then it is the first of the row below, if there is one.
    ///
    /// # Safety
    /// As for [`Next::first`].
    #[inline(always)]
    pub(super) unsafe fn take(&mut self, rows: &Rows<S::T>, i: usize, piece: &Piece<S::T>) -> Self {
        let now = *self;
        // SAFETY: the caller's word.
        *self = unsafe { Self::first(rows, (i + 1).min(rows.size.0 - 1), piece) };
        now
    }

    /// The first of those that are marked, in the row from `a` on, and its row of B from `b` on.
    ///
    /// # Safety
    /// As for [`Next::first`].
    #[inline(always)]
    unsafe fn of(a: *const S::T, marks: u64, b: *const S::T) -> Self {
        // The place is in bounds also where there is no mark.
        let t = marks.trailing_zeros() as usize % PIECE;
        // SAFETY: the caller's word.
        let next = unsafe { Self { x: S::splat(*a.add(t)), b: b.add(t * 2 * S::LANES), a, marks } };
        if S::LOOKS_AHEAD {
            compiler_fence(Ordering::SeqCst); // else the compiler puts the load off
        }
        next
    }
}

/// The chains of a row of A through a piece, from its first element that is not 0 on.
///
/// # Safety
/// As for [`Next::first`]; there are `P` panels, so far apart.
#[inline(always)]
pub(super) unsafe fn chain<S: Simd, const P: usize>(
    first: Next<S>,
    piece: &Piece<S::T>,
    mut chains: [[S::V; 2]; P],
) -> [[S::V; 2]; P] {
    let mut now = first;
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        if !S::LOOKS_AHEAD {
            while now.marks != 0 {
                now = Next::of(now.a, now.marks, piece.b);
                meet::<S, P>(&now, piece.panel, &mut chains);
                now.marks &= now.marks - 1;
            }
            return chains;
        }
        if now.marks == 0 {
            return chains;
        }
        // Whether it is the last is asked before it is met, so that a wrong guess shows sooner.
        loop {
            let marks = now.marks & (now.marks - 1);
            if marks == 0 {
                meet::<S, P>(&now, piece.panel, &mut chains);
                return chains;
            }
            let behind = Next::of(now.a, marks, piece.b);
            meet::<S, P>(&now, piece.panel, &mut chains);
            now = behind;
        }
    }
}

/// An element of A times its row of B, onto all chains.
///
/// # Safety
/// As for [`chain`].
#[inline(always)]
unsafe fn meet<S: Simd, const P: usize>(now: &Next<S>, panel: usize, chains: &mut [[S::V; 2]; P]) {
    for p in 0..P {
        for v in 0..2 {
            // SAFETY: the caller's word.
            unsafe {
                let b = S::load(now.b.add(p * panel + v * S::LANES));
                chains[p][v] = S::mul_add(now.x, b, chains[p][v]);
            }
        }
    }
}
