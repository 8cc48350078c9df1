//! A few rows at a time through a small layer: products and steps for weights whose rows are whole
//! cache lines, as `rows` has them for one row.
//!
//! Each row of x, z and r is lines of its own, padded with zeros. Some rows, or some inputs, are
//! taken side by side: so many chains hide that each waits for itself.

// Reason: see `columns.rs`.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Real;
use super::columns::product_of;
use super::gemm::BLOCK;
use super::lines::{LINE, Line, Lines, Wide, flat, flat_mut, lines};
use super::rows::Descent;
use super::sparse::{Lit, LitRow};

/// z = x W by rule 1 for some rows: x (rows, lines of k), W (k, lines), z (rows, lines).
///
/// # Panics
/// Where the sizes do not belong together.
#[inline(always)]
pub fn product<S: Lines>(
    s: S,
    rows: usize,
    (x, k): (&[Line<S::T>], usize),
    w: &[Line<S::T>],
    z: &mut [Line<S::T>],
) {
    let stride = lines(k);
    let out = z.len() / rows;
    let mut i = 0;
    while i < rows {
        let (x, z) = (&x[i * stride..], &mut z[i * out..]);
        i += match rows - i {
            1 => together::<S, 1>(s, (x, k), w, z, out),
            2 | 3 => together::<S, 2>(s, (x, k), w, z, out),
            _ => together::<S, 4>(s, (x, k), w, z, out),
        };
    }
}

/// The first `C` rows of a product; returns how many these are.
#[inline(always)]
fn together<S: Lines, const C: usize>(
    s: S,
    (x, k): (&[Line<S::T>], usize),
    w: &[Line<S::T>],
    z: &mut [Line<S::T>],
    out: usize,
) -> usize {
    let stride = lines(k) * LINE;
    let x = &flat(x)[..C * stride];
    assert!(w.len() >= k * out && z.len() >= C * out, "as many weights as inputs meet");
    for j in 0..out {
        let mut sums = [Wide::splat(s, S::T::ZERO); C];
        for first in (0..k).step_by(BLOCK) {
            let mut chains = [Wide::splat(s, S::T::ZERO); C];
            for i in first..k.min(first + BLOCK) {
                // SAFETY: i is below k, j below `out`.
                let w = Wide::load(s, unsafe { w.get_unchecked(i * out + j) });
                for c in 0..C {
                    // SAFETY: i is below `stride`, c below C.
                    let x = Wide::splat(s, unsafe { *x.get_unchecked(c * stride + i) });
                    chains[c] = x.mul_add(w, chains[c]);
                }
            }
            for c in 0..C {
                sums[c] = sums[c].add(chains[c]);
            }
        }
        for c in 0..C {
            sums[c].store(&mut z[c * out + j]);
        }
    }
    C
}

/// Parameters in lines, and their velocity or nothing.
type Moved<'a, T> = (&'a mut [Line<T>], &'a mut [Line<T>]);

/// One step for all weights W (k, lines) from some rows, at most 256: x (rows, lines of k) and r
/// (rows, lines); their velocity v is like W, or empty. Returns whether all of W is finite.
///
/// # Panics
/// Where the sizes do not belong together.
#[inline(always)]
pub fn step<S: Lines>(
    s: S,
    rows: usize,
    (x, k): (&[Line<S::T>], usize),
    r: &[Line<S::T>],
    (w, v): Moved<'_, S::T>,
    by: Descent<S::T>,
) -> bool {
    let out = r.len() / rows;
    let mut check = Wide::splat(s, S::T::ZERO);
    let mut i = 0;
    while i < k {
        let place = (i, k);
        i += match k - i {
            1 => inputs::<S, 1>(s, rows, (x, place), (r, out), (w, v), by, &mut check),
            2 | 3 => inputs::<S, 2>(s, rows, (x, place), (r, out), (w, v), by, &mut check),
            _ => inputs::<S, 4>(s, rows, (x, place), (r, out), (w, v), by, &mut check),
        };
    }
    is_zero(s, check)
}

/// The weights of `C` inputs from the i-th on; returns how many these are. `check` gathers w - w: 0
/// where w is finite, else NaN, which stays.
#[inline(always)]
fn inputs<S: Lines, const C: usize>(
    s: S,
    rows: usize,
    (x, (i, k)): (&[Line<S::T>], (usize, usize)),
    (r, out): (&[Line<S::T>], usize),
    (w, v): Moved<'_, S::T>,
    by: Descent<S::T>,
    check: &mut Wide<S>,
) -> usize {
    let (zero, stride) = (Wide::splat(s, S::T::ZERO), lines(k) * LINE);
    let x = &flat(x)[..rows * stride];
    assert!(i + C <= k && r.len() >= rows * out, "as many rows");
    let w = &mut w[i * out..(i + C) * out];
    for j in 0..out {
        let mut chains = [zero; C];
        for row in 0..rows {
            // SAFETY: the row is below `rows`, j below `out`.
            let r = Wide::load(s, unsafe { r.get_unchecked(row * out + j) });
            for c in 0..C {
                // SAFETY: i + c is below k, so below `stride`.
                let x = Wide::splat(s, unsafe { *x.get_unchecked(row * stride + i + c) });
                chains[c] = x.mul_add(r, chains[c]);
            }
        }
        for c in 0..C {
            let (at, v) = (c * out + j, v.get_mut((i + c) * out + j));
            move_one(s, &mut w[at], v, zero.add(chains[c]), by, check);
        }
    }
    C
}

