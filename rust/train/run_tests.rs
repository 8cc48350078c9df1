//! Predictions by every way, bit for bit as the oracle has them.

use crate::activation::Activation::{self, Identity, Relu, Sigmoid, Softmax, Tanh};
use crate::data::{Answers, Dataset, Inputs, Source};
use crate::error::Error;
use crate::init::Initialization;
use crate::kernels::testing::{assert_bits, extreme, mild, quotients};
use crate::kernels::{Isa, Real, oracle};
use crate::loss::Loss;
use crate::matrix::MatRef;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::plan::{self, Plan};
use crate::train::{Steps, Totals, Trainer};

fn trainer<T: Real>(isa: Isa, sizes: &[usize], activations: &[Activation]) -> Trainer<T> {
    let plan = Plan::new(Some(isa.name())).unwrap();
    let network = Network::new(sizes, activations, Loss::SquaredError).unwrap();
    let mut trainer = Trainer::new(network, plan);
    trainer.initialize(3, &vec![Initialization::GlorotUniform; activations.len()]).unwrap();
    let biases = mild::<T>(9, trainer.network().n_parameters());
    let (mut parameters, _) = trainer.state().unwrap();
    parameters.iter_mut().zip(biases).for_each(|(p, b)| *p = *p + b / T::from_f64(64.0));
    trainer.set_state(&parameters, &[]).unwrap();
    trainer
}

/// What a network makes of numbers (rows, n_in), by the slow loops.
fn judged<T: Real>(trainer: &Trainer<T>, x: &[T], rows: usize) -> Vec<T> {
    let network = trainer.network();
    let mut a = x.to_vec();
    for layer in network.layers() {
        let parameters = network.parameters();
        let w = MatRef::new(&parameters[layer.weights()], layer.n_in, layer.n_out);
        let mut z = oracle::product(MatRef::new(&a, rows, layer.n_in), w);
        for z in z.chunks_exact_mut(layer.n_out) {
            z.iter_mut().zip(&parameters[layer.biases()]).for_each(|(z, &b)| *z = *z + b);
        }
        a = vec![T::ZERO; z.len()];
        layer.activation.forward(Isa::portable(), &z, &mut a, layer.n_out);
    }
    a
}

/// Numbers of which most are 0, some of them -0.0, and one column is 0 throughout.
fn dark<T: Real>(draw: fn(u64, usize) -> Vec<T>, rows: usize, n_in: usize) -> Vec<T> {
    let mut x = draw(1, rows * n_in);
    for (i, x) in x.iter_mut().enumerate() {
        if (i * i + i / 7) % 5 != 0 || i % n_in == n_in / 2 {
            *x = if i % 3 == 0 { -T::ZERO } else { T::ZERO };
        }
    }
    x
}

/// Sizes below, at and above blocks of 256, lines of 16 and registers.
const SHAPES: [&[usize]; 9] = [
    &[1, 1],
    &[5, 3],
    &[255, 16, 4],
    &[256, 17, 3],
    &[257, 16, 16, 10],
    &[784, 16, 16, 10],
    &[513, 33, 2],
    &[1030, 8, 40],
    &[20, 70, 5],
];

fn activations(layers: usize, last: Activation) -> Vec<Activation> {
    [Sigmoid, Relu, Tanh, Identity].into_iter().take(layers - 1).chain([last]).collect()
}

fn check_few<T: Real>(draw: fn(u64, usize) -> Vec<T>) {
    for (s, sizes) in SHAPES.iter().enumerate() {
        let last = [Sigmoid, Softmax, Identity][s % 3];
        for isa in Isa::available() {
            let mut trainer = trainer::<T>(isa, sizes, &activations(sizes.len() - 1, last));
            for rows in [0, 1, 2, 3, 7, 8, 9, 64, 65, 130] {
                for x in [draw(1, rows * sizes[0]), dark(draw, rows, sizes[0])] {
                    let expected = judged(&trainer, &x, rows);
                    let what = format!("{} {sizes:?} {rows}", isa.name());
                    let x = Inputs::Values(x);
                    let few = trainer.predict_few(Source::of(&x).unwrap(), rows).unwrap().unwrap();
                    assert_bits(few, &expected, &what);
                    assert_bits(&trainer.predict(&x, rows).unwrap(), &expected, &what);
                }
            }
        }
    }
}

#[test]
fn a_few_rows_are_as_the_oracle_has_them() {
    check_few::<f32>(mild);
    check_few::<f64>(mild);
}

#[test]
fn numbers_of_any_size_too() {
    // Inputs near the end of the range make z infinite, which is no fault of theirs.
    fn finite<T: Real>(seed: u64, n: usize) -> Vec<T> {
        let mut x = extreme::<T>(seed, n);
        x.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = T::ONE);
        x
    }
    check_few::<f32>(finite);
    check_few::<f64>(finite);
}

