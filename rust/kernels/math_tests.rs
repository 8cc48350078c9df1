//! Tests of `math.rs`, apart because they are long.

// Reason: tables of name and functions, each used once, read best with their types spelt out.
#![allow(clippy::type_complexity)]

use std::sync::Mutex;

use super::Elementary;
use crate::kernels::testing::bits;
use crate::kernels::{Isa, Real};

type Function = fn(f32) -> f32;
type Kernel = fn(Isa, &[f32], &mut [f32]);
type Judge = fn(f64) -> f64;

/// Name, ours, and a judge that float64 makes far more exact than a float32 can show.
const FUNCTIONS: [(&str, Function, Judge); 5] = [
    ("exp", Elementary::exp, f64::exp),
    ("sigmoid", Elementary::sigmoid, sigmoid_judge),
    ("tanh", Elementary::tanh, f64::tanh),
    ("log", Elementary::log, f64::ln),
    ("log1p", Elementary::log1p, f64::ln_1p),
];

/// Name, of whole slices, and of one element.
const CURVES: [(&str, Kernel, Function); 2] =
    [("sigmoid", super::sigmoid, Elementary::sigmoid), ("tanh", super::tanh, Elementary::tanh)];

fn sigmoid_judge(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}

/// The distance of `got` from `true_value` in units of the last place of a float32 there.
#[allow(clippy::cast_possible_truncation)]
fn ulps(got: f32, true_value: f64) -> f64 {
    if true_value.is_nan() || got.is_nan() {
        return if true_value.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if true_value.is_infinite() {
        return if f64::from(got).to_bits() == true_value.to_bits() { 0.0 } else { f64::INFINITY };
    }
    // An infinite result stands for the next number after the largest, as in rounding.
    let limit = 2.0_f64.powi(128);
    let value = f64::from(got).clamp(-limit, limit);
    let true_value = true_value.clamp(-limit, limit);
    let exponent = ((true_value.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    (value - true_value).abs() / 2.0_f64.powi(exponent.clamp(-126, 127) - 23)
}

/// Raises `worst[i]` to the error of function i at the float32 of these bits.
fn look(bits: u32, worst: &mut [(f64, f32); 5]) {
    let x = f32::from_bits(bits);
    for ((name, function, judge), worst) in FUNCTIONS.iter().zip(worst) {
        if *name == "log1p" && !(0.0..=1.0).contains(&x) {
            continue;
        }
        let error = ulps(function(x), judge(f64::from(x)));
        if error > worst.0 {
            *worst = (error, x);
        }
    }
}

/// Prints and bounds the largest errors.
fn conclude(worst: &[(f64, f32); 5]) {
    for ((name, _, _), (error, x)) in FUNCTIONS.iter().zip(worst) {
        println!("{name}: {error:.4} ulp at {x:e} ({:#010x})", x.to_bits());
        // The rule allows 1.5; what is achieved shall not be lost unseen.
        assert!(*error <= 1.0, "{name} has an error of {error} ulp at {x:e}");
    }
}

#[test]
fn float32_sampled() {
    let mut worst = [(0.0, 0.0); 5];
    for bits in (0..=u32::MAX).step_by(9973) {
        look(bits, &mut worst);
    }
    // Where a selection, the rounding to n, an overflow or an underflow changes sides.
    let thresholds = [
        0.0,
        f32::MIN_POSITIVE,
        1e-7,
        3e-4,
        0.173_286_8,
        0.346_573_6,
        0.549,
        std::f32::consts::FRAC_1_SQRT_2,
        1.0,
        1.039_720_8,
        std::f32::consts::SQRT_2,
        2.0,
        8.317_766,
        9.010_913,
        16.635_532,
        18.021_826,
        20.0,
        87.336_55,
        88.722_84,
        88.73,
        89.0,
        100.0,
        103.278_93,
        103.972_08,
        104.0,
        105.0,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
    ];
    for threshold in thresholds {
        for sign in [0, 1 << 31] {
            for distance in 0..2000_u32 {
                let bits = threshold.to_bits() | sign;
                look(bits.wrapping_add(distance), &mut worst);
                look(bits.wrapping_sub(distance), &mut worst);
            }
        }
    }
    conclude(&worst);
}

#[test]
#[ignore = "four billion values, run by make long"]
fn float32_all() {
    let total = Mutex::new([(0.0, 0.0); 5]);
    std::thread::scope(|scope| {
        for half in [0_u32, 1 << 31] {
            let total = &total;
            scope.spawn(move || {
                let mut worst = [(0.0, 0.0); 5];
                for bits in half..=half + (u32::MAX >> 1) {
                    look(bits, &mut worst);
                }
                let mut total = total.lock().unwrap();
                for (total, worst) in total.iter_mut().zip(worst) {
                    if worst.0 > total.0 {
                        *total = worst;
                    }
                }
            });
        }
    });
    conclude(&total.into_inner().unwrap());
}

#[test]
fn float32_special_values() {
    // Reason: these results are exact by contract.
    #![allow(clippy::float_cmp)]
    let [exp, sigmoid, tanh, log, log1p] = FUNCTIONS.map(|(_, function, _)| function);
    assert_eq!(exp(88.73), f32::INFINITY);
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    assert_eq!((exp(0.0), exp(-0.0)), (1.0, 1.0));
    assert_eq!(sigmoid(-100.0), 3.8e-44);
    assert_eq!((sigmoid(-1e4), sigmoid(0.0), sigmoid(1e4)), (0.0, 0.5, 1.0));
    assert_eq!((tanh(-1e4), tanh(1e4), tanh(f32::INFINITY)), (-1.0, 1.0, 1.0));
    assert_eq!(tanh(-0.0).to_bits(), (-0.0_f32).to_bits());
    assert_eq!((log(0.0), log(-0.0)), (f32::NEG_INFINITY, f32::NEG_INFINITY));
    assert_eq!((log(1.0).to_bits(), log(f32::INFINITY)), (0, f32::INFINITY));
    assert!(log(-f32::MIN_POSITIVE).is_nan() && log(f32::NEG_INFINITY).is_nan());
    assert_eq!((log1p(0.0).to_bits(), log1p(f32::from_bits(1)).to_bits()), (0, 1));
    for function in [exp, sigmoid, tanh, log, log1p] {
        assert!(function(f32::NAN).is_nan() && function(-f32::NAN).is_nan());
    }
}

#[test]
fn float64_special_values() {
    // Reason: these results are exact by contract.
    #![allow(clippy::float_cmp)]
    let [exp, sigmoid, tanh, log, log1p]: [fn(f64) -> f64; 5] = [
        Elementary::exp,
        Elementary::sigmoid,
        Elementary::tanh,
        Elementary::log,
        Elementary::log1p,
    ];
    assert_eq!((exp(709.79), exp(f64::INFINITY)), (f64::INFINITY, f64::INFINITY));
    assert_eq!((exp(f64::NEG_INFINITY), exp(0.0), exp(-0.0)), (0.0, 1.0, 1.0));
    assert_eq!((sigmoid(-1e4), sigmoid(0.0), sigmoid(1e4)), (0.0, 0.5, 1.0));
    assert_eq!((tanh(f64::NEG_INFINITY), tanh(1e4)), (-1.0, 1.0));
    assert_eq!(tanh(-0.0).to_bits(), (-0.0_f64).to_bits());
    assert_eq!((log(0.0), log(f64::INFINITY)), (f64::NEG_INFINITY, f64::INFINITY));
    assert!(log(-1.0).is_nan() && log(f64::NEG_INFINITY).is_nan());
    assert_eq!(log1p(0.0).to_bits(), 0);
    for function in [exp, sigmoid, tanh, log, log1p] {
        assert!(function(f64::NAN).is_nan() && function(-f64::NAN).is_nan());
    }
}

#[test]
fn float64_golden() {
    let cases: [(&str, &str, fn(f64) -> f64); 5] = [
        ("exp", include_str!("../../tests/golden/math_exp.txt"), Elementary::exp),
        ("sigmoid", include_str!("../../tests/golden/math_sigmoid.txt"), Elementary::sigmoid),
        ("tanh", include_str!("../../tests/golden/math_tanh.txt"), Elementary::tanh),
        ("log", include_str!("../../tests/golden/math_log.txt"), Elementary::log),
        ("log1p", include_str!("../../tests/golden/math_log1p.txt"), Elementary::log1p),
    ];
    for (name, lines, function) in cases {
        let mut worst = (0.0, 0.0);
        for line in lines.lines() {
            let mut words = line.split(' ');
            let mut bits =
                || f64::from_bits(u64::from_str_radix(words.next().unwrap(), 16).unwrap());
            let (x, want) = (bits(), bits());
            let tail: f64 = words.next().unwrap().parse().unwrap();
            let got = function(x);
            if want.is_infinite() || got.is_infinite() {
                assert_eq!(got.to_bits(), want.to_bits(), "{name}({x:e})");
                continue;
            }
            let unit = f64::from_bits(want.abs().to_bits() + 1) - want.abs();
            let error = ((got - want) / unit - tail).abs();
            if error > worst.0 || error.is_nan() {
                worst = (error, x);
            }
        }
        println!("{name}: {:.4} ulp at {:e} of {} values", worst.0, worst.1, lines.lines().count());
        assert!(worst.0 <= 2.0, "{name} has an error of {} ulp at {:e}", worst.0, worst.1);
    }
}

/// The emulator in Python, which has no fused multiply-add, finds the same bits.
#[test]
fn float32_emulated() {
    for line in include_str!("../../tests/golden/math_float32.txt").lines() {
        let (first, digests) = line.split_once(' ').unwrap();
        let first = u32::from_str_radix(first, 16).unwrap();
        for ((name, function, _), want) in FUNCTIONS.iter().zip(digests.split(' ')) {
            let mut digest = 0_u64;
            for i in 0..1024 {
                let x = f32::from_bits(first + i * 4099);
                let outside = *name == "log1p" && !(0.0..=1.0).contains(&x);
                let result = function(if outside { 0.0 } else { x }) + 0.0;
                let bits = if result.is_nan() { f32::NAN } else { result }.to_bits();
                digest = digest.wrapping_add(u64::from(i + 1) * u64::from(bits));
            }
            assert_eq!(format!("{digest:016x}"), want, "{name}, from {first:#010x}");
        }
    }
}

/// Each instruction set, at each length of tail, against the scalar function.
fn slices<T: Real>() {
    let kernels: [(&str, fn(Isa, &[T], &mut [T]), fn(T) -> T); 3] = [
        ("exp", super::exp, T::exp),
        ("sigmoid", super::sigmoid, T::sigmoid),
        ("tanh", super::tanh, T::tanh),
    ];
    // Both signs, subnormal to saturated, and the order of magnitude changes from lane to lane.
    let mut z: Vec<T> = (0..4000_i32)
        .map(|i| {
            let magnitude = 2.0_f64.powf(f64::from(i * 37 % 401) / 20.0 - 10.0);
            T::from_f64(if i % 3 == 0 { magnitude } else { -magnitude })
        })
        .collect();
    // What selections and bounds let through, or not.
    let bounds = [20.0, 40.0, 105.0, 746.0, 1e300, f64::INFINITY, f64::NAN];
    let special = [0.0, 5e-324, 1e-310, 1e-45, 1e-40].into_iter().chain(bounds);
    for (i, x) in special.flat_map(|x| [x, -x]).enumerate() {
        z[3 * i] = T::from_f64(x);
    }
    for isa in Isa::available() {
        for (name, kernel, function) in kernels {
            for length in (0..=40).chain([4000]) {
                for start in [0, 1, 5] {
                    let z = &z[start.min(4000 - length)..][..length];
                    let mut a = vec![-T::ONE; length];
                    kernel(isa, z, &mut a);
                    for (&z, &a) in z.iter().zip(&a) {
                        assert_eq!(bits(a), bits(function(z)), "{name}({z:?}) by {}", isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn slices_give_the_bits_of_the_scalar() {
    slices::<f32>();
    slices::<f64>();
}

/// Four billion values go through registers, four at a time and one, as through the scalar function.
#[test]
#[ignore = "four billion values, run by make long"]
fn float32_registers_all() {
    const CHUNK: usize = 1 << 16;
    let sweep = |half: u32| {
        let (mut z, mut want, mut a) = (vec![0.0; CHUNK], vec![0.0; CHUNK], vec![0.0; CHUNK]);
        for first in (half..=half + (u32::MAX >> 1)).step_by(CHUNK) {
            let chunk = first..=first + 0xffff;
            z.iter_mut().zip(chunk).for_each(|(z, bits)| *z = f32::from_bits(bits));
            for (name, kernel, function) in CURVES {
                want.iter_mut().zip(&z).for_each(|(want, &z)| *want = function(z));
                // What every processor has calls the scalar function.
                for isa in Isa::available().into_iter().skip(1) {
                    let (four, one) = a.split_at_mut(CHUNK - 9);
                    kernel(isa, &z[..CHUNK - 9], four);
                    kernel(isa, &z[CHUNK - 9..], one);
                    for ((&z, &a), &want) in z.iter().zip(&a).zip(&want) {
                        let same = a.to_bits() == want.to_bits() || a.is_nan() && want.is_nan();
                        assert!(same, "{name}({z:e}) by {}: {a:e}, not {want:e}", isa.name());
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for half in [0, 1 << 31] {
            scope.spawn(move || sweep(half));
        }
    });
}
