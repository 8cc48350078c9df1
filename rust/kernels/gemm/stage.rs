//! Rows that are mostly 0 on their way into a product: a block of a tile's columns is copied to where
//! it stays in the first cache, and those columns that are not 0 in every row are listed.

use std::mem::MaybeUninit;

use super::super::Real;
use super::super::foreign::Source;
use super::super::memory::Coming;
use super::super::simd::Simd;
use super::BLOCK;

/// A tile has at most so many rows.
pub(super) const ROWS: usize = 8;

/// So many columns are looked at together: whole bytes of a mask.
pub(super) const COLUMNS: usize = 16;

/// Rows are so far apart that the elements of a column lie in different sets of the cache.
pub(super) const STRIDE: usize = BLOCK + COLUMNS;

/// A block of a tile's columns. Those that are not listed may hold anything, or nothing.
#[repr(align(64))]
pub(super) struct Staged<T> {
    rows: MaybeUninit<[[T; STRIDE]; ROWS]>,
    list: MaybeUninit<[u8; BLOCK + 8]>,
}

impl<T: Real> Staged<T> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { rows: MaybeUninit::uninit(), list: MaybeUninit::uninit() }
    }

    /// The first row; the others follow, [`STRIDE`] apart.
    #[inline(always)]
    pub(super) fn rows(&self) -> *const T {
        self.rows.as_ptr().cast()
    }

    /// The columns that are listed, in order.
    #[inline(always)]
    pub(super) fn list(&self) -> *const u8 {
        self.list.as_ptr().cast()
    }

    /// Takes `k` columns of so many rows, `stride` apart, whose first element is `at`; at each look
    /// so many lines of what comes `next` are fetched. Returns how many columns are listed.
    ///
    /// # Safety
    /// As for [`Simd`].
    ///
    /// # Panics
    /// Where there are too many rows or columns, or they are not there.
    #[inline(always)]
    pub(super) unsafe fn fill<S: Simd<T = T>>(
        &mut self,
        x: Source<'_, T>,
        at: usize,
        (rows, stride, k): (usize, usize, usize),
        next: (&mut Coming, usize),
    ) -> usize {
        // Two bytes of a mask, whole registers, and places that are a byte each.
        const { assert!(S::ROWS <= ROWS && COLUMNS.is_multiple_of(S::LANES)) };
        const { assert!(COLUMNS == 16 && BLOCK == 256) };
        assert!(rows <= ROWS && k <= BLOCK && at + (rows - 1) * stride + k <= x.len());
        // SAFETY: the caller's word, and what was just looked at. A whole tile's rows are so many
        // registers, which the compiler sees only where their number is written down.
        unsafe {
            if rows == S::ROWS {
                self.copy::<S>(x, at, (S::ROWS, stride, k), next)
            } else {
                self.copy::<S>(x, at, (rows, stride, k), next)
            }
        }
    }

    /// As [`Staged::fill`].
    ///
    /// # Safety
    /// As for [`Simd`]; the rows and columns are there, at most [`ROWS`] and [`BLOCK`].
    #[inline(always)]
    unsafe fn copy<S: Simd<T = T>>(
        &mut self,
        x: Source<'_, T>,
        at: usize,
        (rows, stride, k): (usize, usize, usize),
        (next, each): (&mut Coming, usize),
    ) -> usize {
        let (to, list) = (self.rows.as_mut_ptr().cast::<T>(), self.list.as_mut_ptr().cast::<u8>());
        let mut count = 0;
        let mut t = 0;
        while t < k {
            next.fetch(each);
            let mut mask = 0_u32;
            let mut bits = 0;
            while bits < COLUMNS && t + bits < k {
                // SAFETY: the caller's word; t + bits is below the length of a staged row by a
                // register's lanes or more.
                unsafe {
                    let (at, left) = (at + t + bits, k - t - bits);
                    mask |= registers::<S>(x, at, (rows, stride, left), to.add(t + bits)) << bits;
                }
                bits += S::LANES;
            }
            for (first, set) in [(t, mask & 255), (t + 8, mask >> 8)] {
                // Eight places are written, of which the next overwrite those that are none. A block
                // has 256 columns, so that a place is one byte.
                let places = PLACES[set as usize] + first as u64 * 0x0101_0101_0101_0101;
                // SAFETY: there are at most as many places as columns before, so below a block.
                unsafe { list.add(count).cast::<[u8; 8]>().write(places.to_le_bytes()) };
                count += set.count_ones() as usize;
            }
            t += COLUMNS;
        }
        count
    }
}

/// Copies a register of each row, of which `left` elements count. Returns a bit for each column that
/// is not 0 in every row.
///
/// # Safety
/// As for [`Staged::copy`]; there is room for as many registers, [`STRIDE`] apart.
#[inline(always)]
unsafe fn registers<S: Simd>(
    x: Source<'_, S::T>,
    at: usize,
    (rows, stride, left): (usize, usize, usize),
    to: *mut S::T,
) -> u32 {
    // SAFETY: the caller's word; so in the whole body.
    unsafe {
        let mut values = [S::splat(S::T::ZERO); ROWS];
        let values = &mut values[..rows];
        let mut met = S::splat(S::T::ZERO);
        for (r, value) in values.iter_mut().enumerate() {
            let at = at + r * stride;
            *value = match x {
                _ if left < S::LANES => S::load(part(x, at, left).as_ptr()),
                Source::Values(x) => S::load_foreign(x.start().add(at)),
                Source::Pixels(x) => S::load_pixels(x.start().add(at)),
            };
            met = S::or(met, *value);
        }
        // Stored even where all are 0, as many are: whether they are cannot be foreseen.
        for (r, &value) in values.iter().enumerate() {
            let value = match x {
                Source::Values(_) => value,
                Source::Pixels(_) => quotient::<S>(value),
            };
            S::store(to.add(r * STRIDE), value);
        }
        S::nonzero(met)
    }
}

/// The last elements of a row, pixels as they are, and 0 behind them.
// A call, as it is rare.
#[inline(never)]
fn part<T: Real>(x: Source<'_, T>, at: usize, left: usize) -> [T; COLUMNS] {
    let mut elements = [T::ZERO; COLUMNS];
    match x {
        Source::Values(x) => x.copy(at, &mut elements[..left]),
        Source::Pixels(x) => {
            let mut pixels = [0; COLUMNS];
            x.copy(at, &mut pixels[..left]);
            elements = pixels.map(|pixel| T::from_f64(f64::from(pixel)));
        }
    }
    elements
}

/// Pixels / 255, as [`super::super::elementwise::pixels`].
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
unsafe fn quotient<S: Simd>(pixels: S::V) -> S::V {
    let most = S::T::from_f64(255.0);
    let reciprocal = S::T::ONE / most;
    // SAFETY: the caller's word.
    unsafe {
        let (less, reciprocal) = (S::splat(-most), S::splat(reciprocal));
        let near = S::mul_add(pixels, reciprocal, S::splat(S::T::ZERO));
        S::mul_add(S::mul_add(near, less, pixels), reciprocal, near)
    }
}

/// For each byte the places of its bits that are set, a byte each.
pub(in crate::kernels) static PLACES: [u64; 256] = {
    let mut places = [0; 256];
    let mut set = 0;
    while set < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if set >> bit & 1 == 1 {
                places[set] |= bit << (8 * count);
                count += 1;
            }
            bit += 1;
        }
        set += 1;
    }
    places
};
