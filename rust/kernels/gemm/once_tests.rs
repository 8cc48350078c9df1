//! Weights passed once, judged by the oracle.

use std::sync::Mutex;

use super::super::tests::Many;
use super::super::{Alone, Crew, Descent, Scratch, Team};
use super::{BYTES, LEAST, UNIT, blocks};
use crate::kernels::testing::{PASSED_ONCE, assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

/// D and the step of W (m, n) by so many rows, in so many blocks: bit by bit those of the oracle, from W as it
/// was, with and without momentum, l2 and a sum before.
fn check<T: Real>(
    draw: fn(u64, usize) -> Vec<T>,
    (rows, m, n): (usize, usize, usize),
    crew: &dyn Crew,
    pieces: usize,
) {
    let (x, r) = (draw(1, rows * m), draw(2, rows * n));
    let (x, r) = (MatRef::new(&x, rows, m), MatRef::new(&r, rows, n));
    let (w, v, earlier) = (draw(3, m * n), draw(4, m * n), mild::<T>(5, m * n));
    let back = oracle::product(r, MatRef::new(&w, m, n).transposed());
    let chain = oracle::product(x.transposed(), r);
    let scratch = Scratch::new();
    scratch.prepare(8).unwrap();
    let cases = Isa::available().into_iter().flat_map(|isa| [0, 3, 4, 7].map(|case| (isa, case)));
    for (isa, case) in cases {
        let what = format!("{} {rows} ({m}, {n}) case {case}", isa.name());
        let momentum = T::from_f64(if case & 1 == 0 { 0.0 } else { 0.9 });
        let l2 = T::from_f64(if case & 2 == 0 { 0.0 } else { 0.01 });
        let (rate, before) = (T::from_f64(0.3), (case & 4 != 0).then_some(&earlier[..]));
        let g = |i: usize| before.map_or(chain[i], |before| before[i] + chain[i]);
        let moved = (0..m * n).map(|i| oracle::descend(w[i], v[i], g(i), rate, momentum, l2));
        let (expected, velocity): (Vec<T>, Vec<T>) = moved.unzip();

        let (mut found, mut found_v) = (w.clone(), v.clone());
        let v_here = (case & 1 != 0).then_some(&mut found_v[..]);
        let descent = &mut Descent { w: &mut found, v: v_here, before, rate, momentum, l2 };
        let (mut d, seen) = (vec![T::ONE; rows * m], Mutex::new(vec![0; rows * m]));
        let team = Team { isa, crew, scratch: &scratch };
        PASSED_ONCE.take();
        let to = &mut MatMut::new(&mut d, rows, m);
        let (sum, finite) = team.back_and_descend((x, r), descent, to, &|piece, i, j| {
            let at = i * m + j;
            assert_bits(piece, &back[at..at + piece.len()], &what);
            piece.fill(T::ONE + T::ONE);
            seen.lock().unwrap()[at..at + piece.len()].iter_mut().for_each(|seen| *seen += 1);
            piece.len() as u64
        });
        assert_eq!(PASSED_ONCE.take(), pieces, "{what}");
        assert_eq!(sum, (rows * m) as u64);
        assert!(seen.into_inner().unwrap().iter().all(|&seen| seen == 1), "each once");
        assert!(d.iter().all(|&d| d == T::ONE + T::ONE), "what `finish` leaves stays");
        assert_bits(&found, &expected, &what);
        assert_bits(&found_v, if case & 1 == 0 { &v } else { &velocity }, &what);
        assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{what}");
    }
}

#[test]
fn blocks_change_no_bit() {
    for rows in [1, 3, 8, 9, 16] {
        // 600 KB of float32 and twice as much of float64; the last rows of W are no whole register.
        check::<f32>(mild, (rows, 150, 1001), &Alone, 2);
        check::<f64>(mild, (rows, 150, 1001), &Alone, 2);
        check::<f32>(extreme, (rows, 600, 257), &Many(8), 8);
        check::<f64>(extreme, (rows, 600, 257), &Many(8), 8);
    }
    check::<f32>(mild, (2, 1100, 1200), &Many(8), 16);
    check::<f32>(mostly_zero, (16, 150, 1001), &Alone, 2);
}

/// Numbers of which nine in ten are 0, so that products leave them out.
pub(crate) fn mostly_zero<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let numbers = mild(seed, n).into_iter().enumerate();
    numbers.map(|(i, x)| if i % 10 == 0 { x } else { T::ZERO }).collect()
}

