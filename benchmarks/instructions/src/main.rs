//! The main paths of chainrule, one a run, for callgrind to count their instructions.
//!
//!     instructions           the names
//!     instructions NAME      runs one; prints how often it does so, and on which path
//!
//! What is to be counted runs in [`counted`], after one time outside of it: what is made once, as
//! scratch is, does not count. One thread, AVX2, data that are always the same.

use std::hint::black_box;

use chainrule::activation::Activation::{self, Relu, Sigmoid, Softmax, Tanh};
use chainrule::data::{Answers, Dataset, Inputs, Source};
use chainrule::init::Initialization;
use chainrule::kernels::gemm::{Alone, Scratch, Team};
use chainrule::kernels::{Isa, Real};
use chainrule::loss::Loss;
use chainrule::matrix::{MatMut, MatRef};
use chainrule::network::Network;
use chainrule::optimizer::Optimizer;
use chainrule::plan::Plan;
use chainrule::rng::{Words, uniform};
use chainrule::train::{Steps, Totals, Trainer};

/// Counted by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// Once outside of what is counted, then so often within.
fn repeat(times: usize, path: &str, mut work: impl FnMut()) {
    work();
    for _ in 0..times {
        counted(&mut work);
    }
    println!("{times} {path}");
}

fn avx2() -> Plan {
    Plan::new(Some("avx2")).expect("a processor with AVX2")
}

/// Pixels of which every fifth is not 0, as in images of digits.
fn images(rows: usize) -> Vec<u8> {
    let words = Words::new(1, 99, 0).take(rows * 784).map(u64::to_le_bytes);
    words.map(|[pixel, chance, ..]| if chance < 50 { pixel | 1 } else { 0 }).collect()
}

fn numbers<T: Real>(seed: u64, n: usize) -> Vec<T> {
    Words::new(seed, 99, 0).take(n).map(|word| T::from_f64(uniform(word) - 0.5)).collect()
}

/// What the rows of a work are.
enum Rows {
    Images,
    Numbers,
}

/// A network, and the batches it is trained by.
struct Training<'a> {
    sizes: &'a [usize],
    hidden: Activation,
    loss: Loss,
    batch: usize,
    rows: Rows,
    momentum: f64,
    /// How many steps are counted: where they are short, so many that what is done once a call is little beside them.
    steps: usize,
}

impl Training<'_> {
    fn count<T: Real>(&self) {
        let output = if self.loss == Loss::CrossEntropy { Softmax } else { Sigmoid };
        let (layers, n_in) = (self.sizes.len() - 1, self.sizes[0]);
        let n_out = self.sizes[layers];
        let mut activations = vec![self.hidden; layers];
        activations[layers - 1] = output;
        let network = Network::<T>::new(self.sizes, &activations, self.loss).expect("a network");
        let mut trainer = Trainer::new(network, avx2());
        trainer.initialize(1, &vec![Initialization::GlorotUniform; layers]).expect("memory");
        // Fewer steps than an epoch has, as the online paths look ahead.
        let rows = self.batch * (self.steps + 8);
        let x = match self.rows {
            Rows::Images => Inputs::Pixels(images(rows)),
            Rows::Numbers => Inputs::Values(numbers(2, rows * n_in)),
        };
        let labels: Vec<i64> = (0..i64::try_from(n_out).expect("few")).cycle().take(rows).collect();
        let y = Answers::labels(&labels, n_out).expect("labels");
        let mut data =
            Dataset::new(x, y, rows, (n_in, n_out), self.batch, Some(1)).expect("a dataset");
        let optimizer = Optimizer::Sgd { momentum: self.momentum, l2: 0.0 };
        let mut take = |first, rates: &[f64]| {
            let steps = Steps { epoch: 0, first, rates, optimizer };
            let trained = trainer.train(&mut data, &steps, Totals::default()).expect("memory");
            assert_eq!((trained.steps, trained.diverged), (rates.len(), None));
        };
        take(0, &[0.01]);
        let rates = vec![0.01; self.steps];
        counted(&mut || take(1, &rates));
        println!("{} {}", self.steps, trainer.plan().path.name());
    }
}

const ONLINE: Training<'static> = Training {
    sizes: &[784, 16, 16, 10],
    hidden: Sigmoid,
    loss: Loss::SquaredError,
    batch: 1,
    rows: Rows::Images,
    momentum: 0.0,
    steps: 1000,
};

const WIDE: Training<'static> = Training {
    sizes: &[512, 512, 10],
    hidden: Relu,
    loss: Loss::CrossEntropy,
    batch: 128,
    rows: Rows::Numbers,
    momentum: 0.0,
    steps: 1,
};

/// A product (128, 512) (512, 256), B as it lies or as its transpose does; half of A may be 0.
fn product<T: Real>(transposed: bool, zeros: bool) {
    let (m, k, n) = (128, 512, 256);
    let (mut a, b) = (numbers::<T>(3, m * k), numbers::<T>(4, k * n));
    if zeros {
        a.iter_mut().filter(|x| **x < T::ZERO).for_each(|x| *x = T::ZERO); // as relu does
    }
    let b = if transposed { MatRef::new(&b, n, k).transposed() } else { MatRef::new(&b, k, n) };
    let mut c = vec![T::ZERO; m * n];
    let scratch = Scratch::new();
    scratch.prepare(1).expect("memory");
    let team = Team { isa: avx2().isa, crew: &Alone, scratch: &scratch };
    repeat(1, "", || {
        team.product(MatRef::new(&a, m, k), b, &mut MatMut::new(&mut c, m, n), &|_, _, _| 0);
        black_box(&c);
    });
}

