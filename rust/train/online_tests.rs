//! The online form, that of a few rows, and the layered one that leaves out zeros, judged by the plain
//! layered one, bit for bit.

use crate::activation::Activation::{self, Identity, Relu, Sigmoid, Softmax, Tanh};
use crate::data::{Answers, Dataset, Inputs};
use crate::init::Initialization;
use crate::kernels::gemm::BLOCK;
use crate::kernels::lines::LINE;
use crate::kernels::testing::{
    DECODES, Decodes, MET_ENDS, MET_TINY, any_of, assert_bits, bits, each_alone, extreme, mild,
};
use crate::kernels::{Isa, Real};
use crate::loss::Loss;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::plan::{LIT_LINES, Path, Plan};
use crate::rng::Words;
use crate::train::{Steps, Totals, Trained, Trainer};

/// What a run starts from.
struct Case<T> {
    sizes: Vec<usize>,
    activations: Vec<Activation>,
    loss: Loss,
    /// Other parameters than the drawn ones.
    parameters: Option<Vec<T>>,
    x: Inputs<T>,
    y: Answers<T>,
    rows: usize,
    optimizer: Optimizer,
    rate: f64,
}

/// What came out: how it went, slice by slice, and the state in the end.
struct Outcome<T> {
    slices: Vec<Trained>,
    parameters: Vec<T>,
    vectors: Vec<(&'static str, Vec<T>)>,
}

/// Two epochs of steps on a path, cut unevenly; ends where training diverges.
fn run<T: Real>(case: &Case<T>, batch: usize, isa: Isa, path: Path, threads: usize) -> Outcome<T> {
    let mut plan = Plan::new(Some(isa.name())).unwrap();
    plan.forced = Some(path);
    let network = Network::new(&case.sizes, &case.activations, case.loss).unwrap();
    let ends = (network.n_in(), network.n_out());
    let mut trainer = Trainer::new(network, plan);
    trainer.allow_threads(threads);
    trainer.initialize(3, &vec![Initialization::GlorotUniform; case.activations.len()]).unwrap();
    if let Some(parameters) = &case.parameters {
        trainer.set_state(parameters, &[]).unwrap();
    }
    let (x, y) = (case.x.clone(), case.y.clone());
    let mut data = Dataset::new(x, y, case.rows, ends, batch, Some(7)).unwrap();
    let (mut totals, mut slices) = (Totals::default(), Vec::new());
    'epochs: for epoch in 0..2 {
        let mut first = 0;
        let steps = data.steps();
        for count in [1, steps / 2, steps - 1 - steps / 2] {
            let rates = &vec![case.rate; count][..];
            let steps = Steps { epoch, first, rates, optimizer: case.optimizer };
            let after = trainer.train(&mut data, &steps, totals).unwrap();
            assert_eq!(trainer.plan().path, path);
            assert_eq!(trainer.batch.is_some(), path.is_few() && after.diverged.is_none());
            slices.push(after);
            totals = after.totals;
            first += count;
            if after.diverged.is_some() {
                break 'epochs;
            }
        }
    }
    let (parameters, vectors) = trainer.state().unwrap();
    Outcome { slices, parameters, vectors }
}

/// Compares the online paths on every instruction set, and those of batches, too; returns whether
/// training diverged.
fn judge<T: Real>(case: &Case<T>, paths: &[Path], what: &str) -> bool {
    let mut diverged = judge_batch(case, 1, paths, 1, what);
    let sparse = paths.contains(&Path::OnlineSparse);
    if sparse
        && matches!(case.x, Inputs::Pixels(_))
        && case.sizes[1] <= LINE
        && case.sizes[0] <= 1024
    {
        // Where rows are decoded on one set only, as well as on all.
        DECODES.set(Decodes { everywhere: true, count: 0 });
        judge_batch(case, 1, &[Path::OnlineSparse], 1, what);
        let Decodes { count, .. } = DECODES.replace(Decodes { everywhere: false, count: 0 });
        assert!(count >= Isa::available().len(), "{count} rows were decoded: {what}");
    }
    for batch in [1, 2, 5] {
        diverged |= judge_batch(case, batch, &by_batches(case, batch, sparse), 1, what);
    }
    diverged
}

