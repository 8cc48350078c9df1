//! Products of matrices in canonical order (rule 1 of `docs/exactness.md`).
//!
//! The index of summation is cut into blocks of [`BLOCK`]. Within a block every element of the
//! product is one chain of fused multiply-adds; the blocks are added in order. Lanes run over the
//! columns of the product, never over the summation, so each chain is as in the scalar loop.

use super::portable::Lanes;
use super::{Isa, Real, kernel};
use crate::matrix::{MatMut, MatRef};

/// The length of a chain of fused multiply-adds.
pub const BLOCK: usize = 256;

/// C = A B: A (m, k) of any strides, B (k, n) with its columns side by side, C (m, n).
///
/// # Panics
/// Where the shapes do not belong together.
pub fn product<T: Real>(isa: Isa, a: MatRef<'_, T>, b: MatRef<'_, T>, c: &mut MatMut<'_, T>) {
    accumulate(
        isa,
        a.columns_from(0, BLOCK.min(a.columns())),
        b.rows_from(0, BLOCK.min(b.rows())),
        c,
        true,
    );
    let mut first = BLOCK;
    while first < a.columns() {
        let count = BLOCK.min(a.columns() - first);
        accumulate(isa, a.columns_from(first, count), b.rows_from(first, count), c, false);
        first += BLOCK;
    }
}

/// C += A B for one block: A (m, k) with k <= [`BLOCK`] of any strides, B (k, n) with its columns
/// side by side, C (m, n). The `first` block is added to +0.0 instead of to what C held.
///
/// # Panics
/// Where the shapes do not belong together.
pub fn accumulate<T: Real>(
    isa: Isa,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    c: &mut MatMut<'_, T>,
    first: bool,
) {
    assert!(
        a.rows() == c.rows() && b.columns() == c.columns() && a.columns() == b.rows(),
        "shapes ({}, {}) ({}, {}) and ({}, {}) do not belong together",
        a.rows(),
        a.columns(),
        b.rows(),
        b.columns(),
        c.rows(),
        c.columns()
    );
    assert!(a.columns() <= BLOCK && (b.column_stride() == 1 || b.columns() <= 1));
    if c.rows() > 0 && c.columns() > 0 {
        block(isa, a, b, c, first);
    }
}

kernel! {
    /// The checked work of [`accumulate`]: in strips of columns, each strip from top to bottom.
    fn block<T>(a: MatRef<'_, T>, b: MatRef<'_, T>, c: &mut MatMut<'_, T>, first: bool) {
        let n = c.columns();
        let mut j = if T::LANES == 8 {
            strips::<T, 64, 16>(a, b, c, first, 0, n)
        } else {
            strips::<T, 32, 8>(a, b, c, first, 0, n)
        };
        j = strips::<T, 8, 8>(a, b, c, first, j, n);
        j = strips::<T, 4, 4>(a, b, c, first, j, n);
        strips::<T, 1, 1>(a, b, c, first, j, n);
    }
}

/// The strips of `NARROW` columns from j on, as many as there are; returns the first column left.
///
/// A lone row takes `WIDE` columns at once, so that enough chains are under way.
#[inline(always)]
fn strips<T: Real, const WIDE: usize, const NARROW: usize>(
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    c: &mut MatMut<'_, T>,
    first: bool,
    mut j: usize,
    n: usize,
) -> usize {
    let m = a.rows();
    if m == 1 {
        while j + WIDE <= n {
            tile::<T, 1, WIDE>(a, b, c, first, 0, j);
            j += WIDE;
        }
    }
    while j + NARROW <= n {
        let mut i = 0;
        while i + 4 <= m {
            tile::<T, 4, NARROW>(a, b, c, first, i, j);
            i += 4;
        }
        while i < m {
            tile::<T, 1, NARROW>(a, b, c, first, i, j);
            i += 1;
        }
        j += NARROW;
    }
    j
}

/// `R` rows by `N` columns of C, held in registers through the whole block.
#[inline(always)]
fn tile<T: Real, const R: usize, const N: usize>(
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    c: &mut MatMut<'_, T>,
    first: bool,
    i: usize,
    j: usize,
) {
    debug_assert!(i + R <= a.rows() && j + N <= b.columns());
    let mut sums = [Lanes::<T, N>::splat(T::ZERO); R];
    for k in 0..a.columns() {
        let from = k * b.row_stride() + j;
        // SAFETY: k < b.rows() and j + N <= b.columns(), whose columns lie side by side, and a
        // `MatRef` holds every element of its shape within its slice.
        let row = unsafe { b.data().get_unchecked(from..from + N) };
        let row = Lanes::load(row);
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: i + r < a.rows() and k < a.columns(), likewise.
            let x = unsafe {
                *a.data().get_unchecked((i + r) * a.row_stride() + k * a.column_stride())
            };
            *sum = Lanes::splat(x).mul_add(row, *sum);
        }
    }
    let stride = c.row_stride();
    for (r, &sum) in sums.iter().enumerate() {
        let c = &mut c.data()[(i + r) * stride + j..];
        let before = if first { Lanes::splat(T::ZERO) } else { Lanes::load(c) };
        before.add(sum).store(c);
    }
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
