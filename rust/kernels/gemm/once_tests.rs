//! Weights passed once, judged by the oracle.

use std::cell::Cell;
use std::sync::Mutex;

use super::super::tests::Many;
use super::super::{Alone, Crew, Descent, Scratch, Team};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};

thread_local! {
    /// How many blocks were worked on on this thread.
    static BLOCKS: Cell<usize> = const { Cell::new(0) };
}

/// One more.
pub(super) fn count() {
    BLOCKS.set(BLOCKS.get() + 1);
}

/// D and the step of W (m, n) by so many rows, in so many blocks: bit by bit those of the oracle, from W as it
/// was, with and without momentum, l2 and a sum before.
fn check<T: Real>(
    draw: fn(u64, usize) -> Vec<T>,
    (rows, m, n): (usize, usize, usize),
    crew: &dyn Crew,
    blocks: usize,
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
        BLOCKS.set(0);
        let to = &mut MatMut::new(&mut d, rows, m);
        let (sum, finite) = team.back_and_descend((x, r), descent, to, &|piece, i, j| {
            let at = i * m + j;
            assert_bits(piece, &back[at..at + piece.len()], &what);
            piece.fill(T::ONE + T::ONE);
            seen.lock().unwrap()[at..at + piece.len()].iter_mut().for_each(|seen| *seen += 1);
            piece.len() as u64
        });
        assert_eq!(BLOCKS.get(), blocks, "{what}");
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
        // 600 KB of float32 and twice as much of float64; the last rows of W are no whole block.
        check::<f32>(mild, (rows, 150, 1001), &Alone, 2);
        check::<f64>(mild, (rows, 150, 1001), &Alone, 3);
        check::<f32>(extreme, (rows, 600, 257), &Many(8), 8);
        check::<f64>(extreme, (rows, 600, 257), &Many(8), 8);
    }
    check::<f32>(mild, (2, 1100, 1200), &Many(8), 16);
}

#[test]
fn more_rows_and_fewer_weights_have_no_blocks() {
    check::<f32>(mild, (17, 150, 1001), &Alone, 0);
    check::<f32>(mild, (1, 128, 1024), &Alone, 0);
    check::<f32>(mild, (1, 60, 4000), &Alone, 0); // they would be one
}

#[test]
#[should_panic(expected = "do not belong together")]
fn shapes_that_do_not_fit_are_refused() {
    let (x, r) = (MatRef::new(&[0.0_f32; 600], 1, 600), MatRef::new(&[0.0_f32; 300], 1, 300));
    let scratch = Scratch::alone();
    let team = Team { isa: Isa::portable(), crew: &Alone, scratch: &scratch };
    let mut w = vec![0.0; 600 * 300];
    let (rate, momentum, l2) = (0.5, 0.0, 0.0);
    let descent = &mut Descent { w: &mut w, v: None, before: None, rate, momentum, l2 };
    let mut d = [0.0; 599];
    let d = &mut MatMut::new(&mut d, 1, 599);
    team.back_and_descend((x, r), descent, d, &|_, _, _| 0);
}
