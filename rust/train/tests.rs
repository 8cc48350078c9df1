//! Whole steps: by hand, and judged by the slow loops of the oracle, bit for bit.

use super::{Steps, Totals, Trained, Trainer};
use crate::activation::Activation::{self, Identity, Relu, Sigmoid, Softmax, Tanh};
use crate::data::{Answers, Dataset, Inputs};
use crate::error::Error;
use crate::init::Initialization;
use crate::kernels::testing::{PASSED_ONCE, assert_bits, bits, mild};
use crate::kernels::{Isa, Real, oracle};
use crate::loss::Loss;
use crate::matrix::MatRef;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::plan::Plan;

const SGD: Optimizer = Optimizer::sgd();

fn trainer<T: Real>(
    isa: Isa,
    sizes: &[usize],
    activations: &[Activation],
    loss: Loss,
) -> Trainer<T> {
    let plan = Plan::new(Some(isa.name())).unwrap();
    let mut trainer = Trainer::new(Network::new(sizes, activations, loss).unwrap(), plan);
    trainer.initialize(3, &vec![Initialization::GlorotUniform; activations.len()]).unwrap();
    trainer
}

/// Rows of numbers from -1 to 1, and labels; shuffled by seed 4.
fn labelled<T: Real>(rows: usize, sizes: (usize, usize), batch_size: usize) -> Dataset<T> {
    let labels: Vec<i64> = [0, 1, 1, 0, 2, 1, 0].into_iter().cycle().take(rows).collect();
    let x = Inputs::Values(mild(1, rows * sizes.0));
    let y = Answers::labels(&labels, sizes.1).unwrap();
    Dataset::new(x, y, rows, sizes, batch_size, Some(4)).unwrap()
}

fn take<T: Real>(trainer: &mut Trainer<T>, data: &mut Dataset<T>, rates: &[f64]) -> Trained {
    let steps = Steps { epoch: 0, first: 0, rates, optimizer: SGD };
    trainer.train(data, &steps, Totals::default()).unwrap()
}

/// One step of a 2-2-1 network with identity activations, in dyadic numbers, so that every
/// operation is exact.
#[test]
fn one_step_by_hand() {
    for isa in Isa::available() {
        let mut trainer = trainer::<f32>(isa, &[2, 2, 1], &[Identity; 2], Loss::SquaredError);
        // W1 = [[1, 2], [-1, 0.5]], b1 = [0.5, 0]; W2 = [[2, -1]], b2 = [1].
        let before = [1.0, 2.0, -1.0, 0.5, 0.5, 0.0, 2.0, -1.0, 1.0];
        trainer.set_state(&before, &[]).unwrap();
        let (x, y) = (Inputs::Values(vec![0.5, 0.25]), Answers::Targets(vec![3.0]));
        let mut data = Dataset::new(x, y, 1, (2, 1), 1, None).unwrap();
        let outcome = take(&mut trainer, &mut data, &[0.125]);
        // z1 = [0.5 + 0.5 + 0.5, -0.5 + 0.125] = [1.5, -0.375]; z2 = 3 + 0.375 + 1 = 4.375.
        // E = 1.375^2; r2 = 2 * 1.375 = 2.75; r1 = r2 W2 = [5.5, -2.75].
        // dE/dW2 = 2.75 * [1.5, -0.375]; dE/dW1 = [[2.75, 1.375], [-1.375, -0.6875]].
        assert_eq!(bits(outcome.totals.loss), bits(1.375_f64 * 1.375));
        assert_eq!((outcome.steps, outcome.diverged), (1, None));
        assert_eq!(outcome.totals.correct, 1, "4.375 and 3 are both above 0.5");
        let expected = [
            1.0 - 0.34375,
            2.0 - 0.171_875,
            -1.0 + 0.171_875,
            0.5 + 0.085_937_5,
            0.5 - 0.6875,
            0.34375,
            2.0 - 0.515_625,
            -1.0 + 0.128_906_25,
            1.0 - 0.34375,
        ];
        assert_eq!(trainer.state().unwrap().0, expected);
    }
}

