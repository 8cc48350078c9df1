//! After the first batch training allocates nothing: every allocation of the process is counted.
//!
//! A program of its own (`harness = false`, so it takes no arguments), as the threads of a harness
//! allocate, too.

#![allow(unsafe_code)] // an allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use chainrule::activation::Activation;
use chainrule::data::{Answers, Dataset, Inputs};
use chainrule::init::Initialization;
use chainrule::loss::Loss;
use chainrule::network::Network;
use chainrule::optimizer::Optimizer;
use chainrule::plan::{Path, Plan};
use chainrule::train::{Steps, Totals, Trainer};

/// The system's allocator, counting.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is the system's allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's word; so below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` allocates.
fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.load(Ordering::SeqCst);
    f();
    COUNT.load(Ordering::SeqCst) - before
}

/// A path, and how it is taken.
struct Case {
    path: Path,
    batch: usize,
    hidden: usize,
    threads: usize,
    momentum: f64,
    /// Whether something is allocated that need not be.
    deliberate: bool,
}

/// How often slices of steps allocate that are not the first: in the same epoch, and in the next.
fn in_later_steps(case: &Case) -> usize {
    let Case { path, batch, hidden, threads, momentum, deliberate } = *case;
    let activations = [Activation::Tanh, Activation::Relu, Activation::Softmax];
    let network = Network::<f32>::new(&[300, hidden, 70, 10], &activations, Loss::CrossEntropy);
    let plan = Plan { forced: Some(path), ..Plan::new(None).unwrap() };
    let mut trainer = Trainer::new(network.unwrap(), plan);
    trainer.initialize(1, &[Initialization::GlorotUniform; 3]).unwrap();
    trainer.allow_threads(threads);
    let rows = 3 * batch;
    // Every seventh input is not 0.
    let x = (0_u16..1001).map(|i| f32::from(i % 7 / 6) * f32::from(i) / 1000.0);
    let x = Inputs::Values(x.cycle().take(300 * rows).collect());
    let labels: Vec<i64> = (0..10).cycle().take(rows).collect();
    let y = Answers::labels(&labels, 10).unwrap();
    let mut data = Dataset::new(x, y, rows, (300, 10), batch, Some(3)).unwrap();
    let optimizer = Optimizer::Sgd { momentum, l2: 0.01 };
    let mut take = |epoch: u64, first: usize, rates: &[f64]| {
        let steps = Steps { epoch, first, rates, optimizer };
        let outcome = trainer.train(&mut data, &steps, Totals::default()).unwrap();
        assert_eq!((outcome.steps, outcome.diverged), (rates.len(), None));
        assert_eq!(trainer.plan().path, path);
    };
    take(0, 0, &[0.1]);
    allocations(|| {
        take(0, 1, &[0.1, 0.1]);
        take(1, 0, &[0.1; 3]); // beside the last of these the next epoch may be prepared
        take(2, 0, &[0.1]);
        if deliberate {
            std::hint::black_box(vec![batch]);
        }
    })
}

/// Each path, with rows a batch that it is for, and units of the first layer: of many rows and few
/// units the tiles are shared; a few rows through few units stay in lines; behind 3,000 units they pass the
/// weights once.
const PATHS: [(Path, usize, usize); 11] = [
    (Path::Layered, 1, 150),
    (Path::Layered, 2, 3000),
    (Path::Layered, 20, 150),
    (Path::Layered, 300, 150),
    (Path::Layered, 600, 20),
    (Path::Few, 4, 150),
    (Path::FewSparse, 10, 16),
    (Path::LayeredSparse, 20, 150),
    (Path::LayeredSparse, 300, 20),
    (Path::Online, 1, 150),
    (Path::OnlineSparse, 1, 150),
];

fn main() {
    for (path, batch, hidden) in PATHS {
        for threads in [1, 2] {
            for momentum in [0.0, 0.9] {
                let case = Case { path, batch, hidden, threads, momentum, deliberate: false };
                let what = format!("{} {batch} {hidden} {threads} {momentum}", path.name());
                assert_eq!(in_later_steps(&case), 0, "{what}");
                let case = Case { deliberate: true, ..case };
                assert_eq!(in_later_steps(&case), 1, "{what}: a deliberate allocation is seen");
            }
        }
    }
    println!("nothing is allocated after the first batch: {} paths", PATHS.len());
}
