//! Products and steps of a few rows of which only what is not zero is listed.

// Reason: see `columns.rs`.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::{Check, Moved, move_one};
use crate::kernels::Real;
use crate::kernels::columns::{add, chains_of};
use crate::kernels::ends::Ends;
use crate::kernels::gemm::BLOCK;
use crate::kernels::lines::{Line, Lines, Wide, flat_mut};
use crate::kernels::rows::Descent;
use crate::kernels::sparse::{Lit, LitRow};
use crate::kernels::tiny::any_tiny;

/// A sum for each weight of a block.
type Sums<T, const L: usize> = [[Line<T>; L]; BLOCK];

/// z = x W by rule 1 for some rows, of which `row` has the lists of what is not zero: W (256 a
/// block, L), z (rows, L).
///
/// # Panics
/// Where the sizes do not belong together.
#[inline(always)]
pub fn product_lit<'a, S: Lines, E: Lit<S::T> + 'a, const L: usize>(
    s: S,
    row: &impl Fn(usize) -> LitRow<'a, E>,
    w: &[Line<S::T>],
    z: &mut [Line<S::T>],
) {
    let (rows, z) = (z.len() / L, z.as_chunks_mut::<L>().0);
    for (b, w) in w.chunks_exact(BLOCK * L).enumerate() {
        let mut i = 0;
        while i + 2 <= rows {
            let lists = [row(i).block(b), row(i + 1).block(b)];
            let [upper, lower] = chains_of::<S, E, 2, L>(s, lists, w);
            add(s, flat_mut(&mut z[i]), upper, b == 0);
            add(s, flat_mut(&mut z[i + 1]), lower, b == 0);
            i += 2;
        }
        if i < rows {
            let [chain] = chains_of::<S, E, 1, L>(s, [row(i).block(b)], w);
            add(s, flat_mut(&mut z[i]), chain, b == 0);
        }
    }
}