/// The same step by the oracle alone, from flat parameters to flat parameters and the losses.
fn slow_step<T: Real>(
    sizes: &[usize],
    activations: &[Activation],
    loss: Loss,
    w: &[T],
    (x, y, rows): (&[T], &[T], usize),
    (rate, l2): (T, T),
) -> (Vec<T>, Vec<T>) {
    let layers = activations.len();
    let mut starts = vec![0];
    for size in sizes.windows(2) {
        starts.push(starts[starts.len() - 1] + (size[0] + 1) * size[1]);
    }
    let weights = |l: usize| MatRef::new(&w[starts[l]..], sizes[l + 1], sizes[l]);
    let (mut zs, mut activated) = (Vec::new(), vec![x.to_vec()]);
    for l in 0..layers {
        let n_out = sizes[l + 1];
        let mut z =
            oracle::product(MatRef::new(&activated[l], rows, sizes[l]), weights(l).transposed());
        let b = &w[starts[l + 1] - n_out..];
        for (i, z) in z.iter_mut().enumerate() {
            *z = *z + b[i % n_out];
        }
        activated.push(match activations[l] {
            Identity => z.clone(),
            Sigmoid => z.iter().map(|&z| z.sigmoid()).collect(),
            Tanh => z.iter().map(|&z| z.tanh()).collect(),
            Relu => z.iter().map(|&z| if z > T::ZERO { z } else { T::ZERO }).collect(),
            Softmax => z.chunks(n_out).flat_map(oracle::softmax).collect(),
        });
        zs.push(z);
    }
    let n_out = sizes[layers];
    let (z, a) = (&zs[layers - 1], &activated[layers]);
    let at = |i: usize| i * n_out..(i + 1) * n_out;
    let losses = (0..rows).map(|i| match loss {
        Loss::SquaredError => oracle::squared_distance(&a[at(i)], &y[at(i)]),
        Loss::CrossEntropy => oracle::log_loss(&z[at(i)], &y[at(i)]),
        Loss::BinaryCrossEntropy => oracle::binary_log_loss(&z[at(i)], &y[at(i)]),
    });
    let losses = losses.collect();

    let back = |l: usize, d: &[T]| -> Vec<T> {
        let (z, a, n) = (&zs[l], &activated[l + 1], sizes[l + 1]);
        if activations[l] == Softmax {
            let rows = a.chunks(n).zip(d.chunks(n));
            return rows.flat_map(|(a, d)| oracle::softmax_backward(a, d)).collect();
        }
        let slope = |i: usize| match activations[l] {
            Sigmoid => a[i] * (T::ONE - a[i]),
            Tanh => T::ONE - a[i] * a[i],
            Relu if z[i] > T::ZERO => T::ONE,
            Relu => T::ZERO,
            _ => T::ONE,
        };
        (0..d.len()).map(|i| slope(i) * d[i]).collect()
    };
    let difference = a.iter().zip(y).map(|(&a, &y)| a - y);
    let mut r: Vec<T> = match loss {
        Loss::SquaredError => back(layers - 1, &difference.map(|d| T::TWO * d).collect::<Vec<_>>()),
        _ => difference.collect(),
    };
    let n = T::from_f64(f64::from(u16::try_from(rows).unwrap()));
    for r in &mut r {
        *r = *r / n;
    }

    let mut after = w.to_vec();
    for l in (0..layers).rev() {
        let (n_in, n_out) = (sizes[l], sizes[l + 1]);
        let r_view = MatRef::new(&r, rows, n_out);
        let dw = oracle::product(r_view.transposed(), MatRef::new(&activated[l], rows, n_in));
        let db = oracle::column_sums(r_view);
        let gradients = dw.iter().map(|&g| (g, l2)).chain(db.iter().map(|&g| (g, T::ZERO)));
        for (i, (g, l2)) in gradients.enumerate() {
            let w = w[starts[l] + i];
            after[starts[l] + i] = oracle::descend(w, T::ZERO, g, rate, T::ZERO, l2).0;
        }
        if l > 0 {
            let d = oracle::product(r_view, weights(l));
            r = back(l - 1, &d);
        }
    }
    (after, losses)
}

