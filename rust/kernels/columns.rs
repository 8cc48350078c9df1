//! A tile of rows of which only what is not zero is listed: products and steps that leave zeros
//! out, as `sparse` has them for one row.
//!
//! The weights are cut into strips of a few lines and blocks of 256 inputs. Forward a strip goes
//! along the rows, whose lists name the weights; in the step it goes along the inputs, whose lists
//! name the rows, so that a gradient is summed up in registers and moves its weights at once.

// Reason: the functions of iterators and of arrays are not always inlined into one that is compiled
// for a wider instruction set, and a call within a chain costs most of the speed.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::ends::Ends;
use super::gemm::{BLOCK, Window};
use super::lines::{LINE, Line, Lines, Wide};
use super::memory::zeros;
use super::rows::Descent;
use super::sparse::{Lit, LitRow};
use super::{Real, memory};
use crate::error::Error;
use crate::matrix::checked_product;

/// The lists of some rows are asked for so many rows before they are needed.
const AHEAD: usize = 4;

/// How many lines a strip has at most: one chain each, enough that none waits for itself, and no
/// more than registers hold.
#[must_use]
pub const fn strip_lines<T>() -> usize {
    if size_of::<T>() == 4 { 4 } else { 2 }
}

/// For each input of a block the rows of a tile that it lights, in ascending order.
#[derive(Clone, Debug)]
pub struct Columns<E> {
    entries: Vec<E>,
    counts: [u16; BLOCK],
    stride: usize,
    /// The inputs that light any, by how many: so that loops over them end when it is expected.
    lit: [u8; BLOCK],
    n_lit: usize,
}

