//! Lines of elements in registers, and work that is compiled for an instruction set as a whole.
//!
//! Where a kernel of a few nanoseconds follows another, even the calls between them count. Such
//! kernels are plain functions over a witness `S` of the instruction set, inlined into a [`Work`].

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use portable::Portable;

use super::simd::Simd;
use super::{Isa, Kind, Real};

/// How many elements a line has.
pub const LINE: usize = 16;

/// So many elements side by side, at the beginning of a cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Line<T>(pub [T; LINE]);

impl<T: Real> Default for Line<T> {
    fn default() -> Self {
        Self([T::ZERO; LINE])
    }
}

/// How many lines hold so many elements.
#[must_use]
pub const fn lines(n: usize) -> usize {
    n.div_ceil(LINE)
}

/// The elements of lines.
#[inline(always)]
#[must_use]
pub fn flat<T>(lines: &[Line<T>]) -> &[T] {
    const { assert!(size_of::<Line<T>>() == LINE * size_of::<T>(), "no gap") };
    // SAFETY: a line is its elements without a gap, and so are lines behind each other.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE) }
}

/// The elements of lines, to write.
#[inline(always)]
#[must_use]
pub fn flat_mut<T>(lines: &mut [Line<T>]) -> &mut [T] {
    const { assert!(size_of::<Line<T>>() == LINE * size_of::<T>(), "no gap") };
    // SAFETY: as in `flat`.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LINE) }
}

/// Work that is compiled once for each instruction set, together with all that it inlines.
pub trait Work<T: Real> {
    /// What comes out.
    type Output;

    /// Does it. To be inlined always: only then is it compiled for the instruction set.
    fn run<S: Lines<T = T>>(self, s: S) -> Self::Output;
}

impl Isa {
    /// Does work that is compiled for this instruction set.
    pub fn run<T: Real, W: Work<T>>(self, work: W) -> W::Output {
        match self.0 {
            // SAFETY: it needs nothing.
            Kind::Portable => unsafe { Portable::<T>::witness() }.apart(work),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this kind exists only where the processor has the features.
            Kind::Avx2 => unsafe { <T as Registers>::Avx2::witness() }.apart(work),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            Kind::Avx512 => unsafe { <T as Registers>::Avx512::witness() }.apart(work),
        }
    }
}

/// The instruction sets of an element type.
pub trait Registers: Sized {
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Lines<T = Self>;
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Lines<T = Self>;
}

#[cfg(not(target_arch = "x86_64"))]
impl<T> Registers for T {}

/// What an instruction set does with a line of elements. A value is the witness that the processor
/// has the set, and each operation works element by element and rounds once.
///
/// # Safety
/// Whoever calls an operation has a witness. To be fast it is inlined into [`Work`].
#[expect(clippy::missing_safety_doc, reason = "stated for the trait")]
pub trait Lines: Copy + 'static {
    /// The element.
    type T: Real;
    /// A line in registers.
    type W: Copy;
    /// The registers of the set.
    type Simd: Simd<T = Self::T>;

    /// The witness.
    ///
    /// # Safety
    /// The processor has the instruction set.
    unsafe fn witness() -> Self;
    /// Does work in a function of its own that is compiled for the set.
    fn apart<W: Work<Self::T>>(self, work: W) -> W::Output;

    /// The same element everywhere.
    unsafe fn splat(x: Self::T) -> Self::W;
    /// A line.
    unsafe fn load(from: &[Self::T; LINE]) -> Self::W;
    /// Element `K` everywhere.
    unsafe fn lane<const K: usize>(a: Self::W) -> Self::W;
    /// Writes a line.
    unsafe fn store(to: &mut [Self::T; LINE], a: Self::W);
    /// a b + c, rounded once.
    unsafe fn mul_add(a: Self::W, b: Self::W, c: Self::W) -> Self::W;
    /// Adds a b to sums, rounded once, where a is the element behind so many in every place; others
    /// may write to it meanwhile.
    unsafe fn add_products(a: *const Self::T, at: usize, b: Self::W, sums: &mut Self::W);
    /// a + b.
    unsafe fn add(a: Self::W, b: Self::W) -> Self::W;
    /// a - b.
    unsafe fn sub(a: Self::W, b: Self::W) -> Self::W;
    /// a b.
    unsafe fn mul(a: Self::W, b: Self::W) -> Self::W;
    /// The magnitudes.
    unsafe fn abs(a: Self::W) -> Self::W;
    /// +0.0 where z <= 0, else d: also where z is NaN.
    unsafe fn unless_off(z: Self::W, d: Self::W) -> Self::W;
    /// A bit for each element where a > b.
    unsafe fn above(a: Self::W, b: Self::W) -> u32;
    /// A bit for each element where a = b.
    unsafe fn equal(a: Self::W, b: Self::W) -> u32;
}

