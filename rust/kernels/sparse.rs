//! One row of which only what is not zero is listed: products and steps that leave zeros out.
//!
//! That is exact by rules 8 and 10 of `docs/exactness.md`. A weight is also left alone where its step, rounded as
//! rule 4 has it, gives the same number. The blocks of rule 1 stay those of the
//! index of all inputs, so an input's place within its block is one byte.

use super::Real;
use super::gemm::BLOCK;
use super::lines::{Line, Lines, Wide, Work};
use super::rows::{Descent, added};
use super::tiny::{self, Deltas};

/// An input that is not zero.
pub trait Lit<T>: Copy + Default {
    /// Whether a value is 1/255 at least.
    const IS_PIXEL: bool;
    /// Its place within its block of 256.
    fn at(self) -> u8;
    /// Its value.
    fn value(self) -> T;
    /// The same value at another place.
    #[must_use]
    fn moved(self, at: u8) -> Self;
}

/// A pixel that is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LitPixel {
    /// Its place within its block of 256.
    pub at: u8,
    /// The pixel.
    pub pixel: u8,
}

impl<T: Real> Lit<T> for LitPixel {
    const IS_PIXEL: bool = true;

    #[inline(always)]
    fn at(self) -> u8 {
        self.at
    }
    #[inline(always)]
    fn value(self) -> T {
        T::QUOTIENTS[usize::from(self.pixel)]
    }
    #[inline(always)]
    fn moved(self, at: u8) -> Self {
        Self { at, ..self }
    }
}

/// A number that is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LitValue<T> {
    /// The number.
    pub value: T,
    /// Its place within its block of 256.
    pub at: u8,
}

impl<T: Real> Lit<T> for LitValue<T> {
    const IS_PIXEL: bool = false;

    #[inline(always)]
    fn at(self) -> u8 {
        self.at
    }
    #[inline(always)]
    fn value(self) -> T {
        self.value
    }
    #[inline(always)]
    fn moved(self, at: u8) -> Self {
        Self { at, ..self }
    }
}

/// What of one row is not zero, block by block of rule 1.
#[derive(Debug)]
pub struct LitRow<'a, E> {
    all: &'a [E],
    bounds: &'a [u32],
}

impl<E> Clone for LitRow<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for LitRow<'_, E> {}

impl<'a, E> LitRow<'a, E> {
    /// The entries from `bounds[b]` to `bounds[b + 1]` of `all` are block b.
    #[inline(always)]
    #[must_use]
    pub fn new(all: &'a [E], bounds: &'a [u32]) -> Self {
        Self { all, bounds }
    }

    /// How many blocks.
    #[inline(always)]
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The entries of one block.
    #[inline(always)]
    #[must_use]
    pub fn block(&self, b: usize) -> &'a [E] {
        &self.all[self.bounds[b] as usize..self.bounds[b + 1] as usize]
    }

    /// The entries of all blocks, and what is listed behind them.
    #[inline(always)]
    #[must_use]
    pub(super) fn and_behind(&self) -> &'a [E] {
        &self.all[self.bounds[0] as usize..]
    }

    /// Where each block begins, counted from the first; the end in place of those that there are not.
    #[inline(always)]
    pub(super) fn bounds_from_0<const N: usize>(&self) -> [u32; N] {
        let first = self.bounds[0];
        let end = self.bounds[self.blocks()];
        std::array::from_fn(|b| self.bounds.get(b).unwrap_or(&end) - first)
    }

    /// The entries of all blocks.
    #[inline(always)]
    #[must_use]
    pub fn entries(&self) -> &'a [E] {
        &self.all[self.bounds[0] as usize..self.bounds[self.blocks()] as usize]
    }
}

