//! Products that leave out zeros, judged by the oracle bit for bit.

use std::cell::Cell;

use super::super::tests::{AHEAD, Many};
use super::super::{Alone, Crew, Descent, Packed, Scratch, Team};
use super::{LEAST, LEAST_ROWS, NARROW, WIDTH, pays, together};
use crate::kernels::simd::simd_kernel;
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::{MatMut, MatRef};
use crate::rng::Words;

thread_local! {
    /// How many blocks were computed so on this thread.
    pub(super) static TAKEN: Cell<usize> = const { Cell::new(0) };
    /// And how many groups of panels in them to the end, as all was finite.
    pub(super) static FINISHED: Cell<usize> = const { Cell::new(0) };
    /// Whether the first cache is taken for a large one, whatever this machine's.
    pub(super) static ROOMY: Cell<Option<bool>> = const { Cell::new(None) };
}

/// By a small first cache and by a large one.
fn by_either_cache(work: impl Fn(bool)) {
    for roomy in [false, true] {
        ROOMY.set(Some(roomy));
        work(roomy);
    }
    ROOMY.set(None);
}

/// How many blocks `work` computes so.
fn taken(work: impl FnOnce()) -> usize {
    let before = TAKEN.get();
    work();
    TAKEN.get() - before
}

/// Numbers from `draw` of which so many in twenty are a 0 of either sign.
fn dim<T: Real>(draw: fn(u64, usize) -> Vec<T>, n: usize, zeros: u64) -> Vec<T> {
    let zero = [T::ZERO, -T::ZERO];
    let dimmed =
        |((i, x), word): ((usize, T), u64)| if word % 20 < zeros { zero[i % 2] } else { x };
    draw(1, n).into_iter().enumerate().zip(Words::new(3, 96, 0)).map(dimmed).collect()
}

/// C = A B, of operands that lie either way, side by side or not, and by B packed before.
fn check<T: Real>(
    draw: fn(u64, usize) -> Vec<T>,
    (m, k, n): (usize, usize, usize),
    crew: &dyn Crew,
) {
    let (x, y) = (dim(draw, m * (k + 3), 12), draw(2, k * n));
    let (scratch, stride) = (Scratch::new(), n + 5);
    scratch.prepare(8).unwrap();
    for a in [MatRef::with_strides(&x, m, k, k + 3, 1), MatRef::new(&x, k, m).transposed()] {
        for b in [MatRef::new(&y, k, n), MatRef::new(&y, n, k).transposed()] {
            let expected = oracle::product(a, b);
            for isa in Isa::available() {
                let what = format!("{} ({m}, {k}) ({k}, {n})", isa.name());
                let team = Team { isa, crew, scratch: &scratch };
                let packs = a.column_stride() == 1 && b.column_stride() == 1;
                let packed = packs.then(|| Packed::new(&team, b).unwrap());
                for packed in [None, packed.as_ref()] {
                    let mut c = vec![T::from_f64(7.0); m * stride];
                    let mut to = MatMut::with_row_stride(&mut c, m, n, stride);
                    let before = FINISHED.get();
                    let blocks = taken(|| {
                        team.product_with(a, b, packed, &mut to, &|_, _, _| 0);
                    });
                    assert!(FINISHED.get() >= before + blocks, "{what}");
                    // Each chunk decides for itself: together they have some such block at least.
                    let many = m >= LEAST_ROWS || packed.is_some();
                    let one = crew.workers() == 1;
                    assert!(
                        !(many && one) || blocks >= k / 256 + usize::from(k % 256 >= 64),
                        "{what}"
                    );
                    assert!(many || blocks == 0, "{what}");
                    for (c, expected) in c.chunks(stride).zip(expected.chunks(n)) {
                        assert_bits(&c[..n], expected, &what);
                        assert_eq!(c[n..], [T::from_f64(7.0); 5], "nothing beside the columns");
                    }
                }
            }
        }
    }
}

#[test]
fn products_around_each_width() {
    by_either_cache(|_| {
        for n in [64, 65, 80, 81, 95, 96, 97, 112, 113, 127, 128, 129, 192, 193, 209, 225, 290] {
            check::<f32>(mild, (33, 70, n), &Alone);
            check::<f64>(extreme, (33, 70, n), &Alone);
        }
    });
    for isa in Isa::available() {
        for n in [32, 33, 40, 48, 55, 63].into_iter().filter(|n| n / LEAST.0 >= lanes(isa)) {
            let (x, y) = (dim::<f32>(mild, 20 * 66, 12), mild(2, 66 * n));
            let (a, b) = (MatRef::new(&x, 20, 66), MatRef::new(&y, 66, n));
            let mut c = vec![7.0; 20 * n];
            let to = &mut MatMut::new(&mut c, 20, n);
            assert!(taken(|| super::super::product(isa, a, b, to)) > 0);
            assert_bits(&c, &oracle::product(a, b), isa.name());
        }
    }
}