/// Whether a line is one register.
#[inline(always)]
#[must_use]
pub const fn is_one_register<S: Lines>() -> bool {
    S::Simd::LANES == LINE
}

/// A line in registers.
#[derive(Clone, Copy, Debug)]
pub struct Wide<S: Lines>(S::W);

// Every line is made with a witness, or of lines that were: that is what `Lines` asks for.
#[expect(clippy::should_implement_trait, reason = "an operator's function is not always inlined")]
impl<S: Lines> Wide<S> {
    /// The same element everywhere.
    #[inline(always)]
    #[must_use]
    pub fn splat(_: S, x: S::T) -> Self {
        // SAFETY: there is a witness; so all below.
        Self(unsafe { S::splat(x) })
    }

    /// A line.
    #[inline(always)]
    #[must_use]
    pub fn load(_: S, from: &Line<S::T>) -> Self {
        Self(unsafe { S::load(&from.0) })
    }

    /// A line.
    #[inline(always)]
    #[must_use]
    pub fn load_from(_: S, from: &[S::T; LINE]) -> Self {
        Self(unsafe { S::load(from) })
    }

    /// Writes the line.
    #[inline(always)]
    pub fn store(self, to: &mut Line<S::T>) {
        unsafe { S::store(&mut to.0, self.0) }
    }

    /// Writes the line.
    #[inline(always)]
    pub fn store_to(self, to: &mut [S::T; LINE]) {
        unsafe { S::store(to, self.0) }
    }

    /// Element `K` everywhere.
    #[inline(always)]
    #[must_use]
    pub fn lane<const K: usize>(self) -> Self {
        Self(unsafe { S::lane::<K>(self.0) })
    }

    /// `self * b + c`, rounded once.
    #[inline(always)]
    #[must_use]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { S::mul_add(self.0, b.0, c.0) })
    }

    /// Adds a b to `self`, rounded once, where a is the element behind so many; others may write to it
    /// meanwhile.
    ///
    /// # Safety
    /// It is there.
    #[inline(always)]
    pub(super) unsafe fn add_product(&mut self, a: *const S::T, at: usize, b: Self) {
        unsafe { S::add_products(a, at, b.0, &mut self.0) }
    }

    /// `self + b`.
    #[inline(always)]
    #[must_use]
    pub fn add(self, b: Self) -> Self {
        Self(unsafe { S::add(self.0, b.0) })
    }

    /// `self - b`.
    #[inline(always)]
    #[must_use]
    pub fn sub(self, b: Self) -> Self {
        Self(unsafe { S::sub(self.0, b.0) })
    }

    /// `self * b`.
    #[inline(always)]
    #[must_use]
    pub fn mul(self, b: Self) -> Self {
        Self(unsafe { S::mul(self.0, b.0) })
    }

    /// The magnitudes.
    #[inline(always)]
    #[must_use]
    pub fn abs(self) -> Self {
        Self(unsafe { S::abs(self.0) })
    }

    /// +0.0 where z <= 0, else `self`: also where z is NaN.
    #[inline(always)]
    #[must_use]
    pub fn unless_off(self, z: Self) -> Self {
        Self(unsafe { S::unless_off(z.0, self.0) })
    }

    /// A bit for each element where `self > b`.
    #[inline(always)]
    #[must_use]
    pub fn above(self, b: Self) -> u32 {
        unsafe { S::above(self.0, b.0) }
    }

    /// A bit for each element where `self = b`.
    #[inline(always)]
    #[must_use]
    pub fn equal(self, b: Self) -> u32 {
        unsafe { S::equal(self.0, b.0) }
    }
}