/// z = x W by rule 1: x as listed, W (256 a block, lines), z (lines,).
///
/// # Panics
/// Where there are fewer rows of weights than 256 a block.
#[inline(always)]
pub fn product<S: Lines, E: Lit<S::T>>(
    s: S,
    x: LitRow<'_, E>,
    w: &[Line<S::T>],
    z: &mut [Line<S::T>],
) {
    let lines = z.len();
    if lines == 1 {
        // Apart, as a step's time is in loops of this: where a row begins is then a shift.
        return strip::<S, E, 3, 1>(s, x, w, (z, 1), 0);
    }
    let mut j = 0;
    if size_of::<S::T>() == 4 {
        while j + 4 <= lines {
            strip::<S, E, 1, 4>(s, x, w, (z, lines), j);
            j += 4;
        }
    }
    while j + 2 <= lines {
        strip::<S, E, 1, 2>(s, x, w, (z, lines), j);
        j += 2;
    }
    if j < lines {
        strip::<S, E, 3, 1>(s, x, w, (z, lines), j);
    }
}

/// `L` lines of a product from line j on, `C` blocks side by side.
#[inline(always)]
fn strip<S: Lines, E: Lit<S::T>, const C: usize, const L: usize>(
    s: S,
    x: LitRow<'_, E>,
    w: &[Line<S::T>],
    (z, lines): (&mut [Line<S::T>], usize),
    j: usize,
) {
    let mut sums = [Wide::splat(s, S::T::ZERO); L];
    let mut b = 0;
    while b + C <= x.blocks() {
        let blocks: [&[E]; C] = std::array::from_fn(|c| x.block(b + c));
        let together = blocks.iter().fold(usize::MAX, |n, block| n.min(block.len()));
        let w = &w[b * BLOCK * lines..];
        let chains = [[Wide::splat(s, S::T::ZERO); L]; C];
        let heads = blocks.map(|block| &block[..together]);
        let chains = follow::<S, E, C, L>(s, heads, w, lines, j, chains);
        for (c, chain) in chains.into_iter().enumerate() {
            let (w, rest) = (&w[c * BLOCK * lines..], &blocks[c][together..]);
            let [chain] = follow::<S, E, 1, L>(s, [rest], w, lines, j, [chain]);
            sums = added(sums, chain);
        }
        b += C;
    }
    while b < x.blocks() {
        let chain = [[Wide::splat(s, S::T::ZERO); L]];
        let w = &w[b * BLOCK * lines..];
        let [chain] = follow::<S, E, 1, L>(s, [x.block(b)], w, lines, j, chain);
        sums = added(sums, chain);
        b += 1;
    }
    for (z, sum) in z[j..].iter_mut().zip(sums) {
        sum.store(z);
    }
}

/// Goes on with the chains of `C` blocks that list equally many, whose weights begin at `w`.
#[inline(always)]
fn follow<S: Lines, E: Lit<S::T>, const C: usize, const L: usize>(
    s: S,
    x: [&[E]; C],
    w: &[Line<S::T>],
    lines: usize,
    j: usize,
    mut chains: [[Wide<S>; L]; C],
) -> [[Wide<S>; L]; C] {
    let n = x[0].len();
    assert!(x.iter().all(|x| x.len() == n) && j + L <= lines);
    assert!(w.len() >= C * BLOCK * lines);
    for k in 0..n {
        for (c, chain) in chains.iter_mut().enumerate() {
            // SAFETY: k < n, the length of each list.
            let lit = unsafe { *x[c].get_unchecked(k) };
            let x = Wide::splat(s, lit.value());
            let row = (c * BLOCK + usize::from(lit.at())) * lines + j;
            for (l, chain) in chain.iter_mut().enumerate() {
                // SAFETY: a byte is below `BLOCK`, and j + l below `lines`.
                let w = unsafe { w.get_unchecked(row + l) };
                *chain = x.mul_add(Wide::load(s, w), *chain);
            }
        }
    }
    chains
}