/// Moves weights against their gradient.
#[inline(always)]
fn move_one<S: Lines>(
    s: S,
    w: &mut Line<S::T>,
    v: Option<&mut Line<S::T>>,
    g: Wide<S>,
    by: Descent<S::T>,
    check: &mut Wide<S>,
) {
    let new = by.full(s, g, Wide::load(s, w), v);
    new.store(w);
    *check = check.add(new.sub(new));
}

/// Whether every lane is 0.
#[inline(always)]
fn is_zero<S: Lines>(s: S, check: Wide<S>) -> bool {
    check.equal(Wide::splat(s, S::T::ZERO)) == u32::from(u16::MAX)
}

/// One step of biases (lines,), whose gradient is the sum of r (rows, lines) by rule 1. Returns
/// whether all are finite.
#[inline(always)]
pub fn step_biases<S: Lines>(
    s: S,
    r: &[Line<S::T>],
    (b, v): Moved<'_, S::T>,
    by: Descent<S::T>,
) -> bool {
    let (zero, out) = (Wide::splat(s, S::T::ZERO), b.len());
    let by = Descent { l2: S::T::ZERO, ..by }; // which is for weights
    let mut check = zero;
    for j in 0..out {
        let mut chain = zero;
        for r in r[j..].iter().step_by(out) {
            chain = chain.add(Wide::load(s, r));
        }
        move_one(s, &mut b[j], v.get_mut(j), zero.add(chain), by, &mut check);
    }
    is_zero(s, check)
}

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
    let (rows, z) = (z.len() / L, flat_mut(z));
    for (b, w) in w.chunks_exact(BLOCK * L).enumerate() {
        let mut i = 0;
        while i < rows {
            let (z, place) = (&mut z[i * L * LINE..], (L * LINE, 0));
            if i + 2 <= rows {
                let lists = [row(i).block(b), row(i + 1).block(b)];
                product_of::<S, E, 2, L>(s, lists, w, z, place, b == 0);
                i += 2;
            } else {
                product_of::<S, E, 1, L>(s, [row(i).block(b)], w, z, place, b == 0);
                i += 1;
            }
        }
    }
}

/// One step of W (256 a block, L) from some rows, of which `row` has the lists and r (rows, L) is
/// finite; weights whose gradient is 0 stay as they are where that changes nothing (rule 10). The
/// velocity v is like W, or empty; the sums (256, L) are +0.0 before and after. Returns whether each
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
    let sums = sums.as_chunks_mut::<L>().0.first_chunk_mut::<BLOCK>().expect("a sum a weight");
    let (w, v) = (w.as_chunks_mut::<L>().0, v.as_chunks_mut::<L>().0);
    let mut check = zero;
    for (b, first) in (0..k).step_by(BLOCK).enumerate() {
        let lit = sum_rows(s, row, b, r, sums);
        if v.is_empty() && by.l2 == S::T::ZERO {
            // To look which are 0 costs more.
            let by = Descent { l2: S::T::ZERO, ..by };
            let weights = &mut w[first..][lit.clone()];
            for (w, sum) in weights.iter_mut().zip(&mut sums[lit]) {
                for l in 0..L {
                    let g = zero.add(Wide::load(s, &sum[l]));
                    zero.store(&mut sum[l]);
                    move_one(s, &mut w[l], None, g, by, &mut check);
                }
            }
        } else {
            for i in 0..BLOCK.min(k - first) {
                for l in 0..L {
                    let g = zero.add(Wide::load(s, &sums[i][l]));
                    zero.store(&mut sums[i][l]);
                    let v = v.get_mut(first + i).map(|v| &mut v[l]);
                    move_one(s, &mut w[first + i][l], v, g, by, &mut check);
                }
            }
        }
    }
    is_zero(s, check)
}

/// Goes on with the chains of a block over rows, of which r (rows, L) is. Returns the inputs from
/// the first that is lit to the last.
#[inline(always)]
fn sum_rows<'a, S: Lines, E: Lit<S::T> + 'a, const L: usize>(
    s: S,
    row: &impl Fn(usize) -> LitRow<'a, E>,
    b: usize,
    r: &[[Line<S::T>; L]],
    sums: &mut [[Line<S::T>; L]; BLOCK],
) -> Range<usize> {
    let (mut lowest, mut highest) = (BLOCK, 0);
    for i in 0..r.len() {
        let mut of_row = [Wide::splat(s, S::T::ZERO); L];
        for l in 0..L {
            of_row[l] = Wide::load(s, &r[i][l]);
        }
        let entries = row(i).block(b);
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            lowest = lowest.min(usize::from(first.at()));
            highest = highest.max(usize::from(last.at()) + 1);
        }
        for entry in entries {
            let x = Wide::splat(s, entry.value());
            let sum = &mut sums[usize::from(entry.at())];
            for l in 0..L {
                x.mul_add(of_row[l], Wide::load(s, &sum[l])).store(&mut sum[l]);
            }
        }
    }
    lowest.min(highest)..highest
}

#[cfg(test)]
#[path = "few_tests.rs"]
mod tests;
