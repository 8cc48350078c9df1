//! One row at a time: products and steps for weights whose rows are whole cache lines.
//!
//! The outputs are padded with zeros to lines of [`LINE`] elements, so that nothing has a tail, and
//! every function is inlined into `Work` that takes a whole step. The rules are
//! those of `docs/exactness.md`; each chain is as in the scalar loop.

use super::Real;
pub use super::gemm::BLOCK;
use super::lines::{LINE, Line, Lines, Wide, flat};
use super::narrow;

/// z = x W by rule 1: x (k,), W (k, lines), z (lines,).
///
/// # Panics
/// Where the sizes do not belong together.
#[inline(always)]
pub fn product<S: Lines>(s: S, x: &[S::T], w: &[Line<S::T>], z: &mut [Line<S::T>]) {
    let lines = z.len();
    assert!(w.len() >= x.len() * lines, "as many rows of weights as inputs");
    let mut j = 0;
    // Enough chains at a time to hide that each waits for itself, and no more than registers hold.
    if size_of::<S::T>() == 4 {
        while j + 4 <= lines {
            strip::<S, 1, 4>(s, x, w, z, j);
            j += 4;
        }
    }
    while j + 2 <= lines {
        strip::<S, 1, 2>(s, x, w, z, j);
        j += 2;
    }
    if j < lines {
        strip::<S, 3, 1>(s, x, w, z, j);
    }
}

/// `L` lines of a product from line j on, `C` blocks of rule 1 side by side.
#[inline(always)]
fn strip<S: Lines, const C: usize, const L: usize>(
    s: S,
    x: &[S::T],
    w: &[Line<S::T>],
    z: &mut [Line<S::T>],
    j: usize,
) {
    let lines = z.len();
    let mut sums = [Wide::splat(s, S::T::ZERO); L];
    let mut k = 0;
    while k + C * BLOCK <= x.len() {
        let blocks = std::array::from_fn(|c| &x[k + c * BLOCK..][..BLOCK]);
        for chain in chains::<S, C, L>(s, blocks, &w[k * lines..], lines, j) {
            sums = added(sums, chain);
        }
        k += C * BLOCK;
    }
    while k < x.len() {
        let block = &x[k..][..BLOCK.min(x.len() - k)];
        let [chain] = chains::<S, 1, L>(s, [block], &w[k * lines..], lines, j);
        sums = added(sums, chain);
        k += BLOCK;
    }
    for (z, sum) in z[j..].iter_mut().zip(sums) {
        sum.store(z);
    }
}

/// The chains of `C` blocks of equal length, whose weights follow each other from `w` on.
#[inline(always)]
fn chains<S: Lines, const C: usize, const L: usize>(
    s: S,
    x: [&[S::T]; C],
    w: &[Line<S::T>],
    lines: usize,
    j: usize,
) -> [[Wide<S>; L]; C] {
    let n = x[0].len();
    assert!(x.iter().all(|x| x.len() == n) && j + L <= lines);
    assert!(w.len() >= ((C - 1) * BLOCK + n) * lines);
    let mut chains = [[Wide::splat(s, S::T::ZERO); L]; C];
    for k in 0..n {
        for (c, chain) in chains.iter_mut().enumerate() {
            // SAFETY: k < n, the length of each block.
            let x = Wide::splat(s, unsafe { *x[c].get_unchecked(k) });
            for (l, chain) in chain.iter_mut().enumerate() {
                // SAFETY: the row is below (C - 1) * BLOCK + n, and j + l below `lines`.
                let w = unsafe { w.get_unchecked((c * BLOCK + k) * lines + j + l) };
                *chain = x.mul_add(Wide::load(s, w), *chain);
            }
        }
    }
    chains
}

/// `sums + chain`, line by line.
#[inline(always)]
pub(super) fn added<S: Lines, const L: usize>(
    sums: [Wide<S>; L],
    chain: [Wide<S>; L],
) -> [Wide<S>; L] {
    let mut after = sums;
    for (sum, chain) in after.iter_mut().zip(chain) {
        *sum = sum.add(chain);
    }
    after
}

