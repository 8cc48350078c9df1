//! A few rows at a time through a small layer: products and steps for weights whose rows are whole
//! cache lines, as `rows` has them for one row.
//!
//! Each row of x, z and r is lines of its own, padded with zeros. Some rows, or some inputs, are
//! taken side by side: so many chains hide that each waits for itself.

// Reason: see `columns.rs`.
#![allow(clippy::needless_range_loop)]

mod lit;

pub use lit::{product_lit, step_lit};

use super::Real;
use super::gemm::BLOCK;
use super::lines::{LINE, Line, Lines, Wide, flat, lines};
use super::rows::Descent;
use super::simd::Simd;

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

/// How many registers a line fills.
const fn registers<S: Lines>() -> usize {
    LINE / <S::Simd as Simd>::LANES
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
    let x = &flat(x)[..C * lines(k) * LINE];
    assert!(w.len() >= k * out && z.len() >= C * out, "as many weights as inputs meet");
    let mut j = 0;
    while j < out {
        j += if registers::<S>() == 1 && j + 2 <= out {
            lines_of::<S, C, 2>(s, (x, k), w, z, (j, out))
        } else {
            lines_of::<S, C, 1>(s, (x, k), w, z, (j, out))
        };
    }
    C
}

/// `L` lines of outputs of these rows, from the j-th on; returns how many these are.
#[inline(always)]
fn lines_of<S: Lines, const C: usize, const L: usize>(
    s: S,
    (x, k): (&[S::T], usize),
    w: &[Line<S::T>],
    z: &mut [Line<S::T>],
    (j, out): (usize, usize),
) -> usize {
    let mut sums = [[Wide::splat(s, S::T::ZERO); L]; C];
    let mut i = 0;
    while i < k {
        // Blocks side by side, where there are registers for as many more chains.
        let room = registers::<S>() == 1 && C * L <= 4;
        i += match (k - i) / BLOCK {
            3.. if room => blocks::<S, C, L, 3>(s, (x, k, i), w, (j, out), &mut sums),
            2 if room => blocks::<S, C, L, 2>(s, (x, k, i), w, (j, out), &mut sums),
            _ => blocks::<S, C, L, 1>(s, (x, k, i), w, (j, out), &mut sums),
        };
    }
    for c in 0..C {
        for l in 0..L {
            sums[c][l].store(&mut z[c * out + j + l]);
        }
    }
    L
}

/// Adds `B` blocks of inputs from the i-th on, whole ones or the last; returns how many inputs these are.
#[inline(always)]
fn blocks<S: Lines, const C: usize, const L: usize, const B: usize>(
    s: S,
    (x, k, i): (&[S::T], usize, usize),
    w: &[Line<S::T>],
    (j, out): (usize, usize),
    sums: &mut [[Wide<S>; L]; C],
) -> usize {
    let (count, stride) = (BLOCK.min(k - i), lines(k) * LINE);
    assert!(i + (B - 1) * BLOCK + count <= k && j + L <= out, "blocks of these inputs");
    assert!(k * out <= w.len() && C * stride <= x.len(), "as many weights, and rows");
    let mut chains = [[[Wide::splat(s, S::T::ZERO); L]; C]; B];
    for t in i..i + count {
        for b in 0..B {
            let t = t + b * BLOCK;
            let mut row = [Wide::splat(s, S::T::ZERO); L];
            for l in 0..L {
                // SAFETY: t is below k, j + l below `out`; there are so many weights.
                row[l] = Wide::load(s, unsafe { w.get_unchecked(t * out + j + l) });
            }
            for c in 0..C {
                // SAFETY: t is below `stride`, c below C.
                let x = Wide::splat(s, unsafe { *x.get_unchecked(c * stride + t) });
                for l in 0..L {
                    chains[b][c][l] = x.mul_add(row[l], chains[b][c][l]);
                }
            }
        }
    }
    for b in 0..B {
        for c in 0..C {
            for l in 0..L {
                sums[c][l] = sums[c][l].add(chains[b][c][l]);
            }
        }
    }
    count + (B - 1) * BLOCK
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
    assert!(
        x.len() >= rows * lines(k) && w.len() >= k * (r.len() / rows),
        "as many rows and weights"
    );
    if v.is_empty() && by.l2 == S::T::ZERO {
        // Then nothing asks for them weight by weight.
        step_by::<S, true>(s, rows, (flat(x), k), r, (w, v), Descent { l2: S::T::ZERO, ..by })
    } else {
        step_by::<S, false>(s, rows, (flat(x), k), r, (w, v), by)
    }
}

