//! A few elements side by side: plain lanes, which the compiler turns into vector registers.

use super::Real;

/// `N` elements that are worked on together, each by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lanes<T, const N: usize>(pub(super) [T; N]);

impl<T: Real, const N: usize> Lanes<T, N> {
    /// The same element in every lane.
    #[inline(always)]
    pub(super) fn splat(x: T) -> Self {
        Self([x; N])
    }

    /// The first `N` elements of a slice.
    #[inline(always)]
    pub(super) fn load(slice: &[T]) -> Self {
        let mut lanes = [T::ZERO; N];
        lanes.copy_from_slice(&slice[..N]);
        Self(lanes)
    }

    /// Writes the lanes to the first `N` elements of a slice.
    #[inline(always)]
    pub(super) fn store(self, slice: &mut [T]) {
        slice[..N].copy_from_slice(&self.0);
    }

    /// `self * b + c` in each lane, rounded once.
    #[inline(always)]
    pub(super) fn mul_add(self, b: Self, c: Self) -> Self {
        let mut lanes = c.0;
        for ((lane, &a), &b) in lanes.iter_mut().zip(&self.0).zip(&b.0) {
            *lane = a.mul_add(b, *lane);
        }
        Self(lanes)
    }

    /// `self + b` in each lane.
    #[inline(always)]
    pub(super) fn add(self, b: Self) -> Self {
        let mut lanes = self.0;
        for (lane, &b) in lanes.iter_mut().zip(&b.0) {
            *lane = *lane + b;
        }
        Self(lanes)
    }

    /// `self - b` in each lane.
    #[inline(always)]
    pub(super) fn sub(self, b: Self) -> Self {
        let mut lanes = self.0;
        for (lane, &b) in lanes.iter_mut().zip(&b.0) {
            *lane = *lane - b;
        }
        Self(lanes)
    }
}