impl<E: Copy + Default> Columns<E> {
    /// For tiles of at most so many rows.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(rows: usize) -> Result<Self, Error> {
        // Small ones lie close; else it is an odd number of cache lines, so that the inputs do not
        // all fall into the same few sets.
        let stride = match (rows * size_of::<E>()).next_power_of_two() {
            small @ ..=64 => small.max(size_of::<E>()),
            _ => ((rows * size_of::<E>()).div_ceil(64) | 1) * 64,
        };
        let stride = stride / size_of::<E>();
        let entries = zeros(checked_product(BLOCK, stride)?)?;
        Ok(Self { entries, counts: [0; BLOCK], stride, lit: [0; BLOCK], n_lit: 0 })
    }

    /// Lists block b of so many rows, at most 256.
    pub fn collect<'a, T: Real>(&mut self, b: usize, n: usize, row: impl Fn(usize) -> LitRow<'a, E>)
    where
        E: Lit<T> + 'a,
    {
        (0..n.min(AHEAD)).for_each(|i| memory::prefetch(row(i).block(b)));
        self.counts.fill(0);
        let (mut lit, mut n_lit) = ([0; BLOCK + 1], 0);
        for (i, at) in (0..n).zip(0..=u8::MAX) {
            if i + AHEAD < n {
                memory::prefetch(row(i + AHEAD).block(b));
            }
            for &entry in row(i).block(b) {
                let input = usize::from(entry.at());
                let count = self.counts[input];
                self.entries[input * self.stride + usize::from(count)] = entry.moved(at);
                self.counts[input] = count + 1;
                // Written in any case and kept only the first time: no branch to guess.
                lit[n_lit] = entry.at();
                n_lit += usize::from(count == 0);
            }
        }
        self.sort(&lit[..n_lit], n);
    }

    /// The same with nothing left out.
    pub fn collect_all<'a, T: Real>(
        &mut self,
        b: usize,
        n: usize,
        row: impl Fn(usize) -> LitRow<'a, E>,
    ) where
        E: Lit<T> + 'a,
    {
        for input in 0..BLOCK {
            for (place, at) in (0..n).zip(0..=u8::MAX) {
                self.entries[input * self.stride + place] = E::default().moved(at);
            }
        }
        for (place, at) in (0..n).zip(0..=u8::MAX) {
            for &entry in row(place).block(b) {
                self.entries[usize::from(entry.at()) * self.stride + place] = entry.moved(at);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 256 rows")]
        self.counts.fill(n as u16);
        self.lit = std::array::from_fn(|input| input.to_le_bytes()[0]);
        self.n_lit = BLOCK;
    }

    /// Puts inputs into the order of their counts, which are at most `most`.
    fn sort(&mut self, lit: &[u8], most: usize) {
        let mut places = [0_usize; BLOCK + 2];
        for &input in lit {
            places[self.count(input) + 1] += 1;
        }
        for c in 1..=most {
            places[c + 1] += places[c];
        }
        for &input in lit {
            let place = &mut places[self.count(input)];
            self.lit[*place] = input;
            *place += 1;
        }
        self.n_lit = lit.len();
    }

    /// How much is listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.iter().copied().map(usize::from).sum()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows an input lights.
    #[inline(always)]
    fn count(&self, input: u8) -> usize {
        usize::from(self.counts[usize::from(input)])
    }

    /// What an input lights.
    #[inline(always)]
    fn of(&self, input: usize) -> &[E] {
        &self.entries[input * self.stride..][..usize::from(self.counts[input])]
    }
}

/// z = x W by rule 1 for the rows of z, whose columns are a strip of `L` lines: `row` has their lists,
/// `pieces` the strip's weights, block by block. `C` rows side by side.
///
/// # Panics
/// Where a block has fewer weights.
#[inline(always)]
pub fn product<'a, S: Lines, E: Lit<S::T> + 'a, const C: usize, const L: usize>(
    s: S,
    row: &impl Fn(usize) -> LitRow<'a, E>,
    pieces: &[Piece<S::T>],
    z: &mut Window<'_, S::T>,
) {
    for (b, piece) in pieces.iter().enumerate() {
        let mut i = 0;
        while i + C <= z.rows() {
            let mut lists = [&[][..]; C];
            for c in 0..C {
                lists[c] = row(i + c).block(b);
            }
            let chains = chains_of::<S, E, C, L>(s, lists, &piece.w);
            for c in 0..C {
                add(s, z.row(i + c), chains[c], b == 0);
            }
            i += C;
        }
        while i < z.rows() {
            let [chain] = chains_of::<S, E, 1, L>(s, [row(i).block(b)], &piece.w);
            add(s, z.row(i), chain, b == 0);
            i += 1;
        }
    }
}

/// The chains over `C` lists side by side, from +0.0.
#[inline(always)]
pub(super) fn chains_of<S: Lines, E: Lit<S::T>, const C: usize, const L: usize>(
    s: S,
    lists: [&[E]; C],
    w: &[Line<S::T>],
) -> [[Wide<S>; L]; C] {
    let mut together = lists[0].len();
    for c in 1..C {
        together = together.min(lists[c].len());
    }
    let mut chains = [[Wide::splat(s, S::T::ZERO); L]; C];
    follow(s, lists, 0..together, w, &mut chains);
    for c in 0..C {
        let mut chain = [chains[c]];
        follow(s, [lists[c]], together..lists[c].len(), w, &mut chain);
        [chains[c]] = chain;
    }
    chains
}

/// Adds the chains of a block to the beginning of z, or begins with them.
#[inline(always)]
pub(super) fn add<S: Lines, const L: usize>(
    s: S,
    z: &mut [S::T],
    chains: [Wide<S>; L],
    first: bool,
) {
    let zero = Wide::splat(s, S::T::ZERO);
    let (whole, rest) = z.as_chunks_mut::<LINE>();
    for l in 0..L.min(whole.len()) {
        let before = if first { zero } else { Wide::load_from(s, &whole[l]) };
        before.add(chains[l]).store_to(&mut whole[l]);
    }
    if whole.len() < L && !rest.is_empty() {
        let mut line = Line::default();
        line.0[..rest.len()].copy_from_slice(rest);
        let before = if first { zero } else { Wide::load(s, &line) };
        before.add(chains[whole.len()]).store(&mut line);
        rest.copy_from_slice(&line.0[..rest.len()]);
    }
}

/// Goes on with chains over a part of lists, each of places among the rows of W (256, L).
#[inline(always)]
fn follow<S: Lines, E: Lit<S::T>, const C: usize, const L: usize>(
    s: S,
    lists: [&[E]; C],
    part: Range<usize>,
    w: &[Line<S::T>],
    chains: &mut [[Wide<S>; L]; C],
) {
    assert!(w.len() >= BLOCK * L);
    for c in 0..C {
        assert!(lists[c].len() >= part.end);
    }
    for k in part {
        for c in 0..C {
            // SAFETY: k is below the length of each list.
            let lit = unsafe { *lists[c].get_unchecked(k) };
            let x = Wide::splat(s, lit.value());
            for l in 0..L {
                // SAFETY: a byte is below `BLOCK`.
                let w = unsafe { w.get_unchecked(usize::from(lit.at()) * L + l) };
                chains[c][l] = x.mul_add(Wide::load(s, w), chains[c][l]);
            }
        }
    }
}

/// The parameters of a strip and a block: W, its velocity and the gradient of the tiles before, each
/// (256, L), or empty where there is none.
#[derive(Clone, Debug)]
pub struct Piece<T> {
    /// W.
    pub w: Vec<Line<T>>,
    /// Its velocity.
    pub v: Vec<Line<T>>,
    /// The sum of the blocks of rows before.
    pub g: Vec<Line<T>>,
}

impl<T: Real> Piece<T> {
    /// Whether a gradient of 0 changes nothing (rule 10).
    #[inline(always)]
    #[must_use]
    pub fn is_plain(&self, by: Descent<T>) -> bool {
        self.v.is_empty() && by.l2 == T::ZERO
    }
}

/// Adds the gradient r x^T of a tile to that of the tiles before, or begins with it; r (256, L).
///
/// # Panics
/// Where there is no room for it.
#[inline(always)]
pub fn accumulate<S: Lines, E: Lit<S::T>, const L: usize>(
    s: S,
    columns: &Columns<E>,
    r: &[Line<S::T>],
    piece: &mut Piece<S::T>,
    first: bool,
) {
    let g = piece.g.as_chunks_mut::<L>().0;
    assert_eq!(g.len(), BLOCK, "a gradient a weight");
    for (i, g) in g.iter_mut().enumerate() {
        let [chain] = chains_of::<S, E, 1, L>(s, [columns.of(i)], r);
        for l in 0..L {
            let before = if first { Wide::splat(s, S::T::ZERO) } else { Wide::load(s, &g[l]) };
            before.add(chain[l]).store(&mut g[l]);
        }
    }
}

/// Moves W against its gradient r x^T, added to that of the tiles before unless this one is the
/// first; `C` inputs side by side where that is possible. Returns whether all of W is finite.
///
/// # Panics
/// Where a vector is missing.
#[inline(always)]
pub fn descend<S: Lines, E: Lit<S::T>, const C: usize, const L: usize>(
    s: S,
    columns: &Columns<E>,
    r: &[Line<S::T>],
    piece: &mut Piece<S::T>,
    first: bool,
    by: Descent<S::T>,
) -> bool {
    let zero = Wide::splat(s, S::T::ZERO);
    let mut check = zero;
    if first && piece.is_plain(by) {
        let lit = &columns.lit[..columns.n_lit];
        let mut k = 0;
        while k < lit.len() {
            if k + C <= lit.len() {
                let mut lists = [&[][..]; C];
                for c in 0..C {
                    lists[c] = columns.of(usize::from(lit[k + c]));
                }
                // As the inputs stand by the lengths of their lists, these are about as long.
                let chains = chains_of::<S, E, C, L>(s, lists, r);
                for c in 0..C {
                    step(s, piece, usize::from(lit[k + c]), chains[c], true, by, &mut check);
                }
                k += C;
            } else {
                let [chain] = chains_of::<S, E, 1, L>(s, [columns.of(usize::from(lit[k]))], r);
                step(s, piece, usize::from(lit[k]), chain, true, by, &mut check);
                k += 1;
            }
        }
    } else {
        for input in 0..BLOCK {
            let [chain] = chains_of::<S, E, 1, L>(s, [columns.of(input)], r);
            step(s, piece, input, chain, first, by, &mut check);
        }
    }
    check.equal(zero) == u32::from(u16::MAX)
}

/// The same for the pixels of one tile, of which all of r is finite and some is tiny, without l2 and velocity:
/// `ends` are those around r, the upper ones and the lower ones.
///
/// # Panics
/// Where a vector is missing.
#[inline(always)]
pub fn descend_saturated<S: Lines, E: Lit<S::T>, const L: usize>(
    s: S,
    columns: &Columns<E>,
    r: &[Line<S::T>],
    ends: [&[Line<S::T>]; 2],
    piece: &mut Piece<S::T>,
    by: Descent<S::T>,
) -> bool {
    debug_assert!(E::IS_PIXEL && piece.is_plain(by));
    let zero = Wide::splat(s, S::T::ZERO);
    let mut check = zero;
    let w = piece.w.as_chunks_mut::<L>().0;
    for &input in &columns.lit[..columns.n_lit] {
        let lists = [columns.of(usize::from(input))];
        let [upper] = chains_of::<S, E, 1, L>(s, lists, ends[0]);
        let [lower] = chains_of::<S, E, 1, L>(s, lists, ends[1]);
        let w = &mut w[usize::from(input)];
        let (mut moved, mut sure) = ([zero; L], true);
        for l in 0..L {
            let ends = Ends { upper: upper[l], lower: lower[l] };
            match ends.descend(s, Wide::load(s, &w[l]), by) {
                Some(new) => moved[l] = new,
                None => sure = false,
            }
        }
        if !sure {
            let [chain] = chains_of::<S, E, 1, L>(s, lists, r);
            for l in 0..L {
                moved[l] = by.full(s, zero.add(chain[l]), Wide::load(s, &w[l]), None);
            }
        }
        for l in 0..L {
            moved[l].store(&mut w[l]);
            check = check.add(moved[l].sub(moved[l]));
        }
    }
    check.equal(zero) == u32::from(u16::MAX)
}

/// Moves the weights of an input against the last of the chains of their gradient. `check` gathers
/// w - w: 0 where w is finite, else NaN, which stays.
#[inline(always)]
fn step<S: Lines, const L: usize>(
    s: S,
    piece: &mut Piece<S::T>,
    input: usize,
    chain: [Wide<S>; L],
    first: bool,
    by: Descent<S::T>,
    check: &mut Wide<S>,
) {
    let Piece { w, v, g } = piece;
    let w = &mut w.as_chunks_mut::<L>().0[input];
    for l in 0..L {
        let at = input * L + l;
        let before = if first { Wide::splat(s, S::T::ZERO) } else { Wide::load(s, &g[at]) };
        let new = by.full(s, before.add(chain[l]), Wide::load(s, &w[l]), v.get_mut(at));
        new.store(&mut w[l]);
        *check = check.add(new.sub(new));
    }
}
