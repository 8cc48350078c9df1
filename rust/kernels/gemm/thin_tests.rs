//! Products of a few rows, and of a few columns, judged by the oracle.

use std::cell::Cell;

use super::super::{Alone, Descent, Scratch, Team, product};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How often a matrix was passed as it lies on this thread: by a lone row, by a few across it, by what moves
    /// it.
    static THIN: Cell<[usize; 3]> = const { Cell::new([0; 3]) };
}

/// Counts one of these.
pub(super) fn count(which: usize) {
    let mut met = THIN.get();
    met[which] += 1;
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
            THIN.set([0; 3]);
            product(isa, a, b, &mut MatMut::new(&mut c, m, n));
            let what = format!("{} {m} {n} {k}", isa.name());
            assert_bits(&c, &oracle::product(a, b), &what);
            let chunks = n.next_multiple_of(64).div_ceil(4096);
            let found = THIN.get();
            assert!((0..3).all(|i| found[i] == if i == expected { chunks } else { 0 }), "{what}");
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

/// Elements that are 0 move nothing, but for what is not finite.
#[test]
fn a_few_columns_leave_out_zeros() {
    fn check<T: Real>(x: &[T], r: &[T], k: usize) {
        let (m, n) = (x.len() / k, r.len() / k);
        let (a, b) = (MatRef::new(x, k, m).transposed(), MatRef::new(r, k, n));
        let (gradient, before) = (oracle::product(a, b), extreme::<T>(3, m * n));
        let (rate, none) = (T::from_f64(0.5), T::ZERO);
        let moved = before.iter().zip(&gradient);
        let expected: Vec<T> =
            moved.map(|(&w, &g)| oracle::descend(w, none, g, rate, none, none).0).collect();
        for isa in Isa::available() {
            let mut w = before.clone();
            let scratch = Scratch::alone();
            let team = Team { isa, crew: &Alone, scratch: &scratch };
            let descent =
                &mut Descent { w: &mut w, v: None, before: None, rate, momentum: none, l2: none };
            THIN.set([0; 3]);
            let finite = team.descend(a, b, descent);
            let what = format!("{} {m} {n} {k}", isa.name());
            assert_eq!(THIN.get(), [0, 0, 1], "{what}");
            assert_bits(&w, &expected, &what);
            assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{what}");
        }
    }
    fn check_all<T: Real>(n: usize, k: usize, infinite: T) {
        // Rows of W are moved by two; those are left out whose elements are all 0.
        for m in 1..=7 {
            let (mut x, mut r) = (extreme::<T>(1, k * m), mild::<T>(2, k * n));
            check(&x, &r, k);
            for i in 0..m {
                (0..k).for_each(|t| x[t * m + i] = if t % 2 == 0 { T::ZERO } else { -T::ZERO });
                check(&x, &r, k);
            }
            for at in [0, k * n - 1] {
                let kept = std::mem::replace(&mut r[at], infinite);
                check(&x, &r, k);
                r[at] = kept;
            }
        }
    }
    for k in 1..=8 {
        for n in [5, 16, 40] {
            check_all(n, k, f32::INFINITY);
            check_all(n, k, f64::NAN);
        }
    }
    // More columns than stay near.
    check(&mild::<f32>(4, 3 * 8), &mild(5, 3000 * 8), 8);
    check(&mild::<f64>(4, 3), &mild(5, 7000), 1);
}
