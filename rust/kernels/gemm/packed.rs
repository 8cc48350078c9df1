//! A matrix that many products meet, packed once for all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::memory::zeros;
use super::super::simd::simd_kernel;
use super::super::{Isa, Real};
use super::nonzero::is_finite;
use super::pack::pack_panels;
use super::{BLOCK, Team};
use crate::error::Error;
use crate::matrix::{MatRef, checked_product};

/// A copy of B (k, n) as products read it: block by block of rule 1, panel by panel, row by row.
#[derive(Debug)]
pub struct Packed<T> {
    isa: Isa,
    shape: (usize, usize),
    /// Of a row in all panels: the last is filled up to whole registers.
    columns: usize,
    /// Of a row in one panel.
    width: usize,
    elements: Vec<T>,
    /// Where the first cache line begins.
    start: usize,
    finite: bool,
}

impl<T: Real> Packed<T> {
    /// Packs a matrix whose columns lie side by side, for products on the team's instruction set.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// # Panics
    /// Where the columns lie otherwise, or there are none, or no rows.
    pub fn new(team: &Team<'_, T>, b: MatRef<'_, T>) -> Result<Self, Error> {
        let (k, n) = (b.rows(), b.columns());
        assert!(k > 0 && n > 0 && b.column_stride() == 1, "rows of weights");
        let lanes = lanes::<T>(team.isa);
        let columns = n.next_multiple_of(lanes);
        let mut elements: Vec<T> = zeros(checked_product(k, columns)? + 64)?;
        let start = elements.as_ptr().align_offset(64).min(64);
        let blocks = elements[start..start + k * columns].chunks_mut(BLOCK * columns);
        let blocks: Vec<_> = blocks.map(Mutex::new).collect();
        let finite = AtomicBool::new(true);
        team.crew.share(blocks.len(), &|_, block| {
            let mut to = blocks[block].lock().unwrap_or_else(PoisonError::into_inner);
            let rows = to.len() / columns;
            if !pack(team.isa, b.rows_from(block * BLOCK, rows), &mut to) {
                finite.store(false, Ordering::Relaxed);
            }
        });
        drop(blocks);
        Ok(Self {
            isa: team.isa,
            shape: (k, n),
            columns,
            width: 2 * lanes,
            elements,
            start,
            finite: finite.into_inner(),
        })
    }

    /// Whether it is a copy, for an instruction set, of a matrix of such a shape; of which, only the
    /// caller knows.
    pub(super) fn is_for(&self, isa: Isa, b: MatRef<'_, T>) -> bool {
        self.isa == isa && self.shape == (b.rows(), b.columns())
    }

    /// Whether all of it is finite.
    pub(super) fn is_finite(&self) -> bool {
        self.finite
    }

    /// The panels from a column on, of a block of so many rows that begins at row `first`.
    ///
    /// # Panics
    /// Where no panel begins at the column, or there are not so many.
    pub(super) fn panels(&self, first: usize, rows: usize, column: usize) -> &[T] {
        assert!(column.is_multiple_of(self.width), "chunks and tiles begin at panels");
        let block = &self.elements[self.start..][first * self.columns..][..rows * self.columns];
        &block[rows * column..]
    }
}

simd_kernel! {
    /// How many elements a register holds.
    fn lanes<T, S>() -> usize {
        S::LANES
    }
}

simd_kernel! {
    /// Packs one block. Returns whether it is finite.
    fn pack<T, S>(b: MatRef<'_, T>, to: &mut [T]) -> bool {
        assert!(to.len() >= b.rows() * b.columns().next_multiple_of(S::LANES));
        assert!(b.column_stride() == 1, "else whole registers of rows are written");
        // SAFETY: `simd_kernel` has compiled this for S; there is room for the rows, each filled up
        // to whole registers, and of columns that lie side by side no more is written.
        unsafe {
            pack_panels::<S>(b, to.as_mut_ptr());
            is_finite::<S>(to.as_ptr(), to.len())
        }
    }
}
