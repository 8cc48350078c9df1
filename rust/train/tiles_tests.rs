//! Tiles shared by workers against the same by one worker: bit for bit.

use super::Tiles;
use crate::activation::Activation::{self, Identity, Relu, Sigmoid, Softmax, Tanh};
use crate::data::{Answers, Dataset, Inputs};
use crate::init::Initialization;
use crate::kernels::testing::{assert_bits, bits, mild};
use crate::kernels::{Isa, Real};
use crate::loss::Loss;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::plan::Plan;
use crate::train::{Steps, Totals, Trained, Trainer};

/// Three epochs; also how many workers worked.
fn run<T: Real>(
    isa: Isa,
    sizes: &[usize],
    activations: &[Activation],
    loss: Loss,
    (rows, batch): (usize, usize),
    (threads, optimizer, rate): (usize, Optimizer, f64),
) -> (Vec<T>, Vec<T>, Trained, usize) {
    let (n_in, n_out) = (sizes[0], sizes[sizes.len() - 1]);
    let network = Network::new(sizes, activations, loss).unwrap();
    let mut trainer = Trainer::new(network, Plan::new(Some(isa.name())).unwrap());
    trainer.initialize(3, &vec![Initialization::GlorotUniform; activations.len()]).unwrap();
    assert_eq!(Tiles::pay(trainer.network(), batch, threads), threads > 1, "or it shows nothing");
    trainer.allow_threads(threads);
    let x = Inputs::Values(mild(1, rows * n_in));
    let labels: Vec<i64> = (0..3.min(i64::try_from(n_out).unwrap())).cycle().take(rows).collect();
    let y = match loss {
        Loss::CrossEntropy => Answers::labels(&labels, n_out).unwrap(),
        _ => Answers::Targets(mild(2, rows * n_out)),
    };
    let mut data = Dataset::new(x, y, rows, (n_in, n_out), batch, Some(4)).unwrap();
    let mut totals = Totals::default();
    let mut last = None;
    for epoch in 0..3 {
        let rates = vec![rate; data.steps()];
        let steps = Steps { epoch, first: 0, rates: &rates, optimizer };
        let outcome = trainer.train(&mut data, &steps, totals).unwrap();
        totals = outcome.totals;
        last = Some(outcome);
        // The second epoch and the third follow the one before.
        if outcome.diverged.is_none() {
            assert_eq!(data.has_next(), threads > 1 && epoch > 0);
        }
    }
    let (w, vectors) = trainer.state().unwrap();
    let velocity = vectors.into_iter().next().map_or(vec![], |(_, velocity)| velocity);
    (w, velocity, last.unwrap(), trainer.plan().threads)
}

/// Compares two to eight workers with one. Returns whether several worked.
fn compare<T: Real>(
    isas: &[Isa],
    sizes: &[usize],
    activations: &[Activation],
    loss: Loss,
    rows: (usize, usize),
    (optimizer, rate): (Optimizer, f64),
) -> bool {
    let mut helped = false;
    for &isa in isas {
        let (w, v, trained, _) =
            run::<T>(isa, sizes, activations, loss, rows, (1, optimizer, rate));
        for threads in [2, 3, 8] {
            let what = format!("{} {sizes:?} {loss:?} {rows:?} by {threads}", isa.name());
            let by = (threads, optimizer, rate);
            let found = run::<T>(isa, sizes, activations, loss, rows, by);
            assert_bits(&found.0, &w, &what);
            assert_bits(&found.1, &v, &what);
            assert_eq!(bits(found.2.totals.loss), bits(trained.totals.loss), "{what}");
            assert_eq!(found.2.totals.correct, trained.totals.correct, "{what}");
            assert_eq!(found.2.totals.saturated, trained.totals.saturated, "{what}");
            assert_eq!((found.2.steps, found.2.diverged), (trained.steps, trained.diverged));
            helped |= found.3 > 1;
        }
    }
    helped
}

#[test]
fn shared_tiles_are_as_one_after_the_other() {
    let momentum = Optimizer::Sgd { momentum: 0.9, l2: 0.001 };
    let all = &Isa::available();
    let mut helped = false;
    for rows in [(600, 257), (1300, 1300), (1025, 512)] {
        for (hidden, output, loss) in [
            (Tanh, Softmax, Loss::CrossEntropy),
            (Relu, Softmax, Loss::CrossEntropy),
            (Sigmoid, Sigmoid, Loss::BinaryCrossEntropy),
            (Tanh, Identity, Loss::SquaredError),
        ] {
            for optimizer in [momentum, Optimizer::sgd()] {
                let (sizes, activations) = ([4, 32, 16, 4], [hidden, hidden, output]);
                let by = (optimizer, 0.1);
                helped |= compare::<f32>(all, &sizes, &activations, loss, rows, by);
                helped |= compare::<f64>(
                    all,
                    &[7, 19, 1],
                    &[hidden, Sigmoid],
                    Loss::SquaredError,
                    rows,
                    by,
                );
            }
        }
    }
    assert!(helped, "workers came in time at least once");
}

#[test]
fn more_tiles_than_slots() {
    let (sizes, rows) = ([50, 300, 50, 5], (9500, 9500));
    let by = (Optimizer::sgd(), 0.1);
    let activations = [Relu, Tanh, Softmax];
    compare::<f32>(&[Isa::detect()], &sizes, &activations, Loss::CrossEntropy, rows, by);
}

#[test]
fn divergence_is_told_alike() {
    let (sizes, activations, rows) = ([4, 6, 2], [Identity; 2], (600, 600));
    let (loss, by) = (Loss::SquaredError, (Optimizer::sgd(), 1e30));
    let alone = run::<f32>(Isa::detect(), &sizes, &activations, loss, rows, (1, by.0, by.1));
    assert!(alone.2.diverged.is_some(), "or the test shows nothing");
    compare::<f32>(&Isa::available(), &sizes, &activations, loss, rows, by);
}