fn judge<T: Real>(
    (hidden, widths): (Activation, [usize; 2]),
    output: Activation,
    loss: Loss,
    (batch, labelled): (usize, bool),
) {
    let (sizes, activations) = ([11, widths[0], widths[1], 5], [hidden, hidden, output]);
    let x = mild::<T>(1, batch * 11);
    let labels: Vec<i64> = [3, 0, 4, 1].into_iter().cycle().take(batch).collect();
    let one_hot = |&label| (0..5).map(move |j| if j == label { T::ONE } else { T::ZERO });
    let labelled = labelled.then(|| labels.iter().flat_map(one_hot).collect::<Vec<_>>());
    let y = labelled.clone().unwrap_or_else(|| mild::<T>(2, batch * 5));
    for isa in Isa::available() {
        let what = format!("{} {hidden:?} {output:?} {loss:?} {batch}", isa.name());
        let mut trainer = trainer::<T>(isa, &sizes, &activations, loss);
        let answers = match &labelled {
            Some(_) => Answers::labels(&labels, 5).unwrap(),
            None => Answers::Targets(y.clone()),
        };
        let inputs = Inputs::Values(x.clone());
        let mut data = Dataset::new(inputs, answers, batch, (11, 5), batch, None).unwrap();
        let optimizer = Optimizer::Sgd { momentum: 0.0, l2: 0.01 };
        let mut totals = Totals::default();
        for epoch in 0..2 {
            let before = trainer.state().unwrap().0;
            let rows = (&x[..], &y[..], batch);
            let hyper = (T::from_f64(0.1), T::from_f64(0.01));
            let (after, losses) = slow_step(&sizes, &activations, loss, &before, rows, hyper);

            let steps = Steps { epoch, first: 0, rates: &[0.1], optimizer };
            let outcome = trainer.train(&mut data, &steps, totals).unwrap();
            assert_bits(&trainer.state().unwrap().0, &after, &what);
            let sum = losses.iter().fold(totals.loss, |sum, loss| sum + loss.to_f64());
            assert_eq!(bits(outcome.totals.loss), bits(sum), "{what}");
            assert_eq!((outcome.steps, outcome.diverged), (1, None), "{what}");
            totals = outcome.totals;
        }
    }
}

#[test]
fn steps_are_those_of_the_oracle() {
    for batch in [1, 7, 300] {
        for hidden in [Identity, Sigmoid, Tanh, Relu] {
            for (output, loss) in [
                (Identity, Loss::SquaredError),
                (Sigmoid, Loss::SquaredError),
                (Tanh, Loss::SquaredError),
                (Relu, Loss::SquaredError),
                (Softmax, Loss::SquaredError),
                (Softmax, Loss::CrossEntropy),
                (Sigmoid, Loss::BinaryCrossEntropy),
            ] {
                for labelled in [false, true] {
                    judge::<f32>((hidden, [9, 270]), output, loss, (batch, labelled));
                    judge::<f64>((hidden, [9, 270]), output, loss, (batch, labelled));
                }
            }
        }
    }
}

/// Of weights that are many, by few rows: they are passed once for the way back and the step.
#[test]
fn steps_of_many_weights_by_few_rows_are_those_of_the_oracle() {
    for batch in [1, 8, 12] {
        PASSED_ONCE.take();
        judge::<f32>((Tanh, [520, 300]), Softmax, Loss::CrossEntropy, (batch, true));
        assert!(PASSED_ONCE.take() > 0);
        judge::<f64>((Relu, [520, 300]), Sigmoid, Loss::SquaredError, (batch, false));
        assert!(PASSED_ONCE.take() > 0);
    }
}

#[test]
fn where_slices_are_cut_changes_no_bit() {
    let optimizer = Optimizer::Sgd { momentum: 0.9, l2: 0.001 };
    let run = |cuts: &[usize]| {
        let mut trainer =
            trainer::<f32>(Isa::detect(), &[6, 5, 3], &[Sigmoid; 2], Loss::SquaredError);
        let mut data = labelled(50, (6, 3), 7);
        let mut totals = Totals::default();
        for epoch in 0..3 {
            let mut first = 0;
            for &count in cuts {
                let rates = &vec![0.1; count][..];
                let steps = Steps { epoch, first, rates, optimizer };
                totals = trainer.train(&mut data, &steps, totals).unwrap().totals;
                first += count;
            }
            assert_eq!(first, data.steps());
        }
        (trainer.state().unwrap(), totals)
    };
    let whole = run(&[8]);
    assert!(whole.1.correct > 0);
    assert_eq!(run(&[1, 1, 1, 1, 1, 1, 1, 1]), whole);
    assert_eq!(run(&[0, 3, 0, 5]), whole);
}

/// Products of many rows are shared, and the blocks of many weights that few rows pass.
#[test]
fn the_number_of_threads_changes_no_bit() {
    check_threads([70, 300, 150, 5], 300, false);
    check_threads([70, 520, 300, 5], 12, true);
}