/// What a step does with a gradient (rule 4): the numbers of gradient descent.
#[derive(Clone, Copy, Debug)]
pub struct Descent<T> {
    /// The learning rate.
    pub rate: T,
    /// How much of the last step goes into this one; where there is a velocity.
    pub momentum: T,
    /// l2, or 0 for biases.
    pub l2: T,
}

impl<T: Real> Descent<T> {
    /// g = fma(r, x, +0.0), added to +0.0; w = fma(-rate, g, w).
    #[inline(always)]
    pub(super) fn plain<S: Lines<T = T>>(
        self,
        s: S,
        x: Wide<S>,
        r: Wide<S>,
        w: Wide<S>,
    ) -> Wide<S> {
        self.down(s, gradient(s, x, r), w)
    }

    /// w = fma(-rate, g, w).
    #[inline(always)]
    pub(super) fn down<S: Lines<T = T>>(self, s: S, g: Wide<S>, w: Wide<S>) -> Wide<S> {
        Wide::splat(s, -self.rate).mul_add(g, w)
    }

    /// The same from a gradient, with l2 and velocity.
    #[inline(always)]
    pub(super) fn full<S: Lines<T = T>>(
        self,
        s: S,
        mut g: Wide<S>,
        w: Wide<S>,
        v: Option<&mut Line<S::T>>,
    ) -> Wide<S> {
        if self.l2 != S::T::ZERO {
            g = Wide::splat(s, self.l2).mul_add(w, g);
        }
        if let Some(v) = v {
            g = Wide::splat(s, self.momentum).mul_add(Wide::load(s, v), g);
            g.store(v);
        }
        self.down(s, g, w)
    }
}

/// A gradient of one product by rule 1: its chain, added to +0.0. Never -0.0.
#[inline(always)]
fn gradient<S: Lines>(s: S, x: Wide<S>, r: Wide<S>) -> Wide<S> {
    let zero = Wide::splat(s, S::T::ZERO);
    r.mul_add(x, zero).add(zero)
}

/// One step for all weights W (k, lines) from x (k,) and r (lines,); their velocity v is like W, or
/// empty.
///
/// # Panics
/// Where the sizes do not belong together.
#[inline(always)]
pub fn step<S: Lines>(
    s: S,
    x: &[S::T],
    r: &[Line<S::T>],
    w: &mut [Line<S::T>],
    v: &mut [Line<S::T>],
    by: Descent<S::T>,
) {
    let plain = v.is_empty() && by.l2 == S::T::ZERO;
    if let ([r], true) = (r, plain) {
        let r = Wide::load(s, r);
        for (w, &x) in w.iter_mut().zip(x) {
            by.plain(s, Wide::splat(s, x), r, Wide::load(s, w)).store(w);
        }
        return;
    }
    let rows = w.chunks_exact_mut(r.len()).zip(x); // which divides
    if plain {
        for (w, &x) in rows {
            let x = Wide::splat(s, x);
            for (w, r) in w.iter_mut().zip(r) {
                by.plain(s, x, Wide::load(s, r), Wide::load(s, w)).store(w);
            }
        }
    } else if v.is_empty() {
        for (w, &x) in rows {
            let x = Wide::splat(s, x);
            for (w, r) in w.iter_mut().zip(r) {
                by.full(s, gradient(s, x, Wide::load(s, r)), Wide::load(s, w), None).store(w);
            }
        }
    } else {
        for ((w, &x), v) in rows.zip(v.chunks_exact_mut(r.len())) {
            let x = Wide::splat(s, x);
            for ((w, r), v) in w.iter_mut().zip(r).zip(v) {
                by.full(s, gradient(s, x, Wide::load(s, r)), Wide::load(s, w), Some(v)).store(w);
            }
        }
    }
}

