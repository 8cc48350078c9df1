//! Rows of pixels that are decoded before they are met.

use crate::data::{Listed, Rows};
use crate::error::Error;
use crate::kernels::Real;
use crate::kernels::decoded::{Decode, DecodedRow};
use crate::kernels::lines::Lines;
use crate::kernels::sparse::LitPixel;

/// Room for two rows, in turns the one that is met and the next.
pub(super) type Room<T> = [DecodedRow<T>; 2];

/// Room for rows of so many inputs; nothing where they are too many.
pub(super) fn room<T: Real>(inputs: usize) -> Result<Option<Room<T>>, Error> {
    Ok(DecodedRow::new(inputs)?.zip(DecodedRow::new(inputs)?).map(Into::into))
}

/// The rows of some steps.
pub(super) struct Ahead<'a, T> {
    pub(super) lists: &'a Listed<LitPixel>,
    pub(super) room: &'a mut Room<T>,
}

impl<T: Real> Ahead<'_, T> {
    /// Decodes the row of a step, if there is such a step.
    #[inline(always)]
    pub(super) fn decode<S: Lines<T = T>>(&mut self, s: S, rows: Rows<'_>, step: usize) {
        if step < rows.len() {
            let row = self.lists.row(rows.at(step));
            s.apart(Decode { row, to: &mut self.room[step % 2] });
        }
    }

    /// The row of a step, which was decoded.
    #[inline(always)]
    pub(super) fn row(&self, step: usize) -> &DecodedRow<T> {
        &self.room[step % 2]
    }
}
