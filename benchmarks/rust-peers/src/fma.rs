//! Fused multiply-adds at the rate of the machine: measured, not computed.
//!
//! Many independent chains in registers and nothing else, for each instruction set of x86-64. A burst
//! is some tenths of a millisecond, so that it tells what the machine gives at the moment.

use std::array::from_fn;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// In the best of so many bursts the rate of the moment is seen, also where a thread starts late, or a processor
/// that has rested takes some milliseconds to come to its clock.
pub const AT_THE_MOMENT: usize = 12;

const STEPS: usize = 1 << 17;

/// Defines a function that runs so many chains STEPS times round.
#[cfg(target_arch = "x86_64")]
macro_rules! chains {
    ($name:ident, $features:literal, $chains:literal, $fill:ident, $fma:ident, $real:ty) => {
        #[target_feature(enable = $features)]
        fn $name() {
            let (x, y) = ($fill(black_box(0.999)), $fill(black_box(0.001)));
            let mut sums: [_; $chains] = from_fn(|i| $fill(i as $real));
            for _ in 0..STEPS {
                for sum in &mut sums {
                    *sum = $fma(*sum, x, y);
                }
            }
            black_box(sums);
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
#[cfg(target_arch = "x86_64")]
chains!(avx512_f32, "avx512f", 12, _mm512_set1_ps, _mm512_fmadd_ps, f32);
#[cfg(target_arch = "x86_64")]
chains!(avx512_f64, "avx512f", 12, _mm512_set1_pd, _mm512_fmadd_pd, f64);
#[cfg(target_arch = "x86_64")]
chains!(avx2_f32, "avx2,fma", 12, _mm256_set1_ps, _mm256_fmadd_ps, f32);
#[cfg(target_arch = "x86_64")]
chains!(avx2_f64, "avx2,fma", 12, _mm256_set1_pd, _mm256_fmadd_pd, f64);

pub struct Form {
    pub isa: &'static str,
    pub dtype: &'static str,
    flops: usize,
    run: fn(),
}

#[cfg(target_arch = "x86_64")]
pub fn forms() -> Vec<Form> {
    use std::arch::is_x86_feature_detected;
    let mut forms = Vec::new();
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features.
        let (single, double) = (|| unsafe { avx2_f32() }, || unsafe { avx2_f64() });
        forms.push(Form { isa: "avx2", dtype: "float32", flops: 2 * 8 * 12, run: single });
        forms.push(Form { isa: "avx2", dtype: "float64", flops: 2 * 4 * 12, run: double });
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the feature.
        let (single, double) = (|| unsafe { avx512_f32() }, || unsafe { avx512_f64() });
        forms.push(Form { isa: "avx512", dtype: "float32", flops: 2 * 16 * 12, run: single });
        forms.push(Form { isa: "avx512", dtype: "float64", flops: 2 * 8 * 12, run: double });
    }
    forms
}

/// Of other processors no peak is known.
#[cfg(not(target_arch = "x86_64"))]
pub fn forms() -> Vec<Form> {
    Vec::new()
}

/// GFLOP/s of all threads together, from the first one's start to the last one's end, in the best of
/// so many bursts.
pub fn rate(form: &Form, threads: usize, bursts: usize) -> f64 {
    let arrived = AtomicUsize::new(0);
    let run = || {
        let timed = (1..=bursts).map(|burst| {
            arrived.fetch_add(1, Ordering::AcqRel);
            while arrived.load(Ordering::Acquire) < threads * burst {
                std::hint::spin_loop(); // a thread that sleeps here would be late
            }
            let began = Instant::now();
            (form.run)();
            (began, Instant::now())
        });
        timed.collect::<Vec<_>>()
    };
    let times: Vec<Vec<(Instant, Instant)>> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mine = run();
        others.into_iter().map(|other| other.join().expect("no panic")).chain([mine]).collect()
    });
    let seconds = |burst: usize| {
        let first = times.iter().map(|thread| thread[burst].0).min().expect("a thread");
        let last = times.iter().map(|thread| thread[burst].1).max().expect("a thread");
        (last - first).as_secs_f64()
    };
    let best = (0..bursts).map(seconds).fold(f64::INFINITY, f64::min);
    (threads * STEPS * form.flops) as f64 / best / 1e9
}
