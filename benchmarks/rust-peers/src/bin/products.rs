//! Products alone: chainrule's kernels, faer and `gemm`, the shapes that networks need.
//!
//!     products REPEATS < shapes        one shape a line: m k n
//!
//! Prints as JSON lines, for each repeat, its seconds and the machine's GFLOP/s before and after it.
//! C = A B, all row by row, float32; A, B and C are the same arrays each time, as small ones would be
//! warm in training.

use std::hint::black_box;
use std::io::stdin;
use std::time::Instant;

use chainrule::kernels::Isa;
use chainrule::kernels::gemm::{Scratch, Team};
use chainrule::matrix::{MatMut, MatRef};
use chainrule::pool;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut as FaerMut, MatRef as FaerRef, Par};
use serde_json::json;

use fma::Form;

#[path = "../fma.rs"]
mod fma;

/// The machine's peak by one instruction set and so many threads, and how often all is repeated.
struct Gauge<'a> {
    form: Option<&'a Form>, // none is known for the processor
    threads: usize,
    repeats: usize,
}

impl Gauge<'_> {
    fn rate(&self) -> f64 {
        self.form.map_or(f64::NAN, |form| fma::rate(form, self.threads, 3))
    }

    /// Seconds of a product, with the peak before and after, in each repeat.
    fn beside(&self, inner: usize, mut product: impl FnMut()) -> Vec<[f64; 3]> {
        let mut before = self.rate();
        let mut samples = Vec::new();
        for _ in 0..self.repeats {
            product(); // threads wake, and what the peak's put into caches is gone
            let began = Instant::now();
            for _ in 0..inner {
                product();
            }
            let seconds = began.elapsed().as_secs_f64() / inner as f64;
            let after = self.rate();
            samples.push([seconds, before, after]);
            before = after;
        }
        samples
    }
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
    /// Short ones in such numbers that a clock can tell.
    inner: usize,
}

impl Product {
    fn new(line: &str) -> Self {
        let numbers = line.split_whitespace().map(|n| n.parse().expect("numbers"));
        let &[m, k, n] = &numbers.collect::<Vec<usize>>()[..] else {
            panic!("three numbers a line: m k n; got {line}")
        };
        let of = |len, period| {
            (0..len).map(|i| (i % period) as f32 / period as f32 - 0.5).collect::<Vec<f32>>()
        };
        let inner = (20_000_000 / (m * k * n)).max(1);
        Self { shape: (m, k, n), a: of(m * k, 17), b: of(k * n, 19), c: vec![0.0; m * n], inner }
    }

    fn chainrule(&mut self, isa: Isa, gauge: &Gauge) {
        let (m, k, n) = self.shape;
        let scratch = Scratch::new();
        scratch.prepare(gauge.threads).expect("memory");
        let (samples, _) = pool::with(gauge.threads, |crew| {
            let team = Team { isa, crew, scratch: &scratch };
            gauge.beside(self.inner, || {
                let (a, b) = (MatRef::new(&self.a, m, k), MatRef::new(&self.b, k, n));
                team.product(a, b, &mut MatMut::new(&mut self.c, m, n), &|_, _, _| 0);
                black_box(&self.c);
            })
        });
        show(&format!("chainrule {}", isa.name()), gauge.threads, self.shape, &samples);
    }

    fn faer(&mut self, gauge: &Gauge) {
        let (m, k, n) = self.shape;
        let par = if gauge.threads == 1 { Par::Seq } else { Par::rayon(gauge.threads) };
        let samples = gauge.beside(self.inner, || {
            matmul(
                FaerMut::from_row_major_slice_mut(&mut self.c, m, n),
                Accum::Replace,
                FaerRef::from_row_major_slice(&self.a, m, k),
                FaerRef::from_row_major_slice(&self.b, k, n),
                1.0,
                par,
            );
            black_box(&self.c);
        });
        show(concat!("faer ", env!("FAER")), gauge.threads, self.shape, &samples);
    }

    #[rustfmt::skip] // an array a line
    fn gemm(&mut self, gauge: &Gauge) {
        use ::gemm::Parallelism::{None, Rayon};
        let (m, k, n) = self.shape;
        let par = if gauge.threads == 1 { None } else { Rayon(gauge.threads) };
        let samples = gauge.beside(self.inner, || {
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
        });
        show(concat!("gemm ", env!("GEMM")), gauge.threads, self.shape, &samples);
    }
}

fn main() {
    let repeats = std::env::args().nth(1).map_or(20, |n| n.parse().expect("a number of repeats"));
    let mut forms = fma::forms();
    forms.retain(|form| form.dtype == "float32");
    // Others take the widest registers that there are.
    let gauge = |form, threads| Gauge { form, threads, repeats };
    for line in stdin().lines() {
        let mut product = Product::new(&line.expect("lines of text"));
        for (isa, threads) in kinds() {
            let form = forms.iter().find(|form| form.isa == isa.name());
            product.chainrule(isa, &gauge(form, threads));
        }
        for threads in [1, 2] {
            product.faer(&gauge(forms.last(), threads));
        }
        for threads in [1, 2] {
            product.gemm(&gauge(forms.last(), threads));
        }
    }
}
