//! What becomes of the sums of a tile.

// Reason: see tile.rs.
#![allow(clippy::needless_range_loop)]

use super::tile::{Output, Place};
use crate::kernels::Real;
use crate::kernels::simd::Simd;

/// What becomes of a tile's sums, which [`tile`](super::tile::tile) has left at `sums`, row by row. `check` gathers
/// w - w of moved parameters bit by bit: a NaN stays one, and none waits for the one before.
///
/// All that is read of a vector is read before any of it is written: of short rows, which follow each other, a
/// register that is written by a mask reaches into the next row, and to read that would wait until it is written.
///
/// # Safety
/// As for [`Simd`]; the vectors of `output` hold the tile, `sums` its registers, to be read and written,
/// and no one else uses either meanwhile.
#[inline(always)]
pub(super) unsafe fn settle<S: Simd>(
    place: &Place<S::T>,
    output: &Output<S::T>,
    size: (usize, usize),
    sums: *mut S::T,
    check: &mut S::V,
) {
    let sums = Settled { place, size, sums };
    let one = S::T::ONE;
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        match *output {
            Output::Set(c) => sums.pass::<S, SET>(c, one, check),
            Output::Add(c) => {
                sums.pass::<S, PLUS>(c, one, check);
                sums.pass::<S, STORE>(c, one, check);
            }
            Output::Step { w, v, before, hyper: [rate, momentum, l2] } => {
                if before.is_null() {
                    sums.pass::<S, BEGIN>(w, one, check);
                } else {
                    sums.pass::<S, PLUS>(before.cast_mut(), one, check);
                }
                if l2 != S::T::ZERO {
                    sums.pass::<S, TIMES>(w, l2, check);
                }
                if !v.is_null() {
                    sums.pass::<S, TIMES>(v, momentum, check);
                    sums.pass::<S, STORE>(v, one, check);
                }
                sums.pass::<S, MOVE>(w, -rate, check);
                sums.pass::<S, STORE>(w, one, check);
            }
        }
    }
}

/// Passes over sums s, beside the place's elements x of a vector, and a number f.
struct Settled<'a, T> {
    place: &'a Place<T>,
    size: (usize, usize),
    sums: *mut T,
}

/// x = 0 + s.
const SET: u8 = 0;
/// s = 0 + s.
const BEGIN: u8 = 1;
/// s = x + s.
const PLUS: u8 = 2;
/// s = f x + s.
const TIMES: u8 = 3;
/// s = x + f s, what moved parameters are.
const MOVE: u8 = 4;
/// x = s.
const STORE: u8 = 5;

impl<T: Real> Settled<'_, T> {
    /// A pass, register by register.
    ///
    /// # Safety
    /// As for [`settle`].
    #[inline(always)]
    unsafe fn pass<S: Simd<T = T>, const WHAT: u8>(
        &self,
        vector: *mut T,
        factor: T,
        check: &mut S::V,
    ) {
        const { assert!(WHAT <= STORE, "a pass") }
        let Self { place, size: (rows, registers), sums } = *self;
        // SAFETY: the caller's word; so in the whole body.
        unsafe {
            let (factor, zero) = (S::splat(factor), S::splat(S::T::ZERO));
            for r in 0..rows {
                for v in 0..registers {
                    let count = (place.columns - v * S::LANES).min(S::LANES);
                    let at = vector.add(place.c + r * place.c_stride + v * S::LANES);
                    let to = sums.add((r * registers + v) * S::LANES);
                    let s = S::load(to);
                    match WHAT {
                        SET => store::<S>(at, count, S::add(zero, s)),
                        BEGIN => S::store(to, S::add(zero, s)),
                        PLUS => S::store(to, S::add(load::<S>(at, count), s)),
                        TIMES => S::store(to, S::mul_add(factor, load::<S>(at, count), s)),
                        MOVE => {
                            let new = S::mul_add(factor, s, load::<S>(at, count));
                            S::store(to, new);
                            *check = S::or(*check, S::sub(new, new));
                        }
                        _ => store::<S>(at, count, s),
                    }
                }
            }
        }
    }
}

/// A register of which `count` lanes count.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const S::T, count: usize) -> S::V {
    // SAFETY: the caller's word.
    unsafe { if count == S::LANES { S::load(from) } else { S::load_part(from, count) } }
}

/// Writes `count` lanes.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(to: *mut S::T, count: usize, v: S::V) {
    // SAFETY: the caller's word.
    unsafe { if count == S::LANES { S::store(to, v) } else { S::store_part(to, count, v) } }
}

/// C = 0 + sums, which never left their registers; the last one of a row is whole, or not.
///
/// # Safety
/// As for [`settle`].
#[inline(always)]
pub(super) unsafe fn set<S: Simd, const R: usize, const V: usize>(
    place: &Place<S::T>,
    c: *mut S::T,
    sums: &[[S::V; V]; R],
    is_whole: bool,
) {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let zero = S::splat(S::T::ZERO);
        for r in 0..R {
            for v in 0..V {
                let at = c.add(place.c + r * place.c_stride + v * S::LANES);
                let sum = S::add(zero, sums[r][v]);
                if is_whole || v + 1 < V {
                    S::store(at, sum);
                } else {
                    S::store_part(at, place.columns - v * S::LANES, sum);
                }
            }
        }
    }
}

/// As [`settle`], of sums that never left their registers, all lanes of which count. Returns false,
/// and does nothing, where that takes more than the plain step.
///
/// # Safety
/// As for [`settle`].
#[inline(always)]
pub(super) unsafe fn settle_here<S: Simd, const R: usize, const V: usize>(
    place: &Place<S::T>,
    output: &Output<S::T>,
    sums: &[[S::V; V]; R],
    check: &mut S::V,
) -> bool {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        match *output {
            Output::Set(c) => set::<S, R, V>(place, c, sums, true),
            Output::Add(c) => {
                for r in 0..R {
                    for v in 0..V {
                        let at = c.add(place.c + r * place.c_stride + v * S::LANES);
                        S::store(at, S::add(S::load(at), sums[r][v]));
                    }
                }
            }
            Output::Step { w, v, before, hyper: [rate, _, l2] } => {
                if !v.is_null() || !before.is_null() || l2 != S::T::ZERO {
                    return false;
                }
                let (zero, rate) = (S::splat(S::T::ZERO), S::splat(-rate));
                let mut met = *check;
                for r in 0..R {
                    for v in 0..V {
                        let at = w.add(place.c + r * place.c_stride + v * S::LANES);
                        let new = S::mul_add(rate, S::add(zero, sums[r][v]), S::load(at));
                        S::store(at, new);
                        met = S::or(met, S::sub(new, new));
                    }
                }
                *check = met;
            }
        }
        true
    }
}
