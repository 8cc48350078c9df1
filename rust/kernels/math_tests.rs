//! Tests of `math.rs`, apart because they are long.

use std::sync::Mutex;

use super::Elementary;

type Function = fn(f32) -> f32;
type Judge = fn(f64) -> f64;

/// Name, ours, and a judge that float64 makes far more exact than a float32 can show.
const FUNCTIONS: [(&str, Function, Judge); 5] = [
    ("exp", Elementary::exp, f64::exp),
    ("sigmoid", Elementary::sigmoid, sigmoid_judge),
    ("tanh", Elementary::tanh, f64::tanh),
    ("log", Elementary::log, f64::ln),
    ("log1p", Elementary::log1p, f64::ln_1p),
];

fn sigmoid_judge(z: f64) -> f64 {
    let e = (-z.abs()).exp();
    if z < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// The distance of `got` from `true_value` in units of the last place of a float32 there.
#[allow(clippy::cast_possible_truncation)]
fn ulps(got: f32, true_value: f64) -> f64 {
    if true_value.is_nan() || got.is_nan() {
        return if true_value.is_nan() && got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if true_value.is_infinite() {
        return if f64::from(got) == true_value {
            0.0
        } else {
            f64::INFINITY
        };
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
        assert!(*error <= 1.5, "{name} has an error of {error} ulp at {x:e}");
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
        0.707_106_77,
        1.0,
        1.039_720_8,
        1.414_213_5,
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