fn check_threads(sizes: [usize; 4], batch: usize, by_blocks: bool) {
    let optimizer = Optimizer::Sgd { momentum: 0.9, l2: 0.001 };
    let run = |threads: usize| {
        let activations = [Tanh, Relu, Softmax];
        let mut trainer = trainer::<f32>(Isa::detect(), &sizes, &activations, Loss::CrossEntropy);
        trainer.allow_threads(threads);
        let before = trainer.state().unwrap();
        let blocks = PASSED_ONCE.by_pool();
        let mut data = labelled(700, (70, 5), batch);
        let mut totals = Totals::default();
        for epoch in 0..3 {
            let steps = Steps { epoch, first: 0, rates: &[0.1; 3], optimizer };
            totals = trainer.train(&mut data, &steps, totals).unwrap().totals;
        }
        let state = trainer.state().unwrap();
        assert!(state.0 != before.0);
        let blocks = PASSED_ONCE.by_pool() - blocks;
        let x = Inputs::Values(mild(5, 700 * 70));
        let outputs = trainer.predict(&x, 700).unwrap();
        let evaluation = trainer.evaluate(&data, 0, 700, 0.0).unwrap();
        ((state, totals, outputs, evaluation), trainer.plan().threads, blocks)
    };
    let (one, worked, blocks) = run(1);
    assert_eq!((worked, blocks), (1, 0));
    // Whether workers come in time is the system's affair; that any did has to happen once.
    let helped = (0..1000).find(|round| {
        let (several, worked, blocks) = run([2, 3, 8][round % 3]);
        assert!(several == one);
        worked > 1 && (blocks > 0) == by_blocks
    });
    assert!(helped.is_some());
}

#[test]
fn a_row_alone_is_as_in_any_batch() {
    let trainer = trainer::<f32>(Isa::detect(), &[6, 20, 3], &[Tanh, Softmax], Loss::CrossEntropy);
    let x = mild::<f32>(5, 600 * 6);
    let all = trainer.predict(&Inputs::Values(x.clone()), 600).unwrap();
    for row in [0, 3, 255, 256, 599] {
        let alone = Inputs::Values(x[row * 6..(row + 1) * 6].to_vec());
        assert_bits(&trainer.predict(&alone, 1).unwrap(), &all[row * 3..(row + 1) * 3], "alone");
    }
    assert_eq!(trainer.predict(&Inputs::Values(vec![]), 0), Ok(vec![]));
    let (what, expected) = ("elements of x", 12);
    let refused = trainer.predict(&Inputs::Values(vec![0.0; 11]), 2);
    assert_eq!(refused, Err(Error::Length { what, expected, found: 11 }));
    let mut values = vec![0.0; 12];
    values[7] = f32::NAN;
    let refused = trainer.predict(&Inputs::Values(values), 2);
    assert_eq!(refused, Err(Error::NotFinite { what: "x", index: 7 }));
}

#[test]
fn evaluation_sums_what_training_of_no_rate_sums() {
    let mut trainer =
        trainer::<f64>(Isa::detect(), &[6, 4, 3], &[Relu, Softmax], Loss::CrossEntropy);
    let x = Inputs::Values(mild(5, 600 * 6));
    let y = Answers::labels(&[0, 1, 2, 1].repeat(150), 3).unwrap();
    let mut data = Dataset::new(x, y, 600, (6, 3), 600, None).unwrap();
    let (loss, correct) = trainer.evaluate(&data, 0, data.rows(), 0.0).unwrap();
    let (part, right) = trainer.evaluate(&data, 0, 301, 0.0).unwrap();
    let (whole, more) = trainer.evaluate(&data, 301, 299, part).unwrap();
    assert_eq!((bits(whole), right + more), (bits(loss), correct), "in two pieces");
    assert!(trainer.evaluate(&data, 301, 300, 0.0).is_err());
    let (again, gradient) = trainer.gradients(&data).unwrap();
    let before = trainer.state().unwrap().0;
    let totals = take(&mut trainer, &mut data, &[1.0]).totals;
    assert_eq!([bits(loss), bits(again)], [bits(totals.loss); 2]);
    assert_eq!(correct, totals.correct);
    assert!(correct > 0 && correct < 600);
    let stepped: Vec<f64> = before.iter().zip(&gradient).map(|(w, g)| w - g).collect();
    assert_bits(&trainer.state().unwrap().0, &stepped, "one step of rate 1 is the gradient");
}

