//! Products of a few rows, and of a few columns, judged by the oracle.

use std::cell::Cell;

use super::super::tests::Many;
use super::super::{Alone, Descent, Scratch, Team, product};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How often a matrix was passed as it lies on this thread: by a lone row, by a few across it, by what moves
    /// it; and how many rows were moved.
    static THIN: Cell<[usize; 4]> = const { Cell::new([0; 4]) };
}

/// Counts so many of these.
pub(super) fn count(which: usize, times: usize) {
    let mut met = THIN.get();
    met[which] += times;
    THIN.set(met);
}

/// Products that pass B as it lies do so, and are those of the oracle.
#[test]
fn a_few_rows_pass_b_as_it_lies() {
    fn check<T: Real>((m, n, k): (usize, usize, usize), across: bool, expected: usize) {
        let (x, y) = (extreme::<T>(6, m * k), extreme::<T>(7, k * n));
        let b = if across { MatRef::new(&y, n, k).transposed() } else { MatRef::new(&y, k, n) };
        let a = MatRef::new(&x, m, k);
        for isa in Isa::available() {
            let mut c = vec![T::from_f64(7.0); m * n];
            THIN.set([0; 4]);
            product(isa, a, b, &mut MatMut::new(&mut c, m, n));
            let what = format!("{} {m} {n} {k}", isa.name());
            assert_bits(&c, &oracle::product(a, b), &what);
            let chunks = n.div_ceil((16 << 10) / size_of::<T>());
            let found = THIN.get();
            assert!((0..4).all(|i| found[i] == if i == expected { chunks } else { 0 }), "{what}");
        }
    }
    for (n, k) in [(128, 257), (128, 3), (130, 600), (4096 + 200, 259)] {
        check::<f32>((1, n, k), false, 0);
        check::<f64>((1, n, k), false, 0);
    }
    for m in 1..=8 {
        for (n, k) in [(16, 16), (17, 16), (31, 300), (70, 257), (40, 600)] {
            check::<f32>((m, n, k), true, 1);
            check::<f64>((m, n, k), true, 1);
        }
    }
}

/// W (m, n) moved by x (k, m) and r (k, n), as the oracle moves it. Returns how many rows were moved.
fn moved<T: Real>(team: &Team<'_, T>, x: &[T], r: &[T], k: usize, rate: T) -> usize {
    let (m, n) = (x.len() / k, r.len() / k);
    let (a, b) = (MatRef::new(x, k, m).transposed(), MatRef::new(r, k, n));
    let (gradient, none) = (oracle::product(a, b), T::ZERO);
    let mut w = extreme::<T>(3, m * n);
    w[0] = -T::ZERO;
    let step = w.iter().zip(&gradient);
    let expected: Vec<T> =
        step.map(|(&w, &g)| oracle::descend(w, none, g, rate, none, none).0).collect();
    let before = THIN.get();
    let descent = &mut Descent { w: &mut w, v: None, before: None, rate, momentum: none, l2: none };
    let finite = team.descend(a, b, descent);
    let what = format!("{} {m} {n} {k} {rate:?}", team.isa.name());
    assert!(THIN.get()[2] > before[2], "{what}");
    assert_bits(&w, &expected, &what);
    assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{what}");
    THIN.get()[3] - before[3]
}

/// On each instruction set so many rows of W are moved.
fn check_moved<T: Real>(x: &[T], r: &[T], k: usize, rate: f64, rows: usize) {
    for isa in Isa::available() {
        let scratch = Scratch::alone();
        let team = &Team { isa, crew: &Alone, scratch: &scratch };
        assert_eq!(moved(team, x, r, k, T::from_f64(rate)), rows, "{}", isa.name());
    }
}

/// Rows of W are left out whose elements of A are all 0, but for what is not finite, and by no other rate.
#[test]
fn a_few_columns_leave_out_zeros() {
    fn check<T: Real>(n: usize, k: usize, infinite: T) {
        for m in 1..=7 {
            let (mut x, mut r) = (mild::<T>(1, k * m), mild::<T>(2, k * n));
            check_moved(&x, &r, k, 0.5, m);
            for i in 0..m {
                (0..k).for_each(|t| x[t * m + i] = if t % 2 == 0 { T::ZERO } else { -T::ZERO });
                check_moved(&x, &r, k, 0.5, m - 1 - i);
                for rate in [0.0, -0.0, f64::INFINITY] {
                    check_moved(&x, &r, k, rate, m);
                }
            }
            for at in [0, k * n - 1] {
                let kept = std::mem::replace(&mut r[at], infinite);
                check_moved(&x, &r, k, 0.5, m);
                r[at] = kept;
            }
        }
    }
    for k in 1..=8 {
        for n in [5, 16, 40] {
            check(n, k, f32::INFINITY);
            check(n, k, f64::NAN);
        }
    }
}