/// The paths, other than the plain one, that batches can take; those that leave out zeros, too.
fn by_batches<T>(case: &Case<T>, batch: usize, sparse: bool) -> Vec<Path> {
    let few = batch <= BLOCK;
    let all = [
        (Path::LayeredSparse, sparse),
        (Path::FewSparse, sparse && few && case.sizes[1] <= LIT_LINES * LINE),
        (Path::Few, few),
    ];
    all.into_iter().filter_map(|(path, can)| can.then_some(path)).collect()
}

fn judge_batch<T: Real>(
    case: &Case<T>,
    batch: usize,
    paths: &[Path],
    threads: usize,
    what: &str,
) -> bool {
    let expected = each_alone(|| run(case, batch, Isa::detect(), Path::Layered, 1));
    for isa in Isa::available() {
        for &path in paths {
            let what = format!("{what} {} {} {batch} {}", isa.name(), path.name(), T::DTYPE);
            let found = run(case, batch, isa, path, threads);
            for (found, expected) in found.slices.iter().zip(&expected.slices) {
                let sums =
                    |t: &Trained| (bits(t.totals.loss), t.totals.correct, t.totals.saturated);
                assert_eq!(sums(found), sums(expected), "{what}");
                assert_eq!(found.steps, expected.steps, "{what}");
                assert_eq!(found.diverged, expected.diverged, "{what}");
            }
            assert_eq!(found.slices.len(), expected.slices.len(), "{what}");
            assert_bits(&found.parameters, &expected.parameters, &what);
            assert_eq!(found.vectors.len(), expected.vectors.len());
            for ((_, found), (_, expected)) in found.vectors.iter().zip(&expected.vectors) {
                assert_bits(found, expected, &what);
            }
        }
    }
    expected.slices.iter().any(|trained| trained.diverged.is_some())
}

const BOTH: [Path; 2] = [Path::Online, Path::OnlineSparse];

/// Pixels of which about one in eight is not 0, some rows without any.
fn pixels(rows: usize, n_in: usize) -> Vec<u8> {
    let words = Words::new(11, 99, 0).take(rows * n_in).map(u64::to_le_bytes).enumerate();
    let lit = |(i, [pixel, chance, ..]): (usize, [u8; 8])| {
        if i / n_in % 5 == 4 || chance > 32 { 0 } else { pixel }
    };
    words.map(lit).collect()
}

fn labels<T: Real>(rows: usize, n_out: usize) -> Answers<T> {
    Answers::Labels((0..u32::try_from(n_out).unwrap()).cycle().take(rows).collect())
}

fn sgd(momentum: f64, l2: f64) -> Optimizer {
    Optimizer::Sgd { momentum, l2 }
}

const OPTIMIZERS: [(f64, f64); 4] = [(0.0, 0.0), (0.0, 0.01), (0.9, 0.0), (0.9, 0.01)];

fn every_activation_and_loss<T: Real>(sizes: [usize; 4]) {
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
            for (momentum, l2) in OPTIMIZERS {
                let case = Case {
                    sizes: sizes.to_vec(),
                    activations: vec![hidden, hidden, output],
                    loss,
                    parameters: None,
                    x: Inputs::Pixels(pixels(12, 40)),
                    y: labels::<T>(12, 5),
                    rows: 12,
                    optimizer: sgd(momentum, l2),
                    rate: 0.1,
                };
                judge(
                    &case,
                    &BOTH,
                    &format!("{sizes:?} {hidden:?} {output:?} {loss:?} {momentum} {l2}"),
                );
            }
        }
    }
}

