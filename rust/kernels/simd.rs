//! Vector registers behind one trait: the kernels that the compiler does not vectorise well by
//! itself are written once over it.

use super::Real;
use super::gemm::tile::{Output, Place};

/// A vector register of one instruction set, and what is done with it.
///
/// Every operation works lane by lane and rounds once.
///
/// # Safety
/// Whoever calls an operation is compiled for an instruction set that has it: the caller is a
/// function that `simd_kernel!` makes, or is inlined into one. Pointers reach
/// as many elements as the operation reads or writes; they need no more alignment than an element.
pub trait Simd: Copy + 'static {
    /// The element.
    type T: Real;
    /// The register.
    type V: Copy;
    /// How many elements it holds.
    const LANES: usize;
    /// How many rows of a product are worked on together where a row has two registers: so many sums
    /// keep the units busy, and leave registers for the operands; the tiles of a panel, in
    /// `gemm/panel.rs`, know 4, 6 and 8.
    const ROWS: usize;
    /// How many where a row has four registers, of two panels: such a tile reads less for each
    /// multiply-add, which counts where another program shares the core. 0 where that is too many
    /// registers; the tiles know 6.
    const WIDE_ROWS: usize;
    /// How many where a row has one register, and where so few rows are left that one tile of two
    /// registers does: there are registers for more sums then. `ROWS`, or 16 and 12; only AVX-512 has so
    /// many, so no other machine judges those tiles.
    const TALL_ROWS: [usize; 2];
    /// Whether products that leave out zeros load what is next before they need it, for which they
    /// take registers beside the sums and what is now.
    const LOOKS_AHEAD: bool;
    /// Whether sigmoid and tanh are faster of four registers at once.
    const ABREAST: bool;

    /// The same element in every lane.
    ///
    /// # Safety
    /// As for the trait; so all below.
    unsafe fn splat(x: Self::T) -> Self::V;
    /// [`Simd::LANES`] elements.
    unsafe fn load(from: *const Self::T) -> Self::V;
    /// Four registers of elements that other threads may write to meanwhile: each is read once.
    unsafe fn load_foreign(from: *const Self::T) -> [Self::V; 4];
    /// Adds a b to sums, rounded once, where a is such an element: the one behind so many. AVX-512 reads it
    /// once for each register, so the registers may meet different values.
    unsafe fn add_products<const V: usize>(
        a: *const Self::T,
        at: usize,
        b: [Self::V; V],
        sums: &mut [Self::V; V],
    );
    /// A bit for each of 64 columns that is not 0 in one row of pixels at least; others may write to them
    /// meanwhile. The rows are `stride` apart.
    unsafe fn lit_pixels(start: *const u8, rows: usize, stride: usize) -> u64;
    /// Writes the places of the bits that are set, in order, a byte each, the first bit's being `first`.
    /// There is room for 64; what is behind the places is of no account.
    #[inline(always)]
    unsafe fn places(set: u64, first: usize, to: *mut u8) {
        // SAFETY: the caller's word.
        unsafe { super::gemm::places(set, first, to) }
    }
    /// At most so many elements; the other lanes are +0.0.
    unsafe fn load_part(from: *const Self::T, count: usize) -> Self::V;
    /// Writes all lanes.
    unsafe fn store(to: *mut Self::T, v: Self::V);
    /// Writes the first lanes.
    unsafe fn store_part(to: *mut Self::T, count: usize, v: Self::V);
    /// a b + c, rounded once.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a + b.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a - b.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// Something that is 0 in just those lanes where both are.
    unsafe fn or(a: Self::V, b: Self::V) -> Self::V;
    /// A bit for each lane that is not 0, NaN too.
    unsafe fn nonzero(a: Self::V) -> u32;
    /// Copies [`Simd::LANES`] rows of as many elements, `stride` apart, to their transpose. Where `WIDE_ROWS` is
    /// 0 it is written row after row, so that one may overwrite what the one before has written beyond `to_stride`.
    unsafe fn transpose(from: *const Self::T, stride: usize, to: *mut Self::T, to_stride: usize);
    /// [`tile`](super::gemm::tile::tile): a function of its own for each shape, so that none is too
    /// large to compile well.
    ///
    /// # Safety
    /// As there.
    unsafe fn tile<const R: usize, const V: usize, const FORM: u8>(
        place: &Place<Self::T>,
        output: &Output<Self::T>,
        to: *mut Self::T,
        check: &mut Self::V,
    ) -> bool;
    /// sigmoid of each element of some registers.
    unsafe fn sigmoid<const N: usize>(z: [Self::V; N]) -> [Self::V; N];
    /// tanh of each element of some registers.
    unsafe fn tanh<const N: usize>(z: [Self::V; N]) -> [Self::V; N];
    /// Fetches the line of an address into the cache; any address will do.
    unsafe fn prefetch(at: *const Self::T);
}