/// Where B has more columns than stay near, some at a time; where one is not finite, these alone.
#[test]
fn columns_that_do_not_stay_near() {
    // 768 elements of eight rows, or 6144 of one.
    for (n, k, strips) in [(768, 8, 1), (3000, 8, 4), (7000, 1, 2)] {
        let (m, mut x) = (20, mild::<f32>(4, 20 * k));
        (0..k).for_each(|t| x[t * m + 1] = 0.0);
        let mut r = extreme::<f32>(5, n * k);
        r.iter_mut().filter(|r| !r.is_finite()).for_each(|r| *r = 1.0);
        check_moved(&x, &r, k, 0.5, (m - 1) * strips);
        r[n * k - 1] = f32::NAN;
        check_moved(&x, &r, k, 0.5, (m - 1) * strips + 1);
    }
}

/// So do the parts of a product, whoever works on them.
#[test]
fn chunks_pass_b_as_it_lies() {
    fn check<T: Real>((m, n, k): (usize, usize, usize), across: bool) {
        let (x, y) = (extreme::<T>(6, m * k), extreme::<T>(7, k * n));
        let b = if across { MatRef::new(&y, n, k).transposed() } else { MatRef::new(&y, k, n) };
        let a = MatRef::new(&x, m, k);
        let expected = oracle::product(a, b);
        for isa in Isa::available() {
            let scratch = Scratch::new();
            scratch.prepare(8).unwrap();
            let team = Team { isa, crew: &Many(2), scratch: &scratch };
            let mut c = vec![T::from_f64(7.0); m * n];
            let before = THIN.get()[usize::from(across)];
            team.product(a, b, &mut MatMut::new(&mut c, m, n), &|_, _, _| 0);
            let chunks = THIN.get()[usize::from(across)] - before;
            assert!(chunks >= 2, "{} {m} {n} {k}: {chunks}", isa.name());
            assert_bits(&c, &expected, &format!("{} {m} {n} {k}", isa.name()));
        }
    }
    // A last part of few columns, or of fewer than a register has lanes.
    for (n, k) in [(1000, 300), (5000, 300), (4096 + 130, 40)] {
        check::<f32>((1, n, k), false);
        check::<f64>((1, n, k), false);
    }
    for shape in [(8, 1000, 300), (1, 4096 + 5, 32), (5, 4096 + 5, 32)] {
        check::<f32>(shape, true);
        check::<f64>(shape, true);
    }
    for isa in Isa::available() {
        let scratch = Scratch::new();
        scratch.prepare(8).unwrap();
        let team = &Team { isa, crew: &Many(2), scratch: &scratch };
        for k in 1..=8 {
            let (x, r) = (mild::<f32>(1, 600 * k), mild::<f32>(2, 300 * k));
            moved(team, &x, &r, k, 0.5);
        }
    }
}

/// Strides of a lone row, or column, are never gone.
#[test]
fn lone_rows_and_columns_of_any_stride() {
    let (x, y) = (mild::<f32>(6, 600), mild::<f32>(7, 600));
    let far = usize::MAX;
    for isa in Isa::available() {
        let mut c = vec![7.0; 150];
        let (a, b) =
            (MatRef::with_strides(&x, 1, 1, far, far), MatRef::with_strides(&y, 1, 150, far, 1));
        product(isa, a, b, &mut MatMut::with_row_stride(&mut c, 1, 150, far));
        let expected = oracle::product(MatRef::new(&x, 1, 1), MatRef::new(&y, 1, 150));
        assert_bits(&c, &expected, isa.name());

        let (a, b) =
            (MatRef::with_strides(&x, 1, 20, far, 1), MatRef::new(&y, 30, 20).transposed());
        let mut c = vec![7.0; 30];
        product(isa, a, b, &mut MatMut::with_row_stride(&mut c, 1, 30, far));
        assert_bits(&c, &oracle::product(MatRef::new(&x, 1, 20), b), isa.name());
    }
}