fn check_pixels<T: Real>() {
    for isa in Isa::available() {
        let mut trainer = trainer::<T>(isa, &[784, 16, 10], &[Sigmoid, Sigmoid]);
        for rows in [1, 2, 8, 9, 75] {
            let lit = dark::<f32>(mild, rows, 784).into_iter().zip(0..=255_u8);
            let pixels: Vec<u8> =
                lit.cycle().take(rows * 784).map(|(x, p)| if x == 0.0 { 0 } else { p }).collect();
            let x: Vec<T> = quotients(&pixels);
            let expected = judged(&trainer, &x, rows);
            let x = Inputs::Pixels(pixels);
            let few = trainer.predict_few(Source::of(&x).unwrap(), rows).unwrap().unwrap();
            assert_bits(few, &expected, isa.name());
            assert_bits(&trainer.predict(&x, rows).unwrap(), &expected, isa.name());
        }
    }
}

#[test]
fn pixels_are_their_quotients() {
    check_pixels::<f32>();
    check_pixels::<f64>();
}

/// Rows in tiles that workers share, with and without columns that are left out.
fn check_many<T: Real>() {
    for sizes in [&[300, 10, 7][..], &[300, 40, 7], &[300, 65, 7], &[300, 9]] {
        let rows = 203;
        for isa in Isa::available() {
            let trainer = trainer::<T>(isa, sizes, &activations(sizes.len() - 1, Softmax));
            for x in [mild(1, rows * 300), dark(mild, rows, 300)] {
                let expected = judged(&trainer, &x, rows);
                for threads in [1, 2, 3] {
                    assert!(plan::apart(trainer.network(), rows, threads).is_some());
                    trainer.allow_threads(threads);
                    let found = trainer.predict(&Inputs::Values(x.clone()), rows).unwrap();
                    assert_bits(&found, &expected, &format!("{} {sizes:?}", isa.name()));
                }
            }
        }
    }
}

#[test]
fn many_rows_are_as_the_oracle_has_them() {
    check_many::<f32>();
    check_many::<f64>();
}

/// Rows of a network whose first layer has `wide` outputs.
fn check_refusal<T: Real>(wide: usize) {
    let [nan, zero, one] = [f64::NAN, 0.0, 1.0].map(T::from_f64);
    for isa in Isa::available() {
        let mut trainer = trainer::<T>(isa, &[300, wide, 7], &[Relu, Sigmoid]);
        let dense = |rows| mild(1, rows * 300);
        let dark = |rows| dark(mild, rows, 300);
        for bad in [nan, one / zero, -one / zero] {
            let places = [(1, 0), (1, 299), (3, 599), (9, 2500), (512, 150_000)];
            for (rows, index, is_dark) in
                places.map(|(r, i)| [(r, i, true), (r, i, false)]).concat()
            {
                let mut x = if is_dark { dark(rows) } else { dense(rows) };
                x[index] = bad;
                let x = Inputs::Values(x);
                assert_eq!(trainer.predict_from(Source::of(&x).unwrap(), rows), Ok(None));
                let error = Err(Error::NotFinite { what: "x", index });
                assert_eq!(trainer.predict(&x, rows), error);
                assert_eq!(trainer.predict_few(Source::of(&x).unwrap(), rows), Ok(None));
            }
        }
    }
}

#[test]
fn an_input_that_is_not_finite_is_refused_anywhere() {
    for wide in [10, 40] {
        check_refusal::<f32>(wide);
        check_refusal::<f64>(wide);
    }
}

/// Rows and products that workers share, packed and not, the quick way and the long one.
fn check_shared<T: Real>() {
    for (sizes, rows, by_rows) in [
        (&[784, 16, 16, 10][..], 70, true),
        (&[784, 16, 16, 10], 400, true),
        (&[784, 300, 33], 3, false),
        (&[784, 300, 33], 9, false),
        (&[784, 300, 33], 150, true),
        (&[784, 300, 33], 600, true), // tiles of more rows
        (&[3000, 64, 10], 600, true),
        (&[1200, 1000, 5], 2, false), // too large to be shared by rows
        (&[1200, 1000, 5], 300, false),
    ] {
        for isa in Isa::available().into_iter().rev().take(2) {
            let mut trainer = trainer::<T>(isa, sizes, &activations(sizes.len() - 1, Sigmoid));
            let x = dark(mild, rows, sizes[0]);
            let expected = judged(&trainer, &x, rows);
            let x = Inputs::Values(x);
            for threads in [1, 2, 3] {
                assert_eq!(plan::apart(trainer.network(), rows, threads).is_some(), by_rows);
                trainer.forget_copies();
                trainer.allow_threads(threads);
                for _ in 0..2 {
                    let what = format!("{} {sizes:?} {rows} {threads}", isa.name());
                    let few = trainer.predict_few(Source::of(&x).unwrap(), rows);
                    assert_bits(few.unwrap().unwrap(), &expected, &what);
                    assert_bits(&trainer.predict(&x, rows).unwrap(), &expected, &what);
                }
            }
        }
    }
}

#[test]
fn rows_that_workers_share_are_as_the_oracle_has_them() {
    check_shared::<f32>();
    check_shared::<f64>();
}

