//! Inputs that are read where they lie, wherever that is.

use super::Inputs;
pub use crate::kernels::foreign::Source;
use crate::kernels::{Isa, Real, elementwise};

/// So many pixels are turned into numbers at a time.
const PIXELS: usize = 1024;

impl<T: Real> Source<'_, T> {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Pixels(pixels) => pixels.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` elements from `first` on.
    ///
    /// # Panics
    /// Where there are fewer.
    #[must_use]
    pub fn part(&self, first: usize, count: usize) -> Self {
        match self {
            Self::Values(values) => Self::Values(values.part(first, count)),
            Self::Pixels(pixels) => Self::Pixels(pixels.part(first, count)),
        }
    }

    /// Writes the elements from `first` on to `to`, as numbers. Returns whether all are finite.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn read(&self, isa: Isa, first: usize, to: &mut [T]) -> bool {
        self.copy(isa, first, to);
        matches!(self, Self::Pixels(_)) || elementwise::all_finite(isa, to)
    }

    /// The same without a look at whether they are finite.
    ///
    /// # Panics
    /// Likewise.
    #[inline]
    pub fn copy(&self, isa: Isa, first: usize, to: &mut [T]) {
        match self {
            Self::Values(values) => values.copy(first, to),
            Self::Pixels(pixels) => {
                let mut bytes = [0; PIXELS];
                for (i, to) in to.chunks_mut(PIXELS).enumerate() {
                    let bytes = &mut bytes[..to.len()];
                    pixels.copy(first + i * PIXELS, bytes);
                    elementwise::pixels(isa, bytes, to);
                }
            }
        }
    }
}

impl<'a, T: Real> Source<'a, T> {
    /// Inputs of ours; none where they are but listed.
    #[must_use]
    pub fn of(inputs: &'a Inputs<T>) -> Option<Self> {
        match inputs {
            Inputs::Values(values) => Some(Self::Values(values[..].into())),
            Inputs::Pixels(pixels) => Some(Self::Pixels(pixels[..].into())),
            Inputs::Listed(_) => None,
        }
    }
}
