//! Rows of pixels that are decoded before they are met.

use crate::data::{Listed, Rows};
use crate::error::Error;
use crate::kernels::Real;
use crate::kernels::decoded::{Decode, DecodedRow, pays};
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

/// Decodes the row of a step where that pays, if there is such a step.
#[inline(always)]
pub(super) fn decode<S: Lines>(
    s: S,
    ahead: Option<&mut Ahead<'_, S::T>>,
    rows: Rows<'_>,
    step: usize,
) {
    if let Some(Ahead { lists, room }) = ahead.filter(|_| pays::<S>() && step < rows.len()) {
        s.apart(Decode { row: lists.row(rows.at(step)), to: &mut room[step % 2] });
    }
}

/// The row of a step, where it was decoded.
#[inline(always)]
pub(super) fn decoded<'a, S: Lines>(
    _: S,
    ahead: Option<&'a Ahead<'_, S::T>>,
    step: usize,
) -> Option<&'a DecodedRow<S::T>> {
    ahead.filter(|_| pays::<S>()).map(|ahead| &ahead.room[step % 2])
}
