//! Products alone: chainrule's kernels, faer and `gemm`, the shapes that networks need.
//!
//!     products REPEATS < shapes        one shape a line: m k n
//!
//! Prints as JSON lines, for each repeat, its seconds and the machine's GFLOP/s before and after it.
//! C = A B, all row by row, float32; A, B and C are the same arrays each time, as small ones would be
//! warm in training.

use std::hint::black_box;
use std::io::stdin;
use std::thread;
use std::time::{Duration, Instant};

use chainrule::kernels::Isa;
use chainrule::kernels::gemm::{Scratch, Team};
use chainrule::kernels::memory::zeros;
use chainrule::matrix::{MatMut, MatRef};
use chainrule::pool;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut as FaerMut, MatRef as FaerRef, Par};
use serde_json::json;

use fma::Form;

#[path = "../fma.rs"]
mod fma;

/// Threads that wait for work have come to rest after so long: else they would share cores with the
/// bursts of the peak.
const REST: Duration = Duration::from_millis(5);

/// A sample takes so many multiply-adds, some tens of milliseconds.
const SAMPLE: usize = 1_000_000_000;

/// Beside which peak a product is measured, and how often.
struct Beside<'a> {
    form: &'a Form,
    threads: usize,
    samples: usize,
}

impl Beside<'_> {
    fn peak(&self) -> f64 {
        thread::sleep(REST);
        fma::rate(self.form, self.threads, fma::AT_THE_MOMENT)
    }

    /// Seconds that `time` tells of, with the peak before and after.
    fn samples(&self, mut time: impl FnMut() -> f64) -> Vec<[f64; 3]> {
        let mut before = self.peak();
        let mut samples = Vec::new();
        for _ in 0..self.samples {
            let seconds = time();
            let after = self.peak();
            samples.push([seconds, before, after]);
            before = after;
        }
        samples
    }
}

/// Seconds of one of so many products.
fn time(times: usize, mut product: impl FnMut()) -> f64 {
    product(); // threads wake, and what the peak has put into caches is gone
    let began = Instant::now();
    for _ in 0..times {
        product();
    }
    began.elapsed().as_secs_f64() / times as f64
}

fn show(library: &str, threads: usize, (m, k, n): (usize, usize, usize), samples: &[[f64; 3]]) {
    let line = json!({
        "library": library, "threads": threads, "m": m, "k": k, "n": n, "samples": samples,
    });
    println!("{line}");
}

/// Our instruction sets, by one thread and by two; without plain lanes, whose multiply-adds are calls
/// of libm.
fn kinds() -> impl Iterator<Item = (Isa, usize)> {
    let vectors = Isa::available().into_iter().filter(|&isa| isa != Isa::portable());
    vectors.flat_map(|isa| [(isa, 1), (isa, 2)])
}

/// One product of one shape, by each library that is asked.
struct Product {
    shape: (usize, usize, usize),
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    /// How many make a sample.
    times: usize,
}

impl Product {
    fn new(line: &str) -> Self {
        let numbers = line.split_whitespace().map(|n| n.parse().expect("numbers"));
        let &[m, k, n] = &numbers.collect::<Vec<usize>>()[..] else {
            panic!("three numbers a line: m k n; got {line}")
        };
        // On huge pages where they are long, as networks' vectors are, and NumPy's arrays.
        let of = |len, period| {
            let mut all = zeros(len).expect("memory");
            for (i, x) in all.iter_mut().enumerate() {
                *x = (i % period) as f32 / period as f32 - 0.5;
            }
            all
        };
        let times = (SAMPLE / (m * k * n)).max(1);
        Self {
            shape: (m, k, n),
            a: of(m * k, 17),
            b: of(k * n, 19),
            c: zeros(m * n).expect("memory"),
            times,
        }
    }

    fn chainrule(&mut self, isa: Isa, beside: &Beside) {
        let ((m, k, n), times) = (self.shape, self.times);
        let scratch = Scratch::new();
        scratch.prepare(beside.threads).expect("memory");
        let samples = beside.samples(|| {
            // The crew goes after each sample, so that its workers sleep.
            let (seconds, _) = pool::with(beside.threads, |crew| {
                let team = Team { isa, crew, scratch: &scratch };
                time(times, || {
                    let (a, b) = (MatRef::new(&self.a, m, k), MatRef::new(&self.b, k, n));
                    team.product(a, b, &mut MatMut::new(&mut self.c, m, n), &|_, _, _| 0);
                    black_box(&self.c);
                })
            });
            seconds
        });
        show(&format!("chainrule {}", isa.name()), beside.threads, self.shape, &samples);
    }

    fn faer(&mut self, beside: &Beside) {
        let ((m, k, n), times) = (self.shape, self.times);
        let par = if beside.threads == 1 { Par::Seq } else { Par::rayon(beside.threads) };
        let samples = beside.samples(|| {
            time(times, || {
                matmul(
                    FaerMut::from_row_major_slice_mut(&mut self.c, m, n),
                    Accum::Replace,
                    FaerRef::from_row_major_slice(&self.a, m, k),
                    FaerRef::from_row_major_slice(&self.b, k, n),
                    1.0,
                    par,
                );
                black_box(&self.c);
            })
        });
        show(concat!("faer ", env!("FAER")), beside.threads, self.shape, &samples);
    }

    #[rustfmt::skip] // an array a line
    fn gemm(&mut self, beside: &Beside) {
        use ::gemm::Parallelism::{None, Rayon};
        let ((m, k, n), times) = (self.shape, self.times);
        let par = if beside.threads == 1 { None } else { Rayon(beside.threads) };
        let samples = beside.samples(|| {
            time(times, || {
                // SAFETY: pointers and strides are those of the three arrays.
                unsafe {
                    ::gemm::gemm(
                        m, n, k,
                        self.c.as_mut_ptr(), 1, n as isize, false,
                        self.a.as_ptr(), 1, k as isize,
                        self.b.as_ptr(), 1, n as isize,
                        0.0, 1.0, false, false, false, par,
                    );
                }
                black_box(&self.c);
            })
        });
        show(concat!("gemm ", env!("GEMM")), beside.threads, self.shape, &samples);
    }
}

fn main() {
    let samples = std::env::args().nth(1).map_or(10, |n| n.parse().expect("a number of samples"));
    let mut forms = fma::forms();
    forms.retain(|form| form.dtype == "float32");
    let widest = forms.last().expect("x86-64 with AVX2: of others no peak is known");
    for line in stdin().lines() {
        let mut product = Product::new(&line.expect("lines of text"));
        for (isa, threads) in kinds() {
            let form = forms.iter().find(|form| form.isa == isa.name()).expect("its peak");
            product.chainrule(isa, &Beside { form, threads, samples });
        }
        for threads in [1, 2] {
            product.faer(&Beside { form: widest, threads, samples });
        }
        for threads in [1, 2] {
            product.gemm(&Beside { form: widest, threads, samples });
        }
    }
}