#[test]
fn two_passes_are_better_of_more_rows_and_of_fewer_or_longer_rows_of_weights() {
    check::<f32>(mild, (17, 150, 1001), &Alone, 0);
    check::<f32>(mild, (1, 128, 1024), &Alone, 0);
    check::<f32>(mild, (1, 60, 4000), &Alone, 0);
    check::<f32>(mild, (1, 130, 5000), &Alone, 0);
    check::<f32>(mild, (1, 500, 300), &Many(0), 0); // not one for each of eight workers
}

/// Each worker has as many blocks, and rows in them as the others, but for some units.
#[test]
fn workers_have_as_much_to_do_as_each_other() {
    for workers in 1..=8 {
        for m in (1..1500).step_by(7) {
            for n in [100, 300, 1000, 2048, 4096] {
                let cut = blocks::<f32>(1, (m, n), workers);
                if cut.pieces() == 1 {
                    continue;
                }
                assert!(cut.pieces().is_multiple_of(workers), "{workers} ({m}, {n})");
                let rows: Vec<_> = (0..cut.pieces()).map(|piece| cut.piece(piece).1).collect();
                let each = rows.chunks(cut.pieces() / workers).map(|own| own.iter().sum());
                let most: usize = each.max().unwrap();
                assert!(most <= m.div_ceil(workers) + UNIT, "{workers} ({m}, {n}): {rows:?}");
                let fits = |rows| rows <= 2 * LEAST + UNIT || (rows - UNIT) * n * 4 <= BYTES;
                assert!(rows.iter().all(|&rows| fits(rows)), "{workers} ({m}, {n}): {rows:?}");
            }
        }
    }
}

/// W (600, 300) by one row, with vectors of these lengths.
fn pass_once(x: usize, w: usize, v: usize, before: usize, d: usize) {
    let (x, r) = (vec![0.0_f32; x], [0.0_f32; 300]);
    let (x, r) = (MatRef::new(&x, x.len() / 600, 600), MatRef::new(&r, 1, 300));
    let (mut w, mut v, before, mut d) =
        (vec![0.0; w], vec![0.0; v], vec![0.0; before], vec![0.0; d]);
    let (rate, momentum, l2) = (0.5, 0.9, 0.0);
    let descent =
        &mut Descent { w: &mut w, v: Some(&mut v), before: Some(&before), rate, momentum, l2 };
    let scratch = Scratch::alone();
    let team = Team { isa: Isa::portable(), crew: &Alone, scratch: &scratch };
    let columns = d.len();
    team.back_and_descend((x, r), descent, &mut MatMut::new(&mut d, 1, columns), &|_, _, _| 0);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let all = 600 * 300;
    pass_once(600, all, all, all, 600);
    for (said, lengths) in [
        ("do not belong together", [1200, all, all, all, 600]),
        ("a weight for each", [600, all - 300, all, all, 600]),
        ("a velocity a parameter", [600, all, all - 300, all, 600]),
        ("a gradient a parameter", [600, all, all, all + 1, 600]),
        ("do not belong together", [600, all, all, all, 599]),
    ] {
        let [x, w, v, before, d] = lengths;
        let refused = std::panic::catch_unwind(|| pass_once(x, w, v, before, d)).unwrap_err();
        let message = refused
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| refused.downcast_ref::<&str>().copied());
        assert!(message.unwrap().contains(said), "{message:?}");
    }
}