#[test]
fn activations_losses_and_optimizers() {
    // The second has at most a line of outputs a layer.
    for sizes in [[40, 18, 9, 5], [40, 16, 9, 5]] {
        every_activation_and_loss::<f32>(sizes);
        every_activation_and_loss::<f64>(sizes);
    }
}

/// Odd widths, tails of blocks and of lines, and all kinds of inputs and answers.
fn every_size<T: Real>() {
    for sizes in [
        &[1, 1][..],
        &[3, 2, 1],
        &[16, 16, 16],
        &[255, 17, 3],
        &[256, 33, 2],
        &[257, 1, 64, 4],
        &[784, 16, 16, 10],
        &[1030, 70, 300, 7],
    ] {
        let (rows, n_in, n_out) = (9, sizes[0], sizes[sizes.len() - 1]);
        let mut activations = vec![Tanh; sizes.len() - 1];
        activations[sizes.len() - 2] = Identity;
        let numbers = pixels(rows, n_in);
        let values = numbers.iter().map(|&x| T::from_f64(if x % 2 == 1 { -0.5 } else { 2.0 }));
        let sparse = numbers.iter().zip(values).map(|(&x, value)| match x {
            0 => -T::ZERO,
            _ => value,
        });
        let inputs = [
            (Inputs::Pixels(numbers.clone()), &BOTH[..]),
            (Inputs::Values(sparse.collect()), &BOTH[..]),
            (Inputs::Values(mild(5, rows * n_in)), &BOTH[..1]),
        ];
        for (x, paths) in inputs {
            for y in [labels(rows, n_out), Answers::Targets(mild(6, rows * n_out))] {
                for (momentum, l2) in [(0.0, 0.0), (0.9, 0.01)] {
                    let case = Case {
                        sizes: sizes.to_vec(),
                        activations: activations.clone(),
                        loss: Loss::SquaredError,
                        parameters: None,
                        x: x.clone(),
                        y: y.clone(),
                        rows,
                        optimizer: sgd(momentum, l2),
                        rate: 0.01,
                    };
                    let paths = if n_in < 20 { &BOTH[..1] } else { paths };
                    assert!(!judge(&case, paths, &format!("{sizes:?} {momentum}")));
                }
            }
        }
    }
}

#[test]
fn sizes_inputs_and_answers() {
    every_size::<f32>();
    every_size::<f64>();
}

/// Batches of one tile and of several, shared by workers.
fn every_batch<T: Real>() {
    let (rows, sizes) = (603, vec![530, 115, 4]);
    let numbers = pixels(rows, sizes[0]);
    let values = numbers.iter().map(|&x| T::from_f64(f64::from(x) / 100.0 - 1.0));
    let values = numbers.iter().zip(values).map(|(&x, v)| if x == 0 { T::ZERO } else { v });
    for x in [Inputs::Values(values.collect()), Inputs::Pixels(numbers.clone())] {
        for (momentum, l2) in OPTIMIZERS {
            let case = Case {
                sizes: sizes.clone(),
                activations: vec![Relu, Softmax],
                loss: Loss::CrossEntropy,
                parameters: None,
                x: x.clone(),
                y: labels::<T>(rows, 4),
                rows,
                optimizer: sgd(momentum, l2),
                rate: 0.01,
            };
            for (batch, threads) in [(100, 1), (256, 2), (257, 3), (600, 8)] {
                let what = format!("{momentum} {l2} {threads} threads");
                let paths = by_batches(&case, batch, true);
                assert!(!judge_batch(&case, batch, &paths, threads, &what));
            }
        }
    }
}

#[test]
fn batches_and_threads() {
    every_batch::<f32>();
    every_batch::<f64>();
}

