//! A few elements side by side: plain lanes, which the compiler turns into vector registers.

use super::Real;
use super::foreign::{Bits, copy_bytes};
use super::gemm::tile::{Output, Place, tile};
use super::simd::Simd;

/// `N` elements that are worked on together, each by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes<T, const N: usize>(pub(super) [T; N]);

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

/// sigmoid of each lane: a function of its own, so that the many places that use it stay small.
#[inline(never)]
fn sigmoid<T: Real, const N: usize>(z: Lanes<T, N>) -> Lanes<T, N> {
    Lanes(z.0.map(T::sigmoid))
}

/// tanh of each lane, likewise.
#[inline(never)]
fn tanh<T: Real, const N: usize>(z: Lanes<T, N>) -> Lanes<T, N> {
    Lanes(z.0.map(T::tanh))
}

/// The register of no instruction set in particular: four plain lanes.
#[derive(Clone, Copy)]
pub struct Portable<T>(std::marker::PhantomData<T>);

/// How many lanes it has.
const LANES: usize = 4;

impl<T: Real> Simd for Portable<T> {
    type T = T;
    type V = Lanes<T, LANES>;
    const LANES: usize = LANES;
    const ROWS: usize = 4;
    const WIDE_ROWS: usize = 0;
    const TALL_ROWS: [usize; 2] = [Self::ROWS; 2];
    const LOOKS_AHEAD: bool = true; // so that this way is judged on every machine
    const ABREAST: bool = false;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self::V {
        Lanes::splat(x)
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self::V {
        // SAFETY: the caller has so many elements; so below.
        Lanes(unsafe { from.cast::<[T; LANES]>().read() })
    }
    #[inline(always)]
    unsafe fn load_foreign(from: *const T) -> [Self::V; 4] {
        let mut lanes = [[T::ZERO; LANES]; 4];
        // SAFETY: the caller has so many elements, of which any bits are a value.
        unsafe { copy_bytes(from.cast(), lanes.as_mut_ptr().cast(), size_of_val(&lanes)) };
        lanes.map(Lanes)
    }
    #[inline(always)]
    unsafe fn add_products<const V: usize>(
        a: *const T,
        at: usize,
        b: [Self::V; V],
        sums: &mut [Self::V; V],
    ) {
        // SAFETY: the caller has it.
        let x = unsafe { T::read(a.add(at)) };
        for v in 0..V {
            sums[v] = Lanes::splat(x).mul_add(b[v], sums[v]);
        }
    }
    #[inline(always)]
    unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64 {
        let mut mask = 0;
        for at in (0..rows).map(|r| r * stride) {
            // SAFETY: the caller's word.
            let lit = |i| u64::from(unsafe { u8::read(start.add(at + i)) } != 0) << i;
            mask |= (0..64).map(lit).sum::<u64>();
        }
        mask
    }
    #[inline(always)]
    unsafe fn load_part(from: *const T, count: usize) -> Self::V {
        let mut lanes = [T::ZERO; LANES];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller has `count` elements.
            *lane = unsafe { from.add(i).read() };
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn store(to: *mut T, v: Self::V) {
        // SAFETY: the caller has room for so many.
        unsafe { to.cast::<[T; LANES]>().write(v.0) }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut T, count: usize, v: Self::V) {
        for (i, &lane) in v.0.iter().enumerate().take(count) {
            // SAFETY: the caller has room for `count`.
            unsafe { to.add(i).write(lane) }
        }
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        a.mul_add(b, c)
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        a.add(b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        a.sub(b)
    }
    #[inline(always)]
    unsafe fn or(a: Self::V, b: Self::V) -> Self::V {
        let mut lanes = a.0;
        for (lane, &b) in lanes.iter_mut().zip(&b.0) {
            *lane = if *lane == T::ZERO { b } else { *lane };
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn nonzero(a: Self::V) -> u32 {
        let bit = |(lane, &x): (usize, &T)| u32::from(x != T::ZERO) << lane;
        a.0.iter().enumerate().map(bit).sum()
    }
    #[inline(always)]
    unsafe fn transpose(from: *const T, stride: usize, to: *mut T, to_stride: usize) {
        // Row after row, as copies of A rely on.
        for j in 0..LANES {
            for i in 0..LANES {
                // SAFETY: the caller has so many rows of so many elements, on both sides.
                unsafe { to.add(j * to_stride + i).write(from.add(i * stride + j).read()) }
            }
        }
    }
    #[inline(never)]
    unsafe fn tile<const R: usize, const V: usize, const FORM: u8>(
        place: &Place<T>,
        output: &Output<T>,
        to: *mut T,
        check: &mut Self::V,
    ) -> bool {
        // SAFETY: the caller's word.
        unsafe { tile::<Self, R, V, FORM>(place, output, to, check) }
    }
    #[inline(always)]
    unsafe fn sigmoid<const N: usize>(z: [Self::V; N]) -> [Self::V; N] {
        z.map(sigmoid)
    }
    #[inline(always)]
    unsafe fn tanh<const N: usize>(z: [Self::V; N]) -> [Self::V; N] {
        z.map(tanh)
    }
    #[inline(always)]
    unsafe fn prefetch(_at: *const T) {}
}