#[test]
fn a_trace_of_one_row_is_its_gradient() {
    for (output, loss) in [(Tanh, Loss::SquaredError), (Softmax, Loss::CrossEntropy)] {
        let activations = [Sigmoid, Relu, output];
        let trainer = trainer::<f32>(Isa::detect(), &[4, 5, 6, 3], &activations, loss);
        let many = labelled(300, (4, 3), 1);
        let traces = trainer.trace(&many).unwrap();
        for row in [0, 299] {
            let x = Inputs::Values(mild::<f32>(1, 1200)[row * 4..row * 4 + 4].to_vec());
            let label = i64::try_from(many.label(row).unwrap()).unwrap();
            let y = Answers::labels(&[label], 3).unwrap();
            let one = Dataset::new(x, y, 1, (4, 3), 1, None).unwrap();
            let mut expected = trainer.gradients(&one).unwrap().1;
            for trace in traces.iter().rev() {
                let (n_in, n_out) = (trace.n_in, trace.n_out);
                let biases = expected.split_off(expected.len() - n_out);
                let weights = expected.split_off(expected.len() - n_out * n_in);
                let at = row * n_out..(row + 1) * n_out;
                assert_bits(&trace.de_db[at.clone()], &biases, "dE/db");
                assert_bits(&trace.r[at.clone()], &biases, "r");
                assert_bits(&trace.de_dw[at.start * n_in..at.end * n_in], &weights, "dE/dW");
            }
            let last = &traces[2];
            let at = row * 3..row * 3 + 3;
            for ((&a, &d), j) in last.a[at.clone()].iter().zip(&last.de_da[at]).zip(0..) {
                let y = if j == label { 1.0 } else { 0.0 };
                assert_eq!(bits(d), bits(loss.derivative(a, y)));
            }
        }
    }
}

#[test]
fn divergence_is_told_with_its_layer() {
    let mut trainer = trainer::<f32>(Isa::detect(), &[2, 2, 1], &[Identity; 2], Loss::SquaredError);
    let (x, y) = (Inputs::Values(vec![1.0; 8]), Answers::Targets(vec![1.0; 4]));
    let mut data = Dataset::new(x, y, 4, (2, 1), 1, None).unwrap();
    // The step is too long for the second layer, for the first, for both; then E overflows.
    trainer.set_state(&[1e30, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-25, 1.0, 0.0], &[]).unwrap();
    let outcome = take(&mut trainer, &mut data, &[1e30, 1.0]);
    assert_eq!((outcome.steps, outcome.diverged), (0, Some(1)));
    assert_eq!(outcome.totals, Totals::default(), "an incomplete step adds nothing");
    trainer.set_state(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e25, 0.0, 0.0], &[]).unwrap();
    let outcome = take(&mut trainer, &mut data, &[0.0, 1e25, 1.0]);
    assert_eq!((outcome.steps, outcome.diverged), (1, Some(0)));
    assert_eq!(outcome.totals.loss.to_bits(), 1.0_f64.to_bits(), "that of the complete step");
    trainer.set_state(&[1.0; 9], &[]).unwrap();
    let outcome = take(&mut trainer, &mut data, &[3e38]);
    assert_eq!((outcome.steps, outcome.diverged), (0, Some(0)), "the first of both");
    trainer.set_state(&[1e30, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0], &[]).unwrap();
    let before = trainer.state().unwrap();
    let outcome = take(&mut trainer, &mut data, &[0.0, 0.0]);
    assert_eq!((outcome.steps, outcome.diverged), (0, Some(1)), "E overflows");
    assert_eq!(trainer.state().unwrap(), before, "no update after an infinite loss");
}