/// Defines z = W x + b, where z is W x, and a = sigma(z).
///
/// A macro, as a closure with much in it is not inlined, and then not compiled for the set.
macro_rules! activation {
    ($(#[$meta:meta])* $name:ident, |$s:ident, $z:ident| $sigma:expr) => {
        $(#[$meta])*
        #[inline(always)]
        pub fn $name<S: Lines>(
            $s: S,
            b: &[Line<S::T>],
            z: &mut [Line<S::T>],
            a: &mut [Line<S::T>],
        ) {
            for ((a, z), b) in a.iter_mut().zip(z).zip(b) {
                let $z = Wide::load($s, z).add(Wide::load($s, b));
                $z.store(z);
                $sigma.store(a);
            }
        }
    };
}

activation! {
    /// z = W x + b, where z is W x, and a = z.
    identity, |s, z| z
}

activation! {
    /// z = W x + b, where z is W x, and a = 0 where z <= 0, else z.
    relu, |s, z| z.unless_off(z)
}

activation! {
    /// z = W x + b, where z is W x, and a = sigmoid(z).
    sigmoid, |s, z| narrow::sigmoid(s, z)
}

activation! {
    /// z = W x + b, where z is W x, and a = tanh(z).
    tanh, |s, z| narrow::tanh(s, z)
}

/// d *= a (1 - a); returns how many of the first `n` derivatives are below `small`. Behind them a
/// and d are 0, and d stays so.
#[inline(always)]
pub fn sigmoid_backward<S: Lines>(
    s: S,
    a: &[Line<S::T>],
    d: &mut [Line<S::T>],
    n: usize,
    small: S::T,
) -> u64 {
    scale(s, a, d, n, small, |a| narrow::sigmoid_slope(s, a))
}

/// d *= 1 - a a; likewise.
#[inline(always)]
pub fn tanh_backward<S: Lines>(
    s: S,
    a: &[Line<S::T>],
    d: &mut [Line<S::T>],
    n: usize,
    small: S::T,
) -> u64 {
    scale(s, a, d, n, small, |a| narrow::tanh_slope(s, a))
}

#[inline(always)]
fn scale<S: Lines>(
    s: S,
    a: &[Line<S::T>],
    d: &mut [Line<S::T>],
    n: usize,
    small: S::T,
    slope: impl Fn(Wide<S>) -> Wide<S>,
) -> u64 {
    let small = Wide::splat(s, small);
    let mut count = 0;
    for ((d, a), left) in d.iter_mut().zip(a).zip(left(n)) {
        let slope = slope(Wide::load(s, a));
        count += u64::from((small.above(slope) & left).count_ones());
        slope.mul(Wide::load(s, d)).store(d);
    }
    count
}

/// d = 0 where z <= 0; returns how often among the first `n`.
#[inline(always)]
pub fn relu_backward<S: Lines>(s: S, z: &[Line<S::T>], d: &mut [Line<S::T>], n: usize) -> u64 {
    let zero = Wide::splat(s, S::T::ZERO);
    let mut count = 0;
    for ((d, z), left) in d.iter_mut().zip(z).zip(left(n)) {
        let z = Wide::load(s, z);
        count += u64::from(((zero.above(z) | z.equal(zero)) & left).count_ones());
        Wide::load(s, d).unless_off(z).store(d);
    }
    count
}

/// For each line a bit for each of its elements that is among the first `n`.
#[inline(always)]
fn left(n: usize) -> impl Iterator<Item = u32> {
    (0..).step_by(LINE).map(move |first| narrow::first(n.saturating_sub(first)))
}

/// d = a - y.
#[inline(always)]
pub fn difference<S: Lines>(s: S, a: &[Line<S::T>], y: &[Line<S::T>], d: &mut [Line<S::T>]) {
    for ((d, a), y) in d.iter_mut().zip(a).zip(y) {
        Wide::load(s, a).sub(Wide::load(s, y)).store(d);
    }
}

/// d = 2 (a - y).
#[inline(always)]
pub fn twice_difference<S: Lines>(s: S, a: &[Line<S::T>], y: &[Line<S::T>], d: &mut [Line<S::T>]) {
    let two = Wide::splat(s, S::T::TWO);
    for ((d, a), y) in d.iter_mut().zip(a).zip(y) {
        two.mul(Wide::load(s, a).sub(Wide::load(s, y))).store(d);
    }
}

/// Sets the last line to 0 where the mask is 0.
#[inline(always)]
pub fn clear_padding<S: Lines>(s: S, lines: &mut [Line<S::T>], mask: &Line<S::T>) {
    if let Some(last) = lines.last_mut() {
        Wide::load(s, last).unless_off(Wide::load(s, mask)).store(last);
    }
}

/// Whether the largest of the first `n` elements, the first of equals, stands at `place`. None is
/// NaN.
#[inline(always)]
pub fn largest_is_at<S: Lines>(s: S, a: &[Line<S::T>], n: usize, place: usize) -> bool {
    let largest = Wide::splat(s, flat(a)[place]);
    let mut larger = 0;
    for ((a, among), before) in a.iter().zip(left(n)).zip(left(place)) {
        let a = Wide::load(s, a);
        larger |= a.above(largest) & among | a.equal(largest) & before;
    }
    larger == 0
}

/// A sum of magnitudes: not below any of them, and not finite where one is not.
#[inline(always)]
pub fn magnitude<S: Lines>(s: S, x: &[S::T]) -> S::T {
    let mut sums = Wide::splat(s, S::T::ZERO);
    let (whole, rest) = x.as_chunks::<LINE>();
    for chunk in whole {
        sums = sums.add(Wide::load_from(s, chunk).abs());
    }
    let mut line = Line::default();
    sums.store(&mut line);
    line.0.iter().chain(rest).fold(S::T::ZERO, |sum, x| sum + x.abs())
}

/// sums + |x|, line by line.
#[inline(always)]
#[must_use]
pub fn add_magnitudes<S: Lines>(s: S, x: &[Line<S::T>], mut sums: Wide<S>) -> Wide<S> {
    for x in x {
        sums = sums.add(Wide::load(s, x).abs());
    }
    sums
}

/// What no parameter and no velocity exceeds, lane by lane.
#[derive(Clone, Copy, Debug)]
pub struct Bound<T> {
    w: Line<T>,
    v: Line<T>,
}

impl<T: Real> Default for Bound<T> {
    fn default() -> Self {
        Self { w: Line::default(), v: Line::default() }
    }
}

impl<T: Real> Bound<T> {
    /// Covers some parameters and velocities.
    pub fn cover(&mut self, w: &[Line<T>], v: &[Line<T>]) {
        for (bound, lines) in [(&mut self.w, w), (&mut self.v, v)] {
            for line in lines {
                for (bound, x) in bound.0.iter_mut().zip(&line.0) {
                    let x = x.abs();
                    // A NaN is taken over.
                    *bound = if x <= *bound { *bound } else { x };
                }
            }
        }
    }

    /// Grows by what a step can add: r are sums of magnitudes down the lanes, `reach` what no input
    /// of a layer exceeds. Returns whether all then is far from overflow; else it stays as it was.
    #[inline(always)]
    pub fn grow<S>(&mut self, s: S, r: Wide<S>, reach: T, by: Descent<T>) -> bool
    where
        S: Lines<T = T>,
    {
        let [rate, momentum, l2, reach, far] =
            [by.rate, by.momentum, by.l2, reach, T::FAR].map(|x| Wide::splat(s, x));
        let (w, v) = (Wide::load(s, &self.w), Wide::load(s, &self.v));
        let v = momentum.mul(v).add(l2.mul(w).add(r.mul(reach)));
        let w = w.add(rate.mul(v));
        let all = far.above(v) & far.above(w) == u32::from(u16::MAX);
        if all {
            w.store(&mut self.w);
            v.store(&mut self.v);
        }
        all
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
