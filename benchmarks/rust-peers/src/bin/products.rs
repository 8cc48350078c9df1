//! Products alone: chainrule's kernels, faer and `gemm`, the shapes that networks need.
//!
//!     products REPEATS < shapes        one shape a line: m k n
//!
//! Prints the best seconds of each as JSON lines. C = A B, all row by row, float32; A, B and C are
//! the same arrays each time, as small ones would be warm in training.

use std::hint::black_box;
use std::io::stdin;
use std::time::Instant;

use chainrule::kernels::Isa;
use chainrule::kernels::gemm::{Scratch, Team};
use chainrule::matrix::{MatMut, MatRef};
use chainrule::pool;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut as FaerMut, MatRef as FaerRef, Par};

fn best(repeats: usize, mut product: impl FnMut()) -> f64 {
    product();
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        let began = Instant::now();
        product();
        best = best.min(began.elapsed().as_secs_f64());
    }
    best
}

fn show(library: &str, threads: usize, (m, k, n): (usize, usize, usize), seconds: f64) {
    println!(
        r#"{{"library": "{library}", "threads": {threads}, "m": {m}, "k": {k}, "n": {n}, "seconds": {seconds:e}}}"#
    );
}

/// Our instruction sets, by one thread and by two; without plain lanes, whose multiply-adds are calls
/// of libm.
fn kinds() -> impl Iterator<Item = (Isa, usize)> {
    let vectors = Isa::available().into_iter().filter(|&isa| isa != Isa::portable());
    vectors.flat_map(|isa| [(isa, 1), (isa, 2)])
}

fn main() {
    let repeats = std::env::args().nth(1).map_or(20, |n| n.parse().expect("a number of repeats"));
    for line in stdin().lines() {
        let line = line.expect("lines of text");
        let shape: Vec<usize> =
            line.split_whitespace().map(|n| n.parse().expect("numbers")).collect();
        let &[m, k, n] = &shape[..] else { panic!("three numbers a line: m k n") };
        let a: Vec<f32> = (0..m * k).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i % 19) as f32 / 19.0 - 0.5).collect();
        let mut c = vec![0f32; m * n];
        // Short ones in such numbers that a clock can tell.
        let inner = (20_000_000 / (m * k * n)).max(1);
        for (isa, threads) in kinds() {
            let scratch = Scratch::new();
            scratch.prepare(threads).expect("memory");
            let (seconds, _) = pool::with(threads, |crew| {
                let team = Team { isa, crew, scratch: &scratch };
                best(repeats, || {
                    for _ in 0..inner {
                        let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
                        team.product(a, b, &mut MatMut::new(&mut c, m, n), &|_, _, _| 0);
                        black_box(&c);
                    }
                })
            });
            show(&format!("chainrule {}", isa.name()), threads, (m, k, n), seconds / inner as f64);
        }
        for (threads, par) in [(1, Par::Seq), (2, Par::rayon(2))] {
            let seconds = best(repeats, || {
                for _ in 0..inner {
                    matmul(
                        FaerMut::from_row_major_slice_mut(&mut c, m, n),
                        Accum::Replace,
                        FaerRef::from_row_major_slice(&a, m, k),
                        FaerRef::from_row_major_slice(&b, k, n),
                        1.0,
                        par,
                    );
                    black_box(&c);
                }
            });
            show(concat!("faer ", env!("FAER")), threads, (m, k, n), seconds / inner as f64);
        }
        for (threads, par) in [(1, ::gemm::Parallelism::None), (2, ::gemm::Parallelism::Rayon(2))] {
            let seconds = best(repeats, || {
                for _ in 0..inner {
                    // SAFETY: pointers and strides are those of the three arrays above.
                    unsafe {
                        ::gemm::gemm(
                            m,
                            n,
                            k,
                            c.as_mut_ptr(),
                            1,
                            n as isize,
                            false,
                            a.as_ptr(),
                            1,
                            k as isize,
                            b.as_ptr(),
                            1,
                            n as isize,
                            0.0,
                            1.0,
                            false,
                            false,
                            false,
                            par,
                        );
                    }
                    black_box(&c);
                }
            });
            show(concat!("gemm ", env!("GEMM")), threads, (m, k, n), seconds / inner as f64);
        }
    }
}