/// Parameters, inputs and rates of all magnitudes: overflow, underflow, zeros of both signs.
fn every_magnitude<T: Real>() {
    let (mut diverged, mut ended_well) = (0, 0);
    for seed in 0..60_u8 {
        let hiddens = [Identity, Sigmoid, Tanh, Relu];
        // One line of outputs, and two.
        for (hidden, width) in hiddens.into_iter().flat_map(|hidden| [(hidden, 5), (hidden, 20)]) {
            let sizes = vec![30, width, 6, 2];
            let count = 31 * width + (width + 1) * 6 + 7 * 2;
            // Few extreme ones among mild ones: else every first step overflows.
            let mix = |seed: u8, n, often| {
                let seed = u64::from(seed);
                let choose = mild::<f64>(seed + 1000, n);
                let both = extreme::<T>(seed, n).into_iter().zip(mild::<T>(seed + 500, n));
                let chosen = both.zip(choose).map(|((e, m), c)| if c > often { e } else { m });
                chosen.collect::<Vec<_>>()
            };
            let often = [0.9, 0.98, 0.0, 0.99][usize::from(seed) % 4];
            let mut x = mix(seed + 60, 8 * 30, often);
            for (i, x) in x.iter_mut().enumerate() {
                if i % 7 > 0 {
                    *x = T::ZERO;
                }
            }
            let (momentum, l2) = OPTIMIZERS[usize::from(seed) / 4 % 4];
            let case = Case {
                sizes,
                activations: vec![hidden, hidden, [Identity, Relu, Sigmoid][usize::from(seed) % 3]],
                loss: Loss::SquaredError,
                parameters: Some(mix(seed, count, often)),
                x: if seed % 3 == 0 { Inputs::Pixels(pixels(8, 30)) } else { Inputs::Values(x) },
                y: labels(8, 2),
                rows: 8,
                optimizer: sgd(momentum, l2),
                rate: [0.0, 0.1, 1e-30, 1e30][usize::from(seed) / 16 % 4],
            };
            if judge(&case, &BOTH, &format!("{seed} {hidden:?} {width}")) {
                diverged += 1;
            } else {
                ended_well += 1;
            }
        }
    }
    assert!(diverged > 20 && ended_well > 20, "{diverged} and {ended_well}: or it shows little");
}

#[test]
fn magnitudes_and_divergence() {
    every_magnitude::<f32>();
    every_magnitude::<f64>();
}

/// Batches of a few rows, whole ones and a shorter last one.
fn a_few_rows<T: Real>() {
    let rows = 35;
    for (sizes, output, loss) in [
        (vec![784, 30, 10], Sigmoid, Loss::SquaredError),
        (vec![300, 16, 40, 20, 3], Softmax, Loss::CrossEntropy),
        (vec![256, 12], Softmax, Loss::SquaredError),
        (vec![70, 1, 1], Sigmoid, Loss::BinaryCrossEntropy),
    ] {
        let (n_in, n_out, layers) = (sizes[0], sizes[sizes.len() - 1], sizes.len() - 1);
        let numbers = pixels(rows, n_in);
        let value = |&x: &u8| if x == 0 { T::ZERO } else { T::from_f64(f64::from(x) / 64.0 - 2.0) };
        let values = Inputs::Values(numbers.iter().map(value).collect());
        for (x, y) in [
            (Inputs::Pixels(numbers), labels(rows, n_out)),
            (
                values,
                Answers::Targets(mild::<T>(6, rows * n_out).into_iter().map(T::abs).collect()),
            ),
        ] {
            for (hidden, (momentum, l2)) in
                [Sigmoid, Relu, Tanh, Identity].into_iter().zip(OPTIMIZERS)
            {
                let mut activations = vec![hidden; layers];
                activations[layers - 1] = output;
                let case = Case {
                    sizes: sizes.clone(),
                    activations,
                    loss,
                    parameters: None,
                    x: x.clone(),
                    y: y.clone(),
                    rows,
                    optimizer: sgd(momentum, l2),
                    rate: 0.01,
                };
                for batch in [3, 10, 15, 16] {
                    let what = format!("{sizes:?} {momentum} {l2}");
                    let paths = by_batches(&case, batch, true);
                    assert!(!judge_batch(&case, batch, &paths, 2, &what));
                }
            }
        }
    }
}

