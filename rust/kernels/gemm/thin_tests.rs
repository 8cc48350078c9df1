//! Products of a few rows and of lone columns, judged by the oracle.

use std::cell::Cell;

use super::super::{Alone, Descent, Scratch, Team, product};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How often B was passed as it lies on this thread: by a lone row, by a few across it, by a lone column.
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
fn a_few_rows_and_lone_columns_pass_b_as_it_lies() {
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
    for (m, n) in [(2, 1), (3, 7), (5, 16), (40, 33)] {
        check::<f32>((m, n, 1), false, 2);
        check::<f64>((m, n, 1), false, 2);
    }
}

/// An element that is 0 moves nothing, but for what is not finite.
#[test]
fn a_lone_column_leaves_out_zeros() {
    fn check<T: Real>(r: &[T]) {
        let x = [0.0, -0.0, 0.5, 0.0, -2.0].map(T::from_f64);
        let (n, before) = (r.len(), extreme::<T>(3, x.len() * r.len()));
        for isa in Isa::available() {
            let mut w = before.clone();
            let (rate, none) = (T::from_f64(0.5), T::ZERO);
            let expected: Vec<T> = (0..w.len())
                .map(|i| {
                    let g = T::ZERO + x[i / n].mul_add(r[i % n], T::ZERO);
                    oracle::descend(w[i], none, g, rate, none, none).0
                })
                .collect();
            let scratch = Scratch::alone();
            let team = Team { isa, crew: &Alone, scratch: &scratch };
            let descent =
                &mut Descent { w: &mut w, v: None, before: None, rate, momentum: none, l2: none };
            let (a, b) = (MatRef::new(&x, 1, 5).transposed(), MatRef::new(r, 1, n));
            THIN.set([0; 3]);
            let finite = team.descend(a, b, descent);
            assert_eq!(THIN.get()[2], 1);
            assert_bits(&w, &expected, isa.name());
            assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{}", isa.name());
        }
    }
    for n in [5, 16, 40] {
        let mut r = mild::<f32>(4, n);
        check(&r);
        check(&mild::<f64>(4, n));
        for at in [0, n - 1] {
            let kept = std::mem::replace(&mut r[at], f32::INFINITY);
            check(&r);
            r[at] = kept;
        }
    }
}