simd_kernel! {
    fn of_registers<T, S>(one: &[T]) -> usize {
        S::LANES * one.len()
    }
}

/// How many elements of float32 a register holds.
fn lanes(isa: Isa) -> usize {
    of_registers(isa, &[0.0_f32])
}

#[test]
fn products_around_each_piece_and_block() {
    by_either_cache(|_| {
        for k in [64, 65, 127, 128, 129, 192, 255, 256, 257, 320, 600] {
            check::<f64>(mild, (19, k, 70), &Alone);
            check::<f32>(extreme, (19, k, 103), &Alone);
        }
    });
}

#[test]
fn products_of_each_number_of_rows() {
    for m in (1..=33).chain([255, 256, 257, 300]) {
        by_either_cache(|_| check::<f32>(mild, (m, 100, 71), &Alone));
        check::<f64>(extreme, (m, 66, 40), &Many(0));
    }
}

/// What is packed next is then fetched ahead, and workers share the chunks.
#[test]
fn products_of_matrices_that_are_far_from_the_core() {
    check::<f32>(mild, (40, 300, 2700), &Many(0));
    let before = AHEAD.get();
    check::<f32>(extreme, (20, 257, 2600), &Alone);
    assert!(AHEAD.get() > before);
    check::<f64>(mild, (260, 260, 1300), &Many(0));
}

/// W moved by the product's own epilogue, against the oracle's gradient and the oracle's step.
fn check_steps<T: Real>(draw: fn(u64, usize) -> Vec<T>, (m, k, n): (usize, usize, usize)) {
    check_steps_by::<T>(draw, (m, k, n), &draw(2, k * n));
}

/// The same by rows r (k, n) of B.
fn check_steps_by<T: Real>(
    draw: fn(u64, usize) -> Vec<T>,
    (m, k, n): (usize, usize, usize),
    r: &[T],
) {
    let x = dim(draw, k * m, 12);
    let (w, v) = (draw(3, m * n), draw(4, m * n));
    let earlier: Vec<T> = draw(5, m * n).iter().map(|&g| T::ZERO + g).collect();
    for a in [MatRef::new(&x, k, m).transposed(), MatRef::new(&x, m, k)] {
        let r = MatRef::new(r, k, n);
        let chain = oracle::product(a, r);
        for (isa, case) in
            Isa::available().into_iter().flat_map(|isa| (0..8).map(move |c| (isa, c)))
        {
            let momentum = T::from_f64(if case & 1 == 0 { 0.0 } else { 0.9 });
            let l2 = T::from_f64(if case & 2 == 0 { 0.0 } else { 0.01 });
            let (rate, before) = (T::from_f64(0.3), (case & 4 != 0).then_some(&earlier[..]));
            let g = |i: usize| before.map_or(chain[i], |before| before[i] + chain[i]);
            let moved = (0..m * n).map(|i| oracle::descend(w[i], v[i], g(i), rate, momentum, l2));
            let (expected, expected_v): (Vec<T>, Vec<T>) = moved.unzip();

            let scratch = Scratch::alone();
            let team = Team { isa, crew: &Alone, scratch: &scratch };
            let (mut found, mut found_v, mut finite) = (w.clone(), v.clone(), false);
            let velocity = (case & 1 != 0).then_some(&mut found_v[..]);
            let mut descent = Descent { w: &mut found, v: velocity, before, rate, momentum, l2 };
            assert!(taken(|| finite = team.descend(a, r, &mut descent)) > 0);
            let what = format!("{} ({m}, {k}) ({k}, {n}) case {case}", isa.name());
            assert_bits(&found, &expected, &what);
            assert_bits(&found_v, if case & 1 != 0 { &expected_v } else { &v }, &what);
            assert_eq!(finite, expected.iter().all(|w| w.is_finite()), "{what}");
        }
    }
}

#[test]
fn steps_of_every_optimizer() {
    by_either_cache(|_| {
        for shape in [(20, 64, 64), (33, 130, 121), (300, 256, 77)] {
            check_steps::<f32>(mild, shape);
            check_steps::<f64>(mild, shape);
            check_steps::<f32>(extreme, shape);
            check_steps::<f64>(extreme, shape);
        }
    });
}

/// r may overflow within a step: what was begun is done over, and moves W and v once.
#[test]
fn steps_whose_last_rows_are_not_finite() {
    let (m, k, n) = (20, 200, 121);
    by_either_cache(|_| {
        for (row, column) in [(0, 3), (k - 1, 0), (k - 1, n - 1)] {
            let mut r = mild::<f32>(2, k * n);
            r[row * n + column] = f32::INFINITY;
            check_steps_by::<f32>(mild, (m, k, n), &r);
        }
    });
}