#[test]
fn saturated_hidden_units_are_counted_and_no_others() {
    let mut trainer = trainer::<f64>(Isa::detect(), &[1, 2, 1], &[Sigmoid; 2], Loss::SquaredError);
    // The first hidden unit is saturated at every x but 0, the second never, the output always.
    trainer.set_state(&[100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 100.0], &[]).unwrap();
    let (x, y) = (Inputs::Values(vec![-1.0, 0.0, 2.0]), Answers::Targets(vec![1.0; 3]));
    let mut data = Dataset::new(x, y, 3, (1, 1), 2, None).unwrap();
    let outcome = take(&mut trainer, &mut data, &[0.0; 2]);
    assert_eq!((outcome.totals.saturated, outcome.totals.correct), (2, 3));
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut trainer = trainer::<f32>(Isa::detect(), &[6, 3], &[Sigmoid], Loss::SquaredError);
    let mut data = labelled(10, (6, 3), 3);
    let momentum = Optimizer::Sgd { momentum: 0.5, l2: 0.0 };
    let steps = Steps { epoch: 0, first: 0, rates: &[0.1], optimizer: momentum };
    trainer.train(&mut data, &steps, Totals::default()).unwrap();
    let before = trainer.state().unwrap();
    assert_eq!(before.1[0].0, "velocity");

    let mut refused = |data: &mut Dataset<f32>, first, rates: &[f64], optimizer| {
        let steps = Steps { epoch: 0, first, rates, optimizer };
        let error = trainer.train(data, &steps, Totals::default()).unwrap_err();
        assert_eq!(trainer.state().unwrap(), before, "{error}");
        error
    };
    let error = refused(&mut data, 2, &[0.1; 3], SGD);
    assert_eq!(error, Error::Steps { expected: 4, found: 5 });
    let error = refused(&mut data, usize::MAX, &[0.1; 3], SGD);
    assert_eq!(error, Error::Steps { expected: 4, found: usize::MAX });
    for rate in [-0.1, f64::NAN, f64::INFINITY] {
        let error = refused(&mut data, 0, &[0.1, rate], SGD);
        assert!(matches!(error, Error::Hyperparameter { what: "learning_rate", .. }));
    }
    let error = refused(&mut labelled(10, (5, 3), 3), 0, &[0.1], SGD);
    assert!(matches!(error, Error::Length { expected: 6, found: 5, .. }));
    let error = refused(&mut labelled(1, (6, 2), 3), 0, &[0.1], SGD);
    assert!(matches!(error, Error::Length { expected: 3, found: 2, .. }));

    let n = before.0.len();
    let (zeros, short) = (vec![0.0; n], vec![0.0; n - 1]);
    for (parameters, name, vector) in
        [(&short, "velocity", &zeros), (&zeros, "velocity", &short), (&zeros, "moment", &zeros)]
    {
        assert!(trainer.set_state(parameters, &[(name, vector)]).is_err());
        assert_eq!(trainer.state().unwrap(), before);
    }
    trainer.set_state(&zeros, &[("velocity", &zeros)]).unwrap();
    assert_eq!(trainer.state().unwrap().1, [("velocity", zeros)]);
    trainer.initialize(1, &[Initialization::HeUniform]).unwrap();
    assert_eq!(trainer.state().unwrap().1, []);
}

/// Everything that computes.
#[cfg(target_arch = "x86_64")]
fn everything(parameters: &[f32], x: &Inputs<f32>, y: &Answers<f32>) -> impl PartialEq + use<> {
    let mut trainer = trainer::<f32>(Isa::detect(), &[6, 5, 3], &[Tanh; 2], Loss::SquaredError);
    let drawn = (trainer.state().unwrap(), trainer.predict(x, 10).unwrap());
    trainer.set_state(parameters, &[]).unwrap();
    let mut data = Dataset::new(x.clone(), y.clone(), 10, (6, 3), 4, Some(1)).unwrap();
    let gradients = trainer.gradients(&data).unwrap();
    assert!(gradients.1.iter().any(|x| x.is_subnormal()), "or the test shows little");
    (
        (drawn, gradients, trainer.evaluate(&data, 0, data.rows(), 0.0).unwrap()),
        (trainer.trace(&data).unwrap(), take(&mut trainer, &mut data, &[0.3; 3])),
        trainer.state().unwrap(),
    )
}

#[test]
#[cfg(target_arch = "x86_64")]
fn settings_of_another_library_change_no_bit() {
    let small = |seed, n| mild::<f32>(seed, n).iter().map(|x| x * 1e-20).collect::<Vec<_>>();
    let (parameters, pixels) = (small(8, 53), (0..60).collect());
    let (x, y) = (Inputs::Pixels(pixels), Answers::Targets(small(10, 30)));
    let plain = everything(&parameters, &x, &y);
    assert!(crate::kernels::fpu::disturbed(|| everything(&parameters, &x, &y)) == plain);
}
