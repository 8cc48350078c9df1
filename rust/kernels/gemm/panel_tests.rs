//! Tiles of every height, judged by the oracle, bit for bit.

use std::cell::Cell;

use super::rows_of;
use crate::kernels::gemm::pack::tests::CROSSED;
use crate::kernels::gemm::tests::ASKED;
use crate::kernels::gemm::{Alone, Crew, Descent, Scratch, Team, product};
use crate::kernels::simd::simd_kernel;
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How many rows the tallest tile had.
    pub(super) static TALLEST: Cell<usize> = const { Cell::new(0) };
    /// How many runs of tiles there were.
    pub(super) static RUNS: Cell<usize> = const { Cell::new(0) };
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

/// A product into rows that lie apart, and whether each of its panels of one register or two is a run.
fn check_runs<T: Real>((m, n, k): (usize, usize, usize), are_runs: bool) {
    let (x, y) = (mild::<T>(1, m * k), mild::<T>(2, k * n));
    let (a, b) = (MatRef::new(&x, m, k), MatRef::new(&y, k, n));
    let (judge, stride, seven) = (oracle::product(a, b), n + 17, T::from_f64(7.0));
    for isa in Isa::available() {
        let mut c = vec![seven; m * stride];
        RUNS.set(0);
        product(isa, a, b, &mut MatMut::with_row_stride(&mut c, m, n, stride));
        let what = format!("{} ({m}, {k}) ({k}, {n})", isa.name());
        for (c, judge) in c.chunks(stride).zip(judge.chunks(n)) {
            assert_bits(&c[..n], judge, &what);
            assert!(c[n..].iter().all(|&behind| behind == seven), "{what}");
        }
        let lanes = match isa.name() {
            "avx512" => 64 / size_of::<T>(),
            "avx2" => 32 / size_of::<T>(),
            _ => 4,
        };
        // Tiles of four registers are no runs.
        let wide = isa.name() == "avx512" && n > 3 * lanes;
        let panels = if wide { 0 } else { n.div_ceil(2 * lanes) };
        assert_eq!(RUNS.get(), if are_runs { panels } else { 0 }, "{what}");
    }
}

#[test]
fn short_tiles_are_runs() {
    for m in [97, 98, 256] {
        for n in [1, 4, 7, 10, 16, 30, 32] {
            for k in [1, 3, 4, 16, 63] {
                check_runs::<f32>((m, n, k), true);
                check_runs::<f64>((m, n, k), true);
            }
            check_runs::<f32>((m, n, 64), false);
        }
    }
    // The first block's tiles are not short; the second adds to C.
    check_runs::<f32>((97, 16, 257), false);
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

/// Two workers, the last chunk first.
struct Two;

// SAFETY: one chunk after the other.
unsafe impl Crew for Two {
    fn workers(&self) -> usize {
        2
    }

    fn share(&self, chunks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        (0..chunks).rev().for_each(|chunk| work(chunk % 2, chunk));
    }
}

/// A's rows in place, and apart from each other: copied by narrow tiles where that pays. By one worker and by two.
fn check_copies<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, n, k): (usize, usize, usize)) {
    let (x, y) = (draw(1, m * (k + 1)), draw(2, k * n));
    let (a, b) = (MatRef::with_strides(&x, m, k, k + 1, 1), MatRef::new(&y, k, n));
    let expected = oracle::product(a, b);
    for isa in Isa::available() {
        let scratch = Scratch::new();
        scratch.prepare(2).unwrap();
        for crew in [&Alone as &dyn Crew, &Two] {
            let mut c = vec![T::from_f64(7.0); m * n];
            CROSSED.set(0);
            let to = &mut MatMut::new(&mut c, m, n);
            Team { isa, crew, scratch: &scratch }.product(a, b, to, &|_, _, _| 0);
            let workers = crew.workers();
            let what = format!("{} of {workers}: ({m}, {k}) ({k}, {n})", isa.name());
            assert_bits(&c, &expected, &what);
            let copied = isa.name() != "avx512" && m >= 96 && n >= 192 && k >= 8;
            assert!(workers > 1 || (4..8).contains(&k) || (CROSSED.get() > 0) == copied, "{what}");
        }
    }
}

#[test]
fn copies_of_rows_change_no_bit() {
    for (m, n) in [(95, 192), (96, 191), (96, 192), (97, 207), (200, 193), (257, 192)] {
        for k in [1, 3, 4, 7, 8, 9, 31, 263] {
            check_copies::<f32>(mild, (m, n, k));
            check_copies::<f64>(extreme, (m, n, k));
        }
        check_copies::<f64>(mild, (m, n, 257));
        check_copies::<f32>(extreme, (m, n, 255));
    }
}

/// How many rows of C tiles ask for, where a product sets C block by block, and where it moves parameters.
fn rows_asked(isa: Isa, (m, n, k): (usize, usize, usize)) -> [usize; 2] {
    let (x, y) = (mild::<f32>(1, m * k), mild::<f32>(2, k * n));
    let (a, b) = (MatRef::new(&x, m, k), MatRef::new(&y, k, n));
    let mut c = vec![0.0; m * n];
    ASKED.set(0);
    product(isa, a, b, &mut MatMut::new(&mut c, m, n));
    let set = ASKED.take();
    let k = k.min(256);
    let (a, b) = (MatRef::with_strides(&x, m, k, a.columns(), 1), MatRef::new(&y[..k * n], k, n));
    let (scratch, w) = (Scratch::alone(), &mut c[..]);
    let mut descent = Descent { w, v: None, before: None, rate: 0.5, momentum: 0.0, l2: 0.0 };
    assert!(Team { isa, crew: &Alone, scratch: &scratch }.descend(a, b, &mut descent));
    [set, ASKED.take()]
}

#[test]
fn narrow_tiles_ask_for_what_is_far() {
    for isa in Isa::available().into_iter().filter(|isa| isa.name() != "avx512") {
        let width = if isa.name() == "avx2" { 16 } else { 8 };
        let all = |m: usize, n: usize| m * (n / width);
        assert_eq!(rows_asked(isa, (24, 64, 300)), [0, all(24, 64)], "{}", isa.name());
        // By two blocks, but for the last panel of each of six chunks, behind which nothing is packed.
        let far = 2 * all(24, 1536) - 6 * 24;
        assert_eq!(rows_asked(isa, (24, 1536, 512)), [far, all(24, 1536)], "{}", isa.name());
    }
}