/// The registers of an element type, one a instruction set.
pub trait Vectors: Sized {
    /// Plain lanes.
    type Portable: Simd<T = Self>;
    /// 256 bits.
    type Avx2: Simd<T = Self>;
    /// 512 bits.
    type Avx512: Simd<T = Self>;
}

impl Vectors for f32 {
    type Portable = super::portable::Portable<f32>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = super::avx2::F32;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = super::avx512::F32;
    #[cfg(not(target_arch = "x86_64"))]
    type Avx2 = Self::Portable;
    #[cfg(not(target_arch = "x86_64"))]
    type Avx512 = Self::Portable;
}

impl Vectors for f64 {
    type Portable = super::portable::Portable<f64>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = super::avx2::F64;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = super::avx512::F64;
    #[cfg(not(target_arch = "x86_64"))]
    type Avx2 = Self::Portable;
    #[cfg(not(target_arch = "x86_64"))]
    type Avx512 = Self::Portable;
}

/// Compiles one body, written over [`Simd`], once for each instruction set.
///
/// `simd_kernel! { fn name<T, S>(x: &[T]) { body } }` defines `fn name<T: Real>(isa: Isa, x: &[T])`;
/// in the body `S` is the register.
macro_rules! simd_kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$t:ident, $s:ident>($($arg:ident: $ty:ty),* $(,)?)
     $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$t: $crate::kernels::Real>(
            isa: $crate::kernels::Isa, $($arg: $ty),*
        ) $(-> $ret)? {
            #[inline(always)]
            fn body<$t: $crate::kernels::Real, $s: $crate::kernels::simd::Simd<T = $t>>(
                $($arg: $ty),*
            ) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,popcnt")]
            fn avx2<$t: $crate::kernels::Real>($($arg: $ty),*) $(-> $ret)? {
                body::<$t, <$t as $crate::kernels::simd::Vectors>::Avx2>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt")]
            fn avx512<$t: $crate::kernels::Real>($($arg: $ty),*) $(-> $ret)? {
                body::<$t, <$t as $crate::kernels::simd::Vectors>::Avx512>($($arg),*)
            }

            match isa.0 {
                $crate::kernels::Kind::Portable => {
                    body::<$t, <$t as $crate::kernels::simd::Vectors>::Portable>($($arg),*)
                }
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` of this kind exists only where the processor has the features.
                $crate::kernels::Kind::Avx2 => unsafe { avx2::<$t>($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: likewise.
                $crate::kernels::Kind::Avx512 => unsafe { avx512::<$t>($($arg),*) },
            }
        }
    };
}
pub(super) use simd_kernel;

#[cfg(test)]
mod tests {
    use crate::kernels::testing::mild;
    use crate::kernels::{Isa, Real};

    simd_kernel! {
        /// Each number of lanes, written to a row of its own, and read from where `from` ends, to a row of the
        /// others; returns how many lanes there are.
        fn parts_on<T, S>(from: &[T; 16], rows: &mut [[T; 16]], others: &mut [[T; 16]]) -> usize {
            for (count, row) in rows.iter_mut().enumerate().take(S::LANES + 1) {
                let last = &from[16 - count..];
                // SAFETY: `simd_kernel` has compiled this for S; no register has more than 16 lanes.
                unsafe {
                    S::store_part(row.as_mut_ptr(), count, S::load(from.as_ptr()));
                    S::store(others[count].as_mut_ptr(), S::load_part(last.as_ptr(), count));
                }
            }
            S::LANES
        }
    }

    fn check<T: Real>() {
        let from: [T; 16] = mild(1, 16).try_into().unwrap();
        for isa in Isa::available() {
            let (mut rows, mut others) = ([[T::TWO; 16]; 17], [[T::TWO; 16]; 17]);
            let lanes = parts_on(isa, &from, &mut rows, &mut others);
            for (count, row) in rows.iter().enumerate().take(lanes + 1) {
                assert_eq!(row[..count], from[..count], "{count} by {}", isa.name());
                assert_eq!(row[count..], [T::TWO; 16][count..], "behind {count} by {}", isa.name());
                let mut read = [T::ZERO; 16];
                read[..count].copy_from_slice(&from[16 - count..]);
                assert_eq!(others[count][..lanes], read[..lanes], "{count} read by {}", isa.name());
            }
        }
    }

    #[test]
    fn parts_of_registers_end_where_they_should() {
        check::<f32>();
        check::<f64>();
    }
}