fn predictor() -> Trainer<f32> {
    let network = Network::new(ONLINE.sizes, &[Sigmoid; 3], ONLINE.loss).expect("a network");
    let mut trainer = Trainer::new(network, avx2());
    trainer.initialize(1, &[Initialization::GlorotUniform; 3]).expect("memory");
    trainer
}

fn predict(rows: usize, x: &Inputs<f32>) {
    let trainer = predictor();
    repeat(1, "", || drop(black_box(trainer.predict(x, rows).expect("memory"))));
}

fn predict_few(rows: usize) {
    let (mut trainer, x) = (predictor(), numbers(5, rows * 784));
    let x = Source::Values(x[..].into());
    repeat(20, "", || assert!(trainer.predict_few(x, rows).expect("memory").is_some()));
}

fn dataset(x: Inputs<f32>, rows: usize) -> Dataset<f32> {
    let y = Answers::Labels(vec![0; rows]);
    Dataset::new(x, y, rows, (784, 10), 1, Some(1)).expect("a dataset")
}

fn lists_of_pixels(pixels: &[u8]) {
    let isa = avx2().isa;
    repeat(1, "", || {
        let inputs = Inputs::<f32>::of_pixels(isa, pixels.into(), 784).expect("memory");
        assert!(matches!(inputs, Inputs::Listed(_)));
    });
}

fn lists_of_numbers(x: &Inputs<f32>, rows: usize) {
    let isa = avx2().isa;
    repeat(1, "", || assert!(dataset(x.clone(), rows).list(isa)));
}

fn shuffle(rows: usize) {
    let x = Inputs::Pixels(vec![0; rows * 784]);
    let (mut data, mut epoch) = (dataset(x, rows), 0);
    repeat(1, "", || {
        data.prepare(epoch);
        epoch += 1;
    });
}

/// Values of images, as callers of float32 have them.
fn lit_numbers(rows: usize) -> Inputs<f32> {
    Inputs::Values(images(rows).into_iter().map(|pixel| f32::from(pixel) / 255.0).collect())
}

/// Each work: its name, what is counted, and how to run it.
#[rustfmt::skip]
const WORKS: &[(&str, &str, fn())] = &[
    ("online-sparse", "a step of 784-16-16-10 by one image", || ONLINE.count::<f32>()),
    ("online-momentum", "the same with momentum", || {
        Training { momentum: 0.9, steps: 200, ..ONLINE }.count::<f32>();
    }),
    ("online-dense", "a step of 784-16-16-10 by one dense row", || {
        Training { rows: Rows::Numbers, steps: 200, ..ONLINE }.count::<f32>();
    }),
    ("online-float64", "a step of 784-16-16-10 by one image, float64", || {
        Training { steps: 500, ..ONLINE }.count::<f64>();
    }),
    ("batch-10", "a step of 784-30-10 by 10 images", || {
        Training { sizes: &[784, 30, 10], batch: 10, steps: 100, ..ONLINE }.count::<f32>();
    }),
    ("few-dense", "a step of 784-16-16-10 by 4 dense rows", || {
        Training { rows: Rows::Numbers, batch: 4, steps: 100, ..ONLINE }.count::<f32>();
    }),
    ("wide-1", "a step of 784-1024-1024-10 by one dense row", || {
        Training { sizes: &[784, 1024, 1024, 10], batch: 1, ..WIDE }.count::<f32>();
    }),
    ("wide-4", "the same by 4", || {
        Training { sizes: &[784, 1024, 1024, 10], batch: 4, ..WIDE }.count::<f32>();
    }),
    ("batch-128", "a step of 784-128-10 by 128 images", || {
        Training { sizes: &[784, 128, 10], rows: Rows::Images, ..WIDE }.count::<f32>();
    }),
    ("wide", "a step of 512-512-10 by 128 dense rows", || WIDE.count::<f32>()),
    ("wide-momentum", "the same with momentum", || {
        Training { momentum: 0.9, ..WIDE }.count::<f32>();
    }),
    ("wide-float64", "a step of 512-512-10 by 128 dense rows, float64", || WIDE.count::<f64>()),
    ("full-batch", "a step of 4-32-16-4 tanh by 1000 rows", || {
        Training { sizes: &[4, 32, 16, 4], hidden: Tanh, batch: 1000, ..WIDE }.count::<f32>();
    }),
    ("product", "(128, 512) (512, 256)", || product::<f32>(false, false)),
    ("product-transposed", "(128, 512) (256, 512)^T", || product::<f32>(true, false)),
    ("product-float64", "(128, 512) (512, 256), float64", || product::<f64>(false, false)),
    ("product-zeros", "(128, 512) (512, 256), half of the elements 0", || product::<f32>(false, true)),
    ("predict-1", "784-16-16-10 of one row", || predict_few(1)),
    ("predict-8", "784-16-16-10 of 8 rows at once", || predict_few(8)),
    ("predict-pixels", "784-16-16-10 of 1000 rows of uint8", || {
        predict(1000, &Inputs::Pixels(images(1000)));
    }),
    ("predict-numbers", "784-16-16-10 of 1000 rows of float32", || {
        predict(1000, &Inputs::Values(numbers(6, 784_000)));
    }),
    ("lists-pixels", "lists of 1000 images of uint8", || {
        lists_of_pixels(&images(1000));
    }),
    ("lists-numbers", "lists of 1000 images of float32", || {
        lists_of_numbers(&lit_numbers(1000), 1000);
    }),
    ("shuffle", "the order of 60,000 rows", || shuffle(60_000)),
];

fn main() {
    let name = std::env::args().nth(1);
    match name.and_then(|name| WORKS.iter().find(|work| work.0 == name)) {
        Some((_, _, run)) if Isa::avx2().is_some() => run(),
        Some(_) => println!("no AVX2"),
        None => WORKS.iter().for_each(|(name, what, _)| println!("{name}\t{what}")),
    }
}
