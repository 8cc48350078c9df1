//! Weights moved and met in one pass, judged by the oracle.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::once::tests::mostly_zero;
use super::super::tests::Many;
use super::super::{Alone, BLOCK, Crew, Descent, Scratch, Team};
use super::ROWS;
use crate::kernels::testing::{MET_AHEAD, assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

/// The step of W (m, n) by so many rows, and the product of the next ones, in so many pieces: bit by bit those of
/// the oracle, with and without momentum and l2.
fn check<T: Real>(
    draw: fn(u64, usize) -> Vec<T>,
    (rows, m, n): (usize, usize, usize),
    crew: &dyn Crew,
    pieces: usize,
) {
    // Of all strides that there may be; R's rows are two elements longer.
    let (x, y, r) = (draw(1, rows * m), draw(2, rows * m), draw(3, rows * (n + 2)));
    let (x, y) = (MatRef::new(&x, m, rows).transposed(), MatRef::new(&y, rows, m));
    let r = MatRef::with_strides(&r, rows, n, n + 2, 1);
    let (w, v) = (draw(4, m * n), draw(5, m * n));
    let g = oracle::product(x.transposed(), r);
    let scratch = Scratch::new();
    scratch.prepare(8).unwrap();
    for (isa, case) in Isa::available().into_iter().flat_map(|isa| [0, 1, 2, 3].map(|c| (isa, c))) {
        let what = format!("{} {rows} ({m}, {n}) case {case}", isa.name());
        let momentum = T::from_f64(if case & 1 == 0 { 0.0 } else { 0.9 });
        let l2 = T::from_f64(if case & 2 == 0 { 0.0 } else { 0.01 });
        let rate = T::from_f64(0.3);
        let moved = (0..m * n).map(|i| oracle::descend(w[i], v[i], g[i], rate, momentum, l2));
        let (expected, velocity): (Vec<T>, Vec<T>) = moved.unzip();
        let ahead = oracle::product(y, MatRef::new(&expected, m, n));

        let (mut found, mut found_v, mut c) = (w.clone(), v.clone(), vec![T::ONE; rows * (n + 3)]);
        let seen = AtomicUsize::new(0);
        let v_here = (case & 1 != 0).then_some(&mut found_v[..]);
        let descent = &mut Descent { w: &mut found, v: v_here, before: None, rate, momentum, l2 };
        let team = Team { isa, crew, scratch: &scratch };
        MET_AHEAD.take();
        let to = &mut MatMut::with_row_stride(&mut c, rows, n, n + 3);
        let finite = team.descend_and_meet((x, r), descent, y, to, &|piece, j| {
            seen.fetch_add(piece.len(), Ordering::Relaxed);
            assert!(j + piece.len() <= n);
            for z in piece {
                *z = T::TWO * *z;
            }
        });
        assert_eq!(MET_AHEAD.take(), pieces, "{what}");
        assert_bits(&found, &expected, &what);
        assert_bits(&found_v, if case & 1 == 0 { &v } else { &velocity }, &what);
        for (c, ahead) in c.chunks(n + 3).zip(ahead.chunks(n.max(1))) {
            let doubled: Vec<T> = ahead.iter().map(|&z| T::TWO * z).collect();
            assert_bits(&c[..n], &doubled, &what);
            assert_bits(&c[n..], &[T::ONE; 3], &what);
        }
        assert_eq!(seen.into_inner(), rows * n);
        assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{what}");
    }
}

/// Blocks of inputs that are whole and not, columns that fill registers and do not.
#[test]
fn one_pass_changes_no_bit() {
    for rows in 1..=ROWS {
        for m in [0, 1, 3, BLOCK, BLOCK + 6, 2 * BLOCK + 5] {
            for n in [1, 13, 64, 150] {
                check::<f32>(mild, (rows, m, n), &Alone, 1);
                check::<f64>(mild, (rows, m, n), &Alone, 1);
                check::<f32>(extreme, (rows, m, n), &Alone, 1);
                check::<f64>(extreme, (rows, m, n), &Alone, 1);
            }
        }
    }
}

#[test]
fn how_columns_are_cut_changes_no_bit() {
    check::<f32>(mild, (4, 300, 1000), &Alone, 2); // so that R and the sums stay near
    check::<f64>(mild, (4, 300, 1000), &Alone, 3);
    for rows in 1..=ROWS {
        check::<f32>(mild, (rows, 300, 517), &Many(8), 8);
        check::<f32>(extreme, (rows, 300, 517), &Many(8), 8);
    }
    check::<f32>(mild, (2, 700, 70), &Many(5), 5); // fewer pieces than workers
    check::<f32>(mild, (1, 100, 130), &Many(1), 1); // too little to share
}

/// Rows of W that neither rows light are left out, where nothing else moves them.
#[test]
fn zeros_change_no_bit() {
    for rows in 1..=ROWS {
        check::<f32>(mostly_zero, (rows, 300, 70), &Alone, 1);
        check::<f64>(mostly_zero, (rows, 300, 70), &Alone, 1);
        check::<f32>(zeros_and_extremes, (rows, 300, 70), &Alone, 1);
    }
}

fn zeros_and_extremes<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let numbers = extreme(seed, n).into_iter().enumerate();
    numbers.map(|(i, x)| if i % 3 == 0 { x } else { T::ZERO }).collect()
}

/// 1 row or more, of X (rows, 20), W (20, 10), and others with so many elements.
fn meet(
    (x, y): (usize, usize),
    (w, v): (usize, usize),
    before: Option<usize>,
    c: usize,
    across: bool,
) {
    let zeros = vec![0.0_f32; 1000];
    let of = |rows: usize, n: usize| MatRef::new(&zeros, rows, n);
    let (mut w, mut v, mut c) = (vec![0.0; w], vec![0.0; v], vec![0.0; c]);
    let before = before.map(|n| &zeros[..n]);
    let (rate, momentum, l2) = (0.5, 0.9, 0.0);
    let descent = &mut Descent { w: &mut w, v: Some(&mut v), before, rate, momentum, l2 };
    let scratch = Scratch::alone();
    let team = Team { isa: Isa::portable(), crew: &Alone, scratch: &scratch };
    let rows = c.len() / 10;
    let to = &mut MatMut::new(&mut c, rows, 10);
    let r = if across { MatRef::new(&zeros, 10, x).transposed() } else { of(x, 10) };
    team.descend_and_meet((of(x, 20), r), descent, of(y, 20), to, &|_, _| ());
}

#[test]
fn what_does_not_fit_is_refused() {
    meet((2, 2), (200, 200), None, 20, false);
    for (said, rows, of_w, before, c, across) in [
        ("a weight for each", (2, 2), (190, 200), None, 20, false),
        ("a velocity a parameter", (2, 2), (200, 190), None, 20, false),
        ("do not belong together", (2, 2), (200, 200), None, 10, false),
        ("as many rows", (2, 1), (200, 200), None, 10, false),
        ("as many rows", (5, 5), (200, 200), None, 50, false),
        ("as many rows", (0, 0), (200, 200), None, 0, false),
        ("side by side", (2, 2), (200, 200), None, 20, true),
        ("one block of gradients", (2, 2), (200, 200), Some(200), 20, false),
    ] {
        let refused = std::panic::catch_unwind(|| meet(rows, of_w, before, c, across)).unwrap_err();
        let message = refused
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| refused.downcast_ref::<&str>().copied());
        assert!(message.unwrap().contains(said), "{said}: {message:?}");
    }
}