/// The same, with neither l2 nor velocity where it is `PLAIN`.
#[inline(always)]
fn step_by<S: Lines, const PLAIN: bool>(
    s: S,
    rows: usize,
    (x, k): (&[S::T], usize),
    r: &[Line<S::T>],
    (w, v): Moved<'_, S::T>,
    by: Descent<S::T>,
) -> bool {
    let out = r.len() / rows;
    let mut check = Check::new(s);
    let mut i = 0;
    while i < k {
        let parameters = (&mut w[i * out..], v.get_mut(i * out..).unwrap_or_default());
        let x = (&x[i..], lines(k) * LINE);
        i += match k - i {
            1 => inputs::<S, 1, PLAIN>(s, rows, x, (r, out), parameters, by, &mut check),
            2 | 3 => inputs::<S, 2, PLAIN>(s, rows, x, (r, out), parameters, by, &mut check),
            _ => inputs::<S, 4, PLAIN>(s, rows, x, (r, out), parameters, by, &mut check),
        };
    }
    check.is_zero(s)
}

/// The weights of the first `C` inputs; returns how many these are.
#[inline(always)]
fn inputs<S: Lines, const C: usize, const PLAIN: bool>(
    s: S,
    rows: usize,
    x: (&[S::T], usize),
    (r, out): (&[Line<S::T>], usize),
    (w, v): Moved<'_, S::T>,
    by: Descent<S::T>,
    check: &mut Check<S>,
) -> usize {
    let w = &mut w[..C * out];
    let mut j = 0;
    while j < out {
        let parameters = (&mut *w, &mut *v);
        j += if registers::<S>() == 1 && j + 2 <= out {
            inputs_of::<S, C, 2, PLAIN>(s, rows, x, (r, j, out), parameters, by, check)
        } else {
            inputs_of::<S, C, 1, PLAIN>(s, rows, x, (r, j, out), parameters, by, check)
        };
    }
    C
}

/// Of these `L` lines from the j-th on; returns how many these are.
#[inline(always)]
fn inputs_of<S: Lines, const C: usize, const L: usize, const PLAIN: bool>(
    s: S,
    rows: usize,
    (x, stride): (&[S::T], usize),
    (r, j, out): (&[Line<S::T>], usize, usize),
    (w, v): Moved<'_, S::T>,
    by: Descent<S::T>,
    check: &mut Check<S>,
) -> usize {
    let zero = Wide::splat(s, S::T::ZERO);
    assert!((rows - 1) * stride + C <= x.len() && rows * out <= r.len(), "as many rows");
    assert!(j + L <= out && C * out <= w.len(), "as many weights");
    let mut chains = [[zero; L]; C];
    for row in 0..rows {
        let mut deltas = [zero; L];
        for l in 0..L {
            // SAFETY: the row is below `rows`, j + l below `out`.
            deltas[l] = Wide::load(s, unsafe { r.get_unchecked(row * out + j + l) });
        }
        for c in 0..C {
            // SAFETY: the row is below `rows`, c below C.
            let x = Wide::splat(s, unsafe { *x.get_unchecked(row * stride + c) });
            for l in 0..L {
                chains[c][l] = x.mul_add(deltas[l], chains[c][l]);
            }
        }
    }
    for c in 0..C {
        for l in 0..L {
            let at = c * out + j + l;
            let v = if PLAIN { None } else { v.get_mut(at) };
            // SAFETY: c is below C, j + l below `out`.
            let w = unsafe { w.get_unchecked_mut(at) };
            check.gather(c * L + l, move_one(s, w, v, zero.add(chains[c][l]), by));
        }
    }
    L
}

/// Moves weights against their gradient; returns them.
#[inline(always)]
fn move_one<S: Lines>(
    s: S,
    w: &mut Line<S::T>,
    v: Option<&mut Line<S::T>>,
    g: Wide<S>,
    by: Descent<S::T>,
) -> Wide<S> {
    let new = by.full(s, g, Wide::load(s, w), v);
    new.store(w);
    new
}

/// Sums of w - w of moved weights: 0 where they are finite, else NaN, which stays. There are four, as
/// each sum waits for the one before.
struct Check<S: Lines>([Wide<S>; 4]);

impl<S: Lines> Check<S> {
    #[inline(always)]
    fn new(s: S) -> Self {
        Self([Wide::splat(s, S::T::ZERO); 4])
    }

    /// Adds weights to one of the sums.
    #[inline(always)]
    fn gather(&mut self, sum: usize, w: Wide<S>) {
        self.0[sum % 4] = self.0[sum % 4].add(w.sub(w));
    }

    /// Whether all of them are finite.
    #[inline(always)]
    fn is_zero(&self, s: S) -> bool {
        let [a, b, c, d] = self.0;
        a.add(b).add(c.add(d)).equal(Wide::splat(s, S::T::ZERO)) == u32::from(u16::MAX)
    }
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
    let mut check = Check::new(s);
    for j in 0..out {
        let mut chain = zero;
        for r in r[j..].iter().step_by(out) {
            chain = chain.add(Wide::load(s, r));
        }
        check.gather(j, move_one(s, &mut b[j], v.get_mut(j), zero.add(chain), by));
    }
    check.is_zero(s)
}

#[cfg(test)]
#[path = "few_tests.rs"]
mod tests;