/// What of B is not finite makes a sum so, also where all that meets it is 0: in each piece and
/// block, in each panel, the last and incomplete one too.
fn check_not_finite<T: Real>() {
    let (m, k, n) = (16, 400, 121);
    let mut x = dim::<T>(mild, m * k, 12);
    let rows = [0, 1, 63, 64, 255, 256, 399];
    for t in rows {
        (0..m).for_each(|i| x[i * k + t] = T::ZERO);
    }
    let bad = [f64::INFINITY, f64::NAN, f64::NEG_INFINITY].map(T::from_f64);
    for (&t, bad) in rows.iter().zip(bad.into_iter().cycle()) {
        for column in (0..n).step_by(3).chain([n - 1]) {
            let mut y = mild::<T>(2, k * n);
            y[t * n + column] = bad;
            let (a, b) = (MatRef::new(&x, m, k), MatRef::new(&y, k, n));
            let expected = oracle::product(a, b);
            assert!((0..m).all(|i| expected[i * n + column].to_f64().is_nan()));
            for isa in Isa::available() {
                let scratch = Scratch::alone();
                let team = Team { isa, crew: &Alone, scratch: &scratch };
                let packed = Packed::new(&team, b).unwrap();
                for packed in [None, Some(&packed)] {
                    let mut c = vec![T::from_f64(7.0); m * n];
                    let to = &mut MatMut::new(&mut c, m, n);
                    let blocks = taken(|| {
                        team.product_with(a, b, packed, to, &|_, _, _| 0);
                    });
                    assert_eq!(blocks, 2);
                    assert_bits(&c, &expected, isa.name());
                }
            }
        }
    }
}

#[test]
fn a_zero_counts_beside_what_is_not_finite() {
    by_either_cache(|_| {
        check_not_finite::<f32>();
        check_not_finite::<f64>();
    });
}

simd_kernel! {
    fn is_worth_it<T, S>(a: MatRef<'_, T>, columns: usize, ready: bool) -> bool {
        // SAFETY: `simd_kernel` has compiled this for S.
        unsafe { pays::<S>(a, columns, ready) }
    }
}

#[test]
fn what_has_few_zeros_or_is_small_is_taken_as_it_is() {
    let (m, k) = (128, 150);
    let [some, many] = [6, 9].map(|zeros| dim::<f32>(mild, m * k, zeros));
    for isa in Isa::available() {
        let few = LEAST.0 * lanes(isa) - 1;
        for (a, columns, expected) in
            [(&many, few + 1, true), (&some, 200, false), (&many, few, false)]
        {
            for a in [MatRef::new(a, m, k), MatRef::new(a, k, m).transposed()] {
                assert_eq!(is_worth_it(isa, a, columns, false), expected);
            }
        }
        let a = MatRef::new(&many, m, k);
        assert!(is_worth_it(isa, a.columns_from(0, LEAST.1), 200, false));
        assert!(!is_worth_it(isa, a.columns_from(0, LEAST.1 - 1), 200, false));
        assert!(is_worth_it(isa, a.rows_from(0, LEAST_ROWS), 200, false));
        assert!(!is_worth_it(isa, a.rows_from(0, LEAST_ROWS - 1), 200, false));
        assert!(is_worth_it(isa, a.rows_from(0, 1), 200, true));
        assert!(!is_worth_it(isa, MatRef::with_strides(&many, 64, 64, 2 * k, 2), 200, false));
    }
}

simd_kernel! {
    fn widths<T, S>(of: &[T]) -> Vec<usize> {
        let mut left = of.len();
        std::iter::from_fn(|| {
            let width = if left == 0 { 0 } else { together::<S>(left) };
            left -= width;
            (width > 0).then_some(width / S::LANES + usize::from(width % S::LANES > 0))
        })
        .collect()
    }
}

#[test]
fn panels_are_met_in_turns_of_like_width() {
    by_either_cache(|roomy| {
        for isa in Isa::available() {
            // Of as many bytes as stay in the first cache, and of as many registers as there are.
            let bytes = if roomy { WIDTH } else { NARROW };
            let widest = (bytes / size_of::<f32>() / lanes(isa)).min(12);
            for registers in LEAST.0..60 {
                for last in [1, lanes(isa)] {
                    let turns = widths(isa, &vec![0.0_f32; (registers - 1) * lanes(isa) + last]);
                    check_turns(&turns, registers, widest);
                }
            }
        }
    });
}

/// Turns of so many registers each take all, and are as many and as alike as they can be.
fn check_turns(turns: &[usize], registers: usize, widest: usize) {
    assert_eq!(turns.iter().sum::<usize>(), registers);
    let whole: Vec<_> =
        turns.iter().filter(|&&turn| turn > 1).map(|turn| turn.div_ceil(2)).collect();
    let (least, most) = (whole.iter().min().unwrap(), whole.iter().max().unwrap());
    assert!(*least >= 2 && most - least <= 1, "{turns:?}");
    assert!(turns[..turns.len() - 1].iter().all(|turn| turn % 2 == 0), "{turns:?}");
    assert_eq!(whole.len(), (registers / 2).div_ceil(widest / 2), "{turns:?}");
}
