//! Lines of no instruction set in particular. Each operation is a function of its own: this is
//! slow in any case, and the many places that use them stay small.

use super::{LINE, Lines, Work};
use crate::kernels::Real;

/// The witness of what every processor has.
#[derive(Clone, Copy, Debug)]
pub struct Portable<T>(std::marker::PhantomData<T>);

impl<T: Real> Lines for Portable<T> {
    type T = T;
    type W = [T; LINE];
    type Simd = super::super::portable::Portable<T>;

    #[inline(always)]
    unsafe fn witness() -> Self {
        Self(std::marker::PhantomData)
    }
    #[inline(never)]
    fn apart<W: Work<T>>(self, work: W) -> W::Output {
        work.run(self)
    }

    #[inline(always)]
    unsafe fn splat(x: T) -> [T; LINE] {
        [x; LINE]
    }
    #[inline(always)]
    unsafe fn load(from: &[T; LINE]) -> [T; LINE] {
        *from
    }
    #[inline(always)]
    unsafe fn lane<const K: usize>(a: [T; LINE]) -> [T; LINE] {
        [a[K]; LINE]
    }
    #[inline(always)]
    unsafe fn store(to: &mut [T; LINE], a: [T; LINE]) {
        *to = a;
    }
    #[inline(never)]
    unsafe fn mul_add(a: [T; LINE], b: [T; LINE], c: [T; LINE]) -> [T; LINE] {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(never)]
    unsafe fn add_products(a: *const T, at: usize, b: [T; LINE], sums: &mut [T; LINE]) {
        // SAFETY: the caller has it.
        let x = unsafe { T::read(a.add(at)) };
        sums.iter_mut().zip(b).for_each(|(sum, b)| *sum = x.mul_add(b, *sum));
    }
    #[inline(never)]
    unsafe fn add(a: [T; LINE], b: [T; LINE]) -> [T; LINE] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(never)]
    unsafe fn sub(a: [T; LINE], b: [T; LINE]) -> [T; LINE] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(never)]
    unsafe fn mul(a: [T; LINE], b: [T; LINE]) -> [T; LINE] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(never)]
    unsafe fn abs(a: [T; LINE]) -> [T; LINE] {
        a.map(T::abs)
    }
    #[inline(never)]
    unsafe fn unless_off(z: [T; LINE], d: [T; LINE]) -> [T; LINE] {
        std::array::from_fn(|i| if z[i] <= T::ZERO { T::ZERO } else { d[i] })
    }
    #[inline(never)]
    unsafe fn above(a: [T; LINE], b: [T; LINE]) -> u32 {
        (0..LINE).fold(0, |bits, i| bits | u32::from(a[i] > b[i]) << i)
    }
    #[inline(never)]
    unsafe fn equal(a: [T; LINE], b: [T; LINE]) -> u32 {
        (0..LINE).fold(0, |bits, i| bits | u32::from(a[i] == b[i]) << i)
    }
}