#[test]
fn few_multiplications_are_not_shared() {
    let helpers = |sizes: &[usize], rows| {
        let trainer = trainer::<f32>(Isa::detect(), sizes, &activations(sizes.len() - 1, Sigmoid));
        plan::helpers(trainer.network(), rows, 3)
    };
    assert_eq!([1, 40, 41].map(|rows| helpers(&[784, 16, 16, 10], rows)), [1, 1, 3]);
    assert_eq!([0, 1, 2].map(|rows| helpers(&[784, 512, 10], rows)), [1, 1, 3]);
}

type Change<'a> = &'a mut dyn FnMut(&mut Trainer<f32>);

/// What is packed is dropped by each thing that changes the parameters, and by no other.
#[test]
fn weights_are_packed_anew_after_each_change() {
    let mut trainer = trainer::<f32>(Isa::detect(), &[30, 20, 5], &[Tanh, Sigmoid]);
    let inputs = Inputs::Values(mild(1, 90));
    let data = |batch| {
        let answers = Answers::labels(&[0, 1, 2], 5).unwrap();
        Dataset::new(Inputs::Values(mild(1, 90)), answers, 3, (30, 5), batch, None).unwrap()
    };
    let train = |trainer: &mut Trainer<f32>, data: &mut Dataset<f32>| {
        let optimizer = Optimizer::sgd();
        let steps = Steps { epoch: 0, first: 0, rates: &[0.5], optimizer };
        trainer.train(data, &steps, Totals::default()).unwrap();
    };
    let (mut lone, mut all) = (data(1), data(3));
    let changes: &mut [Change<'_>] = &mut [
        &mut |trainer| trainer.initialize(7, &[Initialization::GlorotUniform; 2]).unwrap(),
        &mut |trainer| {
            let parameters: Vec<_> = trainer.state().unwrap().0.iter().map(|p| p + 0.5).collect();
            trainer.set_state(&parameters, &[]).unwrap();
        },
        &mut |trainer| train(trainer, &mut lone),
        &mut |trainer| {
            trainer.remember().unwrap();
            train(trainer, &mut all);
        },
        &mut |trainer| trainer.restore(),
    ];
    let mut before = Vec::new();
    for (c, change) in changes.iter_mut().enumerate() {
        for _ in 0..2 {
            before = trainer.predict(&inputs, 3).unwrap();
        }
        trainer.gradients(&data(3)).unwrap();
        trainer.evaluate(&data(3), 0, 3, 0.0).unwrap();
        assert!(trainer.few.shelf.is_filled(), "{c}");
        change(&mut trainer);
        assert!(!trainer.few.shelf.is_filled(), "{c}");
        let Inputs::Values(x) = &inputs else { unreachable!() };
        let expected = judged(&trainer, x, 3);
        assert_ne!(expected, before, "{c}");
        for _ in 0..3 {
            assert_bits(&trainer.predict(&inputs, 3).unwrap(), &expected, "after a change");
        }
    }
}

#[test]
fn many_threads_predict_at_a_time() {
    let trainer = trainer::<f32>(Isa::detect(), &[300, 70, 7], &[Relu, Sigmoid]);
    let x = mild(1, 40 * 300);
    let (expected, x) = (judged(&trainer, &x, 40), Inputs::Values(x));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_bits(&trainer.predict(&x, 40).unwrap(), &expected, "beside others");
                }
            });
        }
    });
}

#[test]
fn a_few_rows_meet_the_parameters_as_they_are_now() {
    let mut trainer = trainer::<f32>(Isa::detect(), &[30, 20, 5], &[Tanh, Sigmoid]);
    let x = Inputs::Values(mild(1, 30));
    let mut found = Vec::new();
    for seed in 0..3 {
        let few = trainer.predict_few(Source::of(&x).unwrap(), 1).unwrap().unwrap().to_vec();
        assert_bits(&few, &trainer.predict(&x, 1).unwrap(), "after a change");
        assert!(!found.contains(&few), "what changed counts");
        found.push(few);
        trainer.initialize(seed, &[Initialization::GlorotUniform; 2]).unwrap();
    }
}

#[test]
fn a_lone_row_has_a_large_network_copied_when_another_has_come() {
    for (sizes, at_once) in [([30, 20, 5], true), ([784, 100, 10], false)] {
        let mut trainer = trainer::<f32>(Isa::detect(), &sizes, &[Tanh, Sigmoid]);
        let x = Inputs::Values(mild(1, sizes[0]));
        for seed in 0..2 {
            let expected = trainer.predict(&x, 1).unwrap();
            for copied in [at_once, true] {
                let few = trainer.predict_few(Source::of(&x).unwrap(), 1).unwrap().unwrap();
                assert_bits(few, &expected, "a lone row");
                assert_eq!(trainer.lone.is_some(), copied, "{sizes:?}");
            }
            trainer.initialize(seed, &[Initialization::GlorotUniform; 2]).unwrap();
        }
    }
}