/// One step of W (256 a block, L) from some rows, of which `row` has the lists and r (rows, L) is
/// finite; weights whose gradient is 0 stay as they are where that changes nothing (rule 10). The
/// velocity v is like W, or empty; the sums (2, 256, L) are +0.0 before and after. Returns whether each
/// of the weights of `k` inputs is finite.
///
/// # Panics
/// Where the sizes do not belong together.
#[inline(always)]
pub fn step_lit<'a, S: Lines, E: Lit<S::T> + 'a, const L: usize>(
    s: S,
    (row, k): (&impl Fn(usize) -> LitRow<'a, E>, usize),
    r: &[Line<S::T>],
    (w, v): Moved<'_, S::T>,
    by: Descent<S::T>,
    sums: &mut [Line<S::T>],
) -> bool {
    let zero = Wide::splat(s, S::T::ZERO);
    let r = r.as_chunks::<L>().0;
    let [sums, others] = sums.as_chunks_mut::<L>().0.as_chunks_mut::<BLOCK>().0 else {
        panic!("two sums a weight")
    };
    let (w, v) = (w.as_chunks_mut::<L>().0, v.as_chunks_mut::<L>().0);
    let plain = v.is_empty() && by.l2 == S::T::ZERO;
    if E::IS_PIXEL && plain && any_tiny(s, r.as_flattened()) {
        return step_saturated(s, (row, k), r, w, by, (sums, others));
    }
    let mut check = Check::new(s);
    for (b, first) in (0..k).step_by(BLOCK).enumerate() {
        let lit = sum_rows(s, row, b, r, sums);
        if plain {
            // To look which are 0 costs more.
            let by = Descent { l2: S::T::ZERO, ..by };
            let (pairs, rest) = w[first..][lit.clone()].as_chunks_mut::<2>();
            let (sum_pairs, sum_rest) = sums[lit].as_chunks_mut::<2>();
            for (w, sums) in pairs.iter_mut().zip(sum_pairs) {
                for i in 0..2 {
                    descend::<S, L>(s, &mut w[i], &mut sums[i], by, &mut check, i * L);
                }
            }
            for (w, sums) in rest.iter_mut().zip(sum_rest) {
                descend::<S, L>(s, w, sums, by, &mut check, 0);
            }
        } else {
            for i in 0..BLOCK.min(k - first) {
                for l in 0..L {
                    let g = zero.add(Wide::load(s, &sums[i][l]));
                    zero.store(&mut sums[i][l]);
                    let v = v.get_mut(first + i).map(|v| &mut v[l]);
                    check.gather(l, move_one(s, &mut w[first + i][l], v, g, by));
                }
            }
        }
    }
    check.is_zero(s)
}

/// The same of pixels, without l2 and velocity, where some deltas are tiny.
#[inline(always)]
fn step_saturated<'a, S: Lines, E: Lit<S::T> + 'a, const L: usize>(
    s: S,
    (row, k): (&impl Fn(usize) -> LitRow<'a, E>, usize),
    r: &[[Line<S::T>; L]],
    w: &mut [[Line<S::T>; L]],
    by: Descent<S::T>,
    (upper, lower): (&mut Sums<S::T, L>, &mut Sums<S::T, L>),
) -> bool {
    let zero = Wide::splat(s, S::T::ZERO);
    let mut check = Check::new(s);
    for (b, first) in (0..k).step_by(BLOCK).enumerate() {
        let lit = sum_ends(s, row, b, r, (upper, lower));
        let (mut unsure, mut any_unsure) = ([false; BLOCK], false);
        for i in lit.clone() {
            let w = &mut w[first + i];
            let mut moved = [zero; L];
            for l in 0..L {
                let ends =
                    Ends { upper: Wide::load(s, &upper[i][l]), lower: Wide::load(s, &lower[i][l]) };
                zero.store(&mut upper[i][l]);
                zero.store(&mut lower[i][l]);
                match ends.descend(s, Wide::load(s, &w[l]), by) {
                    Some(new) => moved[l] = new,
                    None => unsure[i] = true,
                }
            }
            any_unsure |= unsure[i];
            if !unsure[i] {
                for l in 0..L {
                    moved[l].store(&mut w[l]);
                    check.gather(l, moved[l]);
                }
            }
        }
        if any_unsure {
            for i in sum_rows(s, row, b, r, upper) {
                if unsure[i] {
                    descend::<S, L>(s, &mut w[first + i], &mut upper[i], by, &mut check, 0);
                }
                upper[i] = [Line::default(); L];
            }
        }
    }
    check.is_zero(s)
}

/// Moves the weights of an input against the sums, which are +0.0 then.
#[inline(always)]
fn descend<S: Lines, const L: usize>(
    s: S,
    w: &mut [Line<S::T>; L],
    sums: &mut [Line<S::T>; L],
    by: Descent<S::T>,
    check: &mut Check<S>,
    first: usize,
) {
    let zero = Wide::splat(s, S::T::ZERO);
    for l in 0..L {
        let g = zero.add(Wide::load(s, &sums[l]));
        zero.store(&mut sums[l]);
        check.gather(first + l, move_one(s, &mut w[l], None, g, by));
    }
}

/// Goes on with the chains of a block over rows, of which r (rows, L) is. Returns the inputs from
/// the first that is lit to the last.
#[inline(always)]
fn sum_rows<'a, S: Lines, E: Lit<S::T> + 'a, const L: usize>(
    s: S,
    row: &impl Fn(usize) -> LitRow<'a, E>,
    b: usize,
    r: &[[Line<S::T>; L]],
    sums: &mut Sums<S::T, L>,
) -> Range<usize> {
    let mut lit = (BLOCK, 0);
    for i in 0..r.len() {
        let mut of_row = [Wide::splat(s, S::T::ZERO); L];
        for l in 0..L {
            of_row[l] = Wide::load(s, &r[i][l]);
        }
        let entries = row(i).block(b);
        lit = spanned(entries, lit);
        for entry in entries {
            let x = Wide::splat(s, entry.value());
            let sum = &mut sums[usize::from(entry.at())];
            for l in 0..L {
                x.mul_add(of_row[l], Wide::load(s, &sum[l])).store(&mut sum[l]);
            }
        }
    }
    lit.0.min(lit.1)..lit.1
}

/// The same with two sums, between which the chains are.
#[inline(always)]
fn sum_ends<'a, S: Lines, E: Lit<S::T> + 'a, const L: usize>(
    s: S,
    row: &impl Fn(usize) -> LitRow<'a, E>,
    b: usize,
    r: &[[Line<S::T>; L]],
    (upper, lower): (&mut Sums<S::T, L>, &mut Sums<S::T, L>),
) -> Range<usize> {
    let mut lit = (BLOCK, 0);
    for i in 0..r.len() {
        let mut of_row = [Ends::of(s, &r[i][0]); L];
        for l in 1..L {
            of_row[l] = Ends::of(s, &r[i][l]);
        }
        let entries = row(i).block(b);
        lit = spanned(entries, lit);
        for entry in entries {
            let (x, at) = (Wide::splat(s, entry.value()), usize::from(entry.at()));
            let (upper, lower) = (&mut upper[at], &mut lower[at]);
            for l in 0..L {
                x.mul_add(of_row[l].upper, Wide::load(s, &upper[l])).store(&mut upper[l]);
                x.mul_add(of_row[l].lower, Wide::load(s, &lower[l])).store(&mut lower[l]);
            }
        }
    }
    lit.0.min(lit.1)..lit.1
}

/// From the first to behind the last of some inputs, and of these entries.
#[inline(always)]
fn spanned<T, E: Lit<T>>(entries: &[E], (lowest, highest): (usize, usize)) -> (usize, usize) {
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => {
            (lowest.min(usize::from(first.at())), highest.max(usize::from(last.at()) + 1))
        }
        _ => (lowest, highest),
    }
}