#[test]
fn batches_of_a_few_rows() {
    a_few_rows::<f32>();
    a_few_rows::<f64>();
}

/// A network whose units saturate so far that their deltas, or their activations, are among the least numbers;
/// and some weights too, which such a delta moves.
fn saturated<T: Real>(rows: usize, hidden: Activation, width: usize) -> Case<T> {
    let (n_in, least) = (600, if T::LANES == 8 { 1e-42 } else { 1e-312 });
    let count = (n_in + 1) * width + (width + 1) * 9 + 10 * 3;
    let rare = any_of::<T>(&[0.0, -0.0, least, -1e3 * least, 1e-30], 4, count);
    let scale = T::from_f64(if T::LANES == 8 { 20.0 } else { 150.0 });
    let weights = mild::<T>(5, count).into_iter().zip(rare).enumerate();
    let weight = |(i, (w, rare))| if i % 23 == 0 { rare } else { w * scale };
    Case {
        sizes: vec![n_in, width, 9, 3],
        activations: vec![hidden, hidden, Sigmoid],
        loss: Loss::SquaredError,
        parameters: Some(weights.map(weight).collect()),
        x: Inputs::Pixels(pixels(rows, n_in)),
        y: labels(rows, 3),
        rows,
        optimizer: sgd(0.0, 0.0),
        rate: 0.5,
    }
}

/// Each path, and that it left out what is tiny and could not always.
fn every_saturated<T: Real>() {
    for (hidden, width) in [(Sigmoid, 12), (Tanh, 16), (Sigmoid, 30), (Sigmoid, 115), (Tanh, 40)] {
        let case = saturated::<T>(45, hidden, width);
        let what = format!("{hidden:?} {width}");
        MET_TINY.take();
        assert!(!judge_batch(&case, 1, &BOTH, 1, &what));
        MET_TINY.met_both(0);
        for path in by_batches(&case, 40, true) {
            for batch in [2, 5, 40] {
                MET_ENDS.take();
                assert!(!judge_batch(&case, batch, &[path], 1, &what));
                let [exactly, not] = MET_ENDS.take();
                // The slope of tanh is mostly 0 where that of sigmoid is tiny.
                assert!(match (path, hidden) {
                    (Path::Few, _) => exactly + not == 0,
                    (_, Sigmoid) => exactly > 0 && not > 100,
                    _ => true,
                });
            }
        }
        for (momentum, l2) in OPTIMIZERS {
            let case = Case { optimizer: sgd(momentum, l2), ..saturated::<T>(45, hidden, width) };
            assert!(!judge(&case, &BOTH, &format!("{what} {momentum} {l2}")));
        }
    }
    // Of several tiles a gradient is summed up in more than one block.
    let case = saturated::<T>(603, Sigmoid, 115);
    for (batch, threads) in [(256, 2), (257, 3), (600, 8)] {
        let paths = by_batches(&case, batch, true);
        assert!(!judge_batch(&case, batch, &paths, threads, "several tiles"));
    }
}

#[test]
fn saturated_units() {
    every_saturated::<f32>();
    every_saturated::<f64>();
}

#[test]
fn other_work_is_layered() {
    let plan = Plan { forced: Some(Path::Online), ..Plan::new(None).unwrap() };
    let network = Network::<f32>::new(&[3, 2], &[Sigmoid], Loss::SquaredError).unwrap();
    let mut trainer = Trainer::new(network, plan);
    let data = |batch_size| {
        let x = Inputs::Values(mild(1, 12));
        Dataset::new(x, labels(4, 2), 4, (3, 2), batch_size, None).unwrap()
    };
    for (batch_size, path) in [(1, Path::Online), (2, Path::Layered)] {
        let steps = Steps { epoch: 0, first: 0, rates: &[0.1], optimizer: sgd(0.0, 0.0) };
        trainer.train(&mut data(batch_size), &steps, Totals::default()).unwrap();
        assert_eq!(trainer.plan().path, path);
    }
}