/// One step without l2 and momentum for the weights W (256 a block, lines) that x meets; r (lines,), and whether
/// any of it is tiny (`tiny::any_tiny`). No input of x is above `largest` in magnitude. The other weights have a
/// gradient of 0, which changes nothing (rule 10).
///
/// # Panics
/// Where there are fewer rows of weights than 256 a block.
#[inline(always)]
pub fn step<S: Lines, E: Lit<S::T>>(
    s: S,
    (x, largest): (LitRow<'_, E>, S::T),
    (r, any_tiny): (&[Line<S::T>], bool),
    w: &mut [Line<S::T>],
    by: Descent<S::T>,
) {
    debug_assert!(by.l2 == S::T::ZERO && any_tiny == tiny::any_tiny(s, r));
    if any_tiny {
        return step_saturated(s, StepSaturated { x: (x, largest), r, w, by });
    }
    if let [r] = r {
        return step_line(s, x, r, w, by);
    }
    for b in 0..x.blocks() {
        let w = &mut w[b * BLOCK * r.len()..][..BLOCK * r.len()];
        for lit in x.block(b) {
            let x = Wide::splat(s, lit.value());
            let w = &mut w[usize::from(lit.at()) * r.len()..][..r.len()];
            for (w, r) in w.iter_mut().zip(r) {
                by.plain(s, x, Wide::load(s, r), Wide::load(s, w)).store(w);
            }
        }
    }
}

/// The same for weights of one line.
#[inline(always)]
fn step_line<S: Lines, E: Lit<S::T>>(
    s: S,
    x: LitRow<'_, E>,
    r: &Line<S::T>,
    w: &mut [Line<S::T>],
    by: Descent<S::T>,
) {
    let r = Wide::load(s, r).add(Wide::splat(s, S::T::ZERO));
    for b in 0..x.blocks() {
        let w = &mut w[b * BLOCK..][..BLOCK];
        for lit in x.block(b) {
            // SAFETY: a byte is below `BLOCK`.
            let w = unsafe { w.get_unchecked_mut(usize::from(lit.at())) };
            let (x, before) = (Wide::splat(s, lit.value()), Wide::load(s, w));
            if E::IS_PIXEL {
                // The gradient: to add a product to +0.0 changes nothing unless it is -0.0.
                by.down(s, r.mul(x), before).store(w);
            } else {
                by.plain(s, x, r, before).store(w);
            }
        }
    }
}

/// The same where some deltas, those of saturated units, are tiny.
struct StepSaturated<'a, T, E> {
    x: (LitRow<'a, E>, T),
    r: &'a [Line<T>],
    w: &'a mut [Line<T>],
    by: Descent<T>,
}

impl<T: Real, E: Lit<T>> Work<T> for StepSaturated<'_, T, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Lines<T = T>>(self, s: S) {
        let Self { x: (x, largest), r, w, by } = self;
        for (l, deltas) in r.iter().enumerate() {
            let deltas = Deltas::new(s, deltas, (tiny::largest_tiny(), largest), by);
            for b in 0..x.blocks() {
                let w = &mut w[b * BLOCK * r.len()..][..BLOCK * r.len()];
                for lit in x.block(b) {
                    let w = &mut w[usize::from(lit.at()) * r.len() + l];
                    deltas.step(s, (lit.value(), false), Wide::load(s, w), by).store(w);
                }
            }
        }
    }
}

// Apart, as in most steps of most runs nothing is tiny, and there it would take registers; here a call is little.
#[cold]
#[inline(never)]
fn step_saturated<S: Lines, E: Lit<S::T>>(s: S, step: StepSaturated<'_, S::T, E>) {
    s.apart(step);
}

/// Writes what x lists to its places among the others (k,).
#[inline(always)]
pub fn scatter<T: Real, E: Lit<T>>(x: LitRow<'_, E>, to: &mut [T]) {
    for b in 0..x.blocks() {
        for lit in x.block(b) {
            to[b * BLOCK + usize::from(lit.at())] = lit.value();
        }
    }
}

/// Sets those places to 0.
#[inline(always)]
pub fn clear<T: Real, E: Lit<T>>(x: LitRow<'_, E>, to: &mut [T]) {
    for b in 0..x.blocks() {
        for lit in x.block(b) {
            to[b * BLOCK + usize::from(lit.at())] = T::ZERO;
        }
    }
}

#[cfg(test)]
#[path = "sparse_tests.rs"]
mod tests;
