//! Tiles of every height, judged by the oracle, bit for bit.

use std::cell::Cell;

use super::rows_of;
use crate::kernels::gemm::product;
use crate::kernels::simd::simd_kernel;
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How many rows the tallest tile had.
    pub(super) static TALLEST: Cell<usize> = const { Cell::new(0) };
}

/// A row by row, column by column and of any strides; B's rows lie so far apart that many rows of A have
/// it copied, or near each other.
fn check<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, n, k): (usize, usize, usize), apart: usize) {
    let (x, y) = (draw(1, 2 * m * k), draw(2, k * (n + apart)));
    let b = MatRef::with_strides(&y, k, n, n + apart, 1);
    let lanes = 64 / size_of::<T>();
    let most = if n <= lanes { 16 } else { 12 };
    for a in [
        MatRef::new(&x, m, k),
        MatRef::new(&x, k, m).transposed(),
        MatRef::with_strides(&x, m, k, 2 * k, 2),
    ] {
        let expected = oracle::product(a, b);
        for isa in Isa::available() {
            let mut c = vec![T::from_f64(7.0); m * n];
            TALLEST.set(0);
            product(isa, a, b, &mut MatMut::new(&mut c, m, n));
            let what = format!("{} ({m}, {k}) ({k}, {n})", isa.name());
            assert_bits(&c, &expected, &what);
            let copied = a.row_stride() > 1 && a.column_stride() > 1; // as low tiles, where it is
            if isa.name() == "avx512" && !copied && m <= most {
                assert_eq!(TALLEST.get(), m, "{what}");
            }
        }
    }
}

#[test]
fn narrow_tiles_are_of_any_height() {
    for m in 9..=35 {
        for n in [4, 7, 8, 10, 15, 16] {
            for (k, apart) in [(3, 0), (3, 40), (257, 40)] {
                check::<f32>(mild, (m, n, k), apart);
                check::<f64>(extreme, (m, n, k), apart);
            }
        }
        for n in [17, 30, 32] {
            check::<f32>(extreme, (m, n, 3), 0);
            check::<f32>(mild, (m, n, 257), 40);
        }
    }
}

simd_kernel! {
    /// The heights of a panel's tiles, of one register and of two.
    fn heights_on<T, S>(m: usize, to: &mut [Vec<usize>; 2], zero: T) {
        let _ = zero;
        for (registers, heights) in to.iter_mut().enumerate() {
            let mut left = m;
            while left > 0 {
                let rows = match registers {
                    0 => rows_of::<S, 1>(left, S::ROWS),
                    _ => rows_of::<S, 2>(left, S::ROWS),
                };
                heights.push(rows);
                left -= rows;
            }
        }
    }
}

#[test]
fn no_tile_is_low_beside_tall_ones() {
    for isa in Isa::available() {
        for m in 1..100 {
            let mut heights = [const { Vec::new() }; 2];
            heights_on(isa, m, &mut heights, 0.0_f32);
            let tallest = match isa.name() {
                "avx512" => [16, 12],
                "avx2" => [6; 2],
                _ => [4; 2],
            };
            for (heights, tallest) in heights.iter().zip(tallest) {
                let range = m.min(tallest / 2)..=tallest;
                assert!(heights.iter().all(|rows| range.contains(rows)), "{heights:?}");
                assert_eq!(heights.iter().sum::<usize>(), m);
            }
        }
    }
}
