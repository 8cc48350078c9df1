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

/// The rows of a slice of steps, and where they are decoded.
pub(super) struct Decoder<'a, T> {
    pub(super) lists: &'a Listed<LitPixel>,
    pub(super) room: &'a mut Room<T>,
}

/// Decodes the row of a step where that pays, if there is such a step.
#[inline(always)]
pub(super) fn decode<S: Lines>(
    s: S,
    decoder: &mut Option<Decoder<'_, S::T>>,
    rows: Rows<'_>,
    step: usize,
) {
    if pays::<S>()
        && step < rows.len()
        && let Some(Decoder { lists, room }) = decoder
    {
        s.apart(Decode { row: lists.row(rows.at(step)), to: &mut room[step % 2] });
    }
}

/// The row of a step, where it was decoded.
#[inline(always)]
pub(super) fn decoded<'a, S: Lines>(
    _: S,
    decoder: Option<&'a Decoder<'_, S::T>>,
    step: usize,
) -> Option<&'a DecodedRow<S::T>> {
    if pays::<S>() { decoder.map(|decoder| &decoder.room[step % 2]) } else { None }
}
