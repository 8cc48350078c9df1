//! Kernels over slices: the only `unsafe` of the crate, and no notion of a network.
//!
//! Every kernel is written once, as plain lanes of `mul_add`, and compiled once for each
//! instruction set ([`Isa`]). The compilations give the same bits; [`oracle`] judges them.

// Reason: calling a function compiled for a wider instruction set is `unsafe`; `Isa` is the proof
// that the processor has it.
#![allow(unsafe_code)]

pub mod abreast;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod columns;
mod curves;
pub mod decoded;
pub mod elementwise;
pub mod ends;
pub mod few;
pub mod foreign;
pub mod fpu;
pub mod gemm;
pub mod lines;
pub mod listing;
pub mod math;
pub mod memory;
pub mod narrow;
pub mod oracle;
mod portable;
mod real;
pub mod reduce;
mod simd;
pub mod rows;
pub mod sparse;
#[cfg(test)]
pub(crate) mod testing;
pub mod tiny;
pub mod update;

pub use real::Real;

use crate::error::Error;

/// An instruction set that this processor has. A value exists only where the set does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The baseline of the target. On x86-64 each fused multiply-add is then a call into libm:
    /// right, but slow.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// AVX2, FMA and POPCNT, where the processor has all.
    #[must_use]
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            return Some(Self(Kind::Avx2));
        }
        None
    }

    /// AVX-512 with the parts F, VL, BW and DQ, where the processor has them.
    #[must_use]
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::avx2().is_some()
            && std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512dq")
        {
            return Some(Self(Kind::Avx512));
        }
        None
    }

    /// All that this processor has, the widest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [Some(Self::portable()), Self::avx2(), Self::avx512()].into_iter().flatten().collect()
    }

    /// The widest that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        Self::avx512().or(Self::avx2()).unwrap_or(Self::portable())
    }

    /// The one of a name, where this processor has it.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists those that it has.
    pub fn named(name: &str) -> Result<Self, Error> {
        let all = Self::available();
        let found = all.iter().find(|isa| isa.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|isa| isa.name()).collect();
            Error::unknown_name("isa", name, &names)
        })
    }

    /// The name that `CHAINRULE_ISA` takes: `portable`, `avx2` or `avx512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }
}

/// Compiles one body once for each instruction set, and chooses at run time.
///
/// `kernel! { pub fn name<T>(x: &[T], y: &mut [T]) { body } }` defines
/// `pub fn name<T: Real>(isa: Isa, x: &[T], y: &mut [T])`.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$t:ident>($($arg:ident: $ty:ty),* $(,)?)
     $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$t: $crate::kernels::Real>(
            isa: $crate::kernels::Isa, $($arg: $ty),*
        ) $(-> $ret)? {
            #[inline(always)]
            fn body<$t: $crate::kernels::Real>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,popcnt")]
            fn avx2<$t: $crate::kernels::Real>($($arg: $ty),*) $(-> $ret)? {
                body::<$t>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,popcnt")]
            fn avx512<$t: $crate::kernels::Real>($($arg: $ty),*) $(-> $ret)? {
                body::<$t>($($arg),*)
            }

            match isa.0 {
                $crate::kernels::Kind::Portable => body::<$t>($($arg),*),
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
pub(crate) use kernel;
