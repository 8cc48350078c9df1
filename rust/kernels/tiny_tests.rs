//! Steps by small numbers, judged by the oracle, bit for bit.

use super::{any_small, largest_small, step};
use crate::kernels::lines::{LINE, Line, flat};
use crate::kernels::rows::Descent;
use crate::kernels::testing::{MET_TINY, any_of, assert_bits, extreme, in_lines, mild, work};
use crate::kernels::{Isa, Real, oracle};
use crate::matrix::MatRef;

work! {
    Step<'a, T> { x: &'a [T], r: &'a [Line<T>], w: &'a mut [Line<T>], by: Descent<T> }
    step, ()
}
work! { AnySmall<'a, T> { lines: &'a [Line<T>] } any_small, bool }

fn check<T: Real>(x: &[T], r: &[T], w: &[T], rate: T, what: &str) {
    let (k, n) = (x.len(), r.len());
    let g = oracle::product(MatRef::new(x, k, 1), MatRef::new(r, 1, n));
    let descend = |(&w, &g)| oracle::descend(w, T::ZERO, g, rate, T::ZERO, T::ZERO).0;
    let expected: Vec<T> = w.iter().zip(&g).map(descend).collect();
    let by = Descent { rate, momentum: T::ZERO, l2: T::ZERO };
    for isa in Isa::available() {
        let mut w = in_lines(w);
        isa.run(Step { x, r: &in_lines(r), w: &mut w, by });
        assert_bits(flat(&w), &expected, &format!("{} {what}, rate {rate:?}", isa.name()));
    }
}

#[test]
fn any_numbers() {
    for (k, lines) in [(0, 1), (1, 1), (16, 1), (30, 1), (10, 2), (7, 5)] {
        for draw in [mild::<f32>, extreme::<f32>] {
            let (x, r, w) = (draw(1, k), draw(2, lines * LINE), draw(3, k * lines * LINE));
            check(&x, &r, &w, 0.3, &format!("{k} {lines}"));
        }
        let (x, r) = (extreme::<f64>(1, k), extreme::<f64>(2, lines * LINE));
        check(&x, &r, &extreme(3, k * lines * LINE), 0.3, &format!("{k} {lines}"));
    }
}

/// Factors around what is small and below it, and weights around what their products move and below it.
fn check_small<T: Real>() {
    let (small, epsilon) = (largest_small::<T>().to_f64(), T::EPSILON.to_f64());
    let least = if T::LANES == 8 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    let signed = |x: f64| [x, -x];
    let near =
        [small * (1.0 - epsilon), small, small * (1.0 + epsilon), small * 1e-3, small * small];
    let ends = [least, 1e4 * least, 0.0, 1.0, 0.7];
    let factors: Vec<f64> = near.into_iter().chain(ends).flat_map(signed).collect();
    // The last but one makes a rate of inf of float32, the last a reach that is subnormal, or 0.
    for rate in [0.0, 0.3, 1e20, 2.0_f64.powi(-60), 1e60, small * small] {
        let reach = rate * 0.5 * epsilon * small;
        let moved = [1.0 / epsilon, 2.0 / epsilon, 0.1, 1.0, 2.0].map(|by| by * reach / epsilon);
        let weights: Vec<f64> =
            [1.0, 3.0, 1e9 * reach].into_iter().chain(moved).chain(ends).flat_map(signed).collect();
        for seed in 0..40 {
            let (k, lines) = (1 + usize::try_from(seed).unwrap() % 20, 1 + usize::from(seed > 30));
            let n = lines * LINE;
            let (x, r) = (any_of(&factors, seed, k), any_of(&factors, seed + 100, n));
            // Of large ones too: these are where nothing moves.
            let weights = if seed % 4 == 0 { &[1.0, -3.0][..] } else { &weights };
            let w = any_of(weights, seed + 200, k * n);
            check::<T>(&x, &r, &w, T::from_f64(rate), &format!("{k} {lines} {seed}"));
        }
    }
}

#[test]
fn small_numbers_move_what_they_can() {
    for check in [check_small::<f32>, check_small::<f64>] {
        MET_TINY.take();
        check();
        MET_TINY.met_both(400 * Isa::available().len());
    }
}

/// What is not finite, as the step that is taken with care may meet.
#[test]
fn what_is_not_finite() {
    fn check_all<T: Real>() {
        let inf = f64::INFINITY;
        let some = [inf, -inf, f64::NAN, 1e-30, -1e-30, 1e-200, 0.0, -0.0, 1.0, 1e-42];
        for seed in 0..50 {
            let (x, r) = (any_of(&some, seed, 9), any_of(&some, seed + 100, 2 * LINE));
            let w = any_of(&[1.0, -1.0, 0.0, -0.0, 1e-42], seed + 200, 9 * 2 * LINE);
            for rate in [0.3, 0.0, inf] {
                check::<T>(&x, &r, &w, T::from_f64(rate), "not finite");
            }
        }
    }
    check_all::<f32>();
    check_all::<f64>();
}

#[test]
fn small_numbers_are_seen() {
    let limit = largest_small::<f32>();
    for isa in Isa::available() {
        for place in [0, 7, 8, LINE, 2 * LINE - 1] {
            for (x, is_small) in [
                (limit * 0.999, true),
                (limit, false),
                (-1e-40, true),
                (f32::NAN, false),
                (2.0 * limit, false),
                (-0.0, false),
                (f32::INFINITY, false),
            ] {
                let mut all = [0.5; 2 * LINE];
                all[place] = x;
                let found = isa.run(AnySmall { lines: &in_lines(&all) });
                assert_eq!(found, is_small, "{} {x} at {place}", isa.name());
            }
        }
    }
}
