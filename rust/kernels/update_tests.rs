//! The steps judged by the oracle, bit for bit.

use super::{descend, descend_with_momentum};
use crate::kernels::testing::{assert_bits, extreme, mild};
use crate::kernels::{Isa, Real, oracle};

fn check<T: Real>(draw: fn(u64, usize) -> Vec<T>, n: usize, momentum: f64, l2: f64) {
    let (rate, momentum, l2) = (T::from_f64(0.3), T::from_f64(momentum), T::from_f64(l2));
    let (w, v, g) = (draw(1, n), draw(2, n), draw(3, n));
    let expected = (0..n).map(|i| oracle::descend(w[i], v[i], g[i], rate, momentum, l2));
    let (expected, velocity): (Vec<T>, Vec<T>) = expected.unzip();
    let expected_finite = expected.iter().all(|w| w.is_finite());
    for isa in Isa::available() {
        let what = format!("{} {n} momentum {momentum:?} l2 {l2:?}", isa.name());
        let mut found = w.clone();
        let finite = if momentum == T::ZERO {
            descend(isa, &mut found, &g, rate, l2)
        } else {
            let mut v = v.clone();
            let finite = descend_with_momentum(isa, &mut found, &mut v, &g, rate, momentum, l2);
            assert_bits(&v, &velocity, &what);
            finite
        };
        assert_bits(&found, &expected, &what);
        assert_eq!(finite, expected_finite, "{what}");
    }
}

#[test]
fn steps_of_every_length() {
    for n in (0..=40).chain([255, 256, 257]) {
        for (momentum, l2) in [(0.0, 0.0), (0.0, 0.01), (0.9, 0.0), (0.9, 0.01)] {
            check::<f32>(mild, n, momentum, l2);
            check::<f32>(extreme, n, momentum, l2);
            check::<f64>(mild, n, momentum, l2);
            check::<f64>(extreme, n, momentum, l2);
        }
    }
}

#[test]
fn a_parameter_that_overflows_is_told_wherever_it_stands() {
    for isa in Isa::available() {
        for n in 1..=40 {
            for i in 0..n {
                let mut g = vec![0.0_f32; n];
                for bad in [f32::MAX, f32::NAN, f32::NEG_INFINITY] {
                    g[i] = bad;
                    let mut w = vec![f32::MIN; n];
                    assert!(!descend(isa, &mut w, &g, 0.5, 0.0), "{} {i} of {n}", isa.name());
                    let (mut w, mut v) = (vec![f32::MIN; n], vec![0.0; n]);
                    let finite = descend_with_momentum(isa, &mut w, &mut v, &g, 0.5, 0.5, 0.0);
                    assert!(!finite, "{} {i} of {n}", isa.name());
                }
            }
        }
    }
}

#[test]
fn a_rate_of_zero_keeps_every_bit() {
    for isa in Isa::available() {
        let before = extreme::<f32>(4, 100);
        let mut w = before.clone();
        descend(isa, &mut w, &mild(5, 100), 0.0, 0.1);
        for (w, before) in w.iter().zip(&before) {
            assert!(w.to_bits() == before.to_bits() || (*w == 0.0 && *before == 0.0));
        }
    }
}
