//! Steps that take the next rows through the first layer: bit for bit those that stand alone, which do not.

use super::{Steps, Totals, Trainer};
use crate::activation::Activation::{self, Relu, Softmax, Tanh};
use crate::data::{Answers, Dataset, Inputs};
use crate::init::Initialization;
use crate::kernels::testing::{MET_AHEAD, mild};
use crate::kernels::{Isa, Real};
use crate::loss::Loss;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::plan::{Path, Plan};

const SIZES: [usize; 4] = [300, 200, 20, 5];
const ROWS: usize = 41;
const EPOCHS: usize = 2;

/// A network of [`SIZES`] that is trained layer by layer.
fn trainer<T: Real>(isa: Isa) -> Trainer<T> {
    let plan = Plan { forced: Some(Path::Layered), ..Plan::new(Some(isa.name())).unwrap() };
    let activations: [Activation; 3] = [Tanh, Relu, Softmax];
    let network = Network::new(&SIZES, &activations, Loss::CrossEntropy).unwrap();
    let mut trainer = Trainer::new(network, plan);
    trainer.initialize(3, &[Initialization::GlorotUniform; 3]).unwrap();
    trainer
}

/// Rows of numbers from -1 to 1, and labels.
fn data<T: Real>(batch: usize) -> Dataset<T> {
    let labels: Vec<i64> = [0, 4, 1, 0, 2, 3].into_iter().cycle().take(ROWS).collect();
    let x = mild(1, ROWS * SIZES[0]);
    let y = Answers::labels(&labels, 5).unwrap();
    Dataset::new(Inputs::Values(x), y, ROWS, (SIZES[0], 5), batch, Some(4)).unwrap()
}

/// What [`EPOCHS`] at a rate come to, in slices of so many steps; none where it diverges.
fn train<T: Real>(
    trainer: &mut Trainer<T>,
    data: &mut Dataset<T>,
    (optimizer, rate): (Optimizer, f64),
    slice: usize,
) -> Option<Totals> {
    let mut totals = Totals::default();
    for epoch in 0..EPOCHS as u64 {
        for first in (0..data.steps()).step_by(slice) {
            let rates = &vec![rate; slice.min(data.steps() - first)][..];
            let steps = Steps { epoch, first, rates, optimizer };
            let taken = trainer.train(data, &steps, totals).unwrap();
            if taken.diverged.is_some() {
                return None;
            }
            totals = taken.totals;
        }
    }
    Some(totals)
}

fn check<T: Real>(isa: Isa, batch: usize, optimizer: Optimizer) {
    let run = |slice| {
        let mut trainer = trainer::<T>(isa);
        let begun = trainer.state().unwrap().0;
        MET_AHEAD.take();
        let totals = train(&mut trainer, &mut data(batch), (optimizer, 0.1), slice);
        assert!(trainer.state().unwrap().0 != begun && trainer.plan().path == Path::Layered);
        ((trainer.state().unwrap(), totals), MET_AHEAD.take())
    };
    let (alone, none) = run(1);
    assert_eq!(none, 0, "a step alone has no next one");
    let whole = ROWS / batch; // what is left at the end is fewer rows
    for slice in [2, 5, 100] {
        let (found, met) = run(slice);
        assert!(found == alone, "{} {batch} {slice}", isa.name());
        let steps = |first| slice.min(ROWS.div_ceil(batch) - first);
        let ahead = |first| steps(first).min(whole - first).saturating_sub(1);
        let expected = (0..ROWS.div_ceil(batch)).step_by(slice).filter(|&first| first < whole);
        assert_eq!(met, EPOCHS * expected.map(ahead).sum::<usize>(), "{batch} {slice}");
    }
}

#[test]
fn the_next_rows_are_met_to_the_bit() {
    for isa in Isa::available() {
        for batch in 1..=4 {
            for (momentum, l2) in [(0.0, 0.0), (0.9, 0.0), (0.0, 0.01), (0.9, 0.01)] {
                check::<f32>(isa, batch, Optimizer::Sgd { momentum, l2 });
                check::<f64>(isa, batch, Optimizer::Sgd { momentum, l2 });
            }
        }
    }
}

/// Batches of other sizes before and behind, in the same room.
#[test]
fn rooms_are_kept() {
    let sgd = Optimizer::sgd();
    let run = |slice: usize| {
        let mut trainer = trainer::<f32>(Isa::detect());
        MET_AHEAD.take();
        for batch in [3, 20, 2, 20, 4] {
            assert!(train(&mut trainer, &mut data(batch), (sgd, 0.1), slice).is_some());
        }
        (trainer.state().unwrap(), MET_AHEAD.take() > 0)
    };
    let (found, expected) = (run(100), run(1));
    assert!(found.0 == expected.0 && found.1 && !expected.1);
}

/// Rows that were met by weights that are no longer finite are of no account afterwards.
#[test]
fn what_was_met_before_it_diverged_is_forgotten() {
    let sgd = Optimizer::sgd();
    let mut found = trainer::<f32>(Isa::detect());
    let begun = found.state().unwrap().0;
    MET_AHEAD.take();
    let pulled = Optimizer::Sgd { momentum: 0.0, l2: 100.0 };
    assert_eq!(train(&mut found, &mut data(2), (pulled, 3e38), 100), None);
    assert_eq!(MET_AHEAD.take(), 1, "the first step diverges, having met the next rows");
    found.set_state(&begun, &[]).unwrap();
    let mut expected = trainer::<f32>(Isa::detect());
    for trainer in [&mut found, &mut expected] {
        train(trainer, &mut data(2), (sgd, 0.1), 100);
    }
    assert!(found.state().unwrap() == expected.state().unwrap());
}

/// Workers share the columns of the weights, where each has enough: not of eight.
#[test]
fn the_number_of_threads_changes_no_bit() {
    check_threads::<f32>(Optimizer::sgd());
    check_threads::<f64>(Optimizer::Sgd { momentum: 0.9, l2: 0.01 });
}

fn check_threads<T: Real>(optimizer: Optimizer) {
    let run = |threads: usize| {
        let before = MET_AHEAD.by_pool();
        let mut trainer = trainer::<T>(Isa::detect());
        trainer.allow_threads(threads);
        let totals = train(&mut trainer, &mut data(4), (optimizer, 0.1), 100);
        let worked = trainer.plan().threads;
        ((trainer.state().unwrap(), totals), worked, MET_AHEAD.by_pool() - before)
    };
    let (one, worked, _) = run(1);
    assert_eq!(worked, 1);
    // Whether workers come in time is the system's affair; that any did has to happen once.
    let helped = (0..1000).find(|round| {
        let (several, worked, by_pool) = run([2, 3, 8][round % 3]);
        assert!(several == one);
        worked > 1 && by_pool > 0
    });
    assert!(helped.is_some());
}
