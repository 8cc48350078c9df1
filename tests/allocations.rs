//! After the first batch training allocates nothing: every allocation of the process is counted.

#![allow(unsafe_code)] // an allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use chainrule::activation::Activation;
use chainrule::data::{Answers, Dataset, Inputs};
use chainrule::init::Initialization;
use chainrule::loss::Loss;
use chainrule::network::Network;
use chainrule::optimizer::Optimizer;
use chainrule::plan::Plan;
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

/// How often a slice of steps allocates that is not the first of its epoch: the least of some tries,
/// as the threads of the test's harness allocate now and then.
fn in_later_steps(batch: usize, threads: usize, momentum: f64, deliberate: bool) -> usize {
    (0..8).map(|_| in_one_try(batch, threads, momentum, deliberate)).min().unwrap_or(usize::MAX)
}

fn in_one_try(batch: usize, threads: usize, momentum: f64, deliberate: bool) -> usize {
    let activations = [Activation::Tanh, Activation::Relu, Activation::Softmax];
    let network = Network::<f32>::new(&[40, 150, 70, 10], &activations, Loss::CrossEntropy);
    let mut trainer = Trainer::new(network.unwrap(), Plan::new(None).unwrap());
    trainer.initialize(1, &[Initialization::GlorotUniform; 3]).unwrap();
    trainer.allow_threads(threads);
    let rows = 3 * batch;
    let x: Vec<f32> =
        (0_u16..1000).map(|i| f32::from(i) / 1000.0).cycle().take(40 * rows).collect();
    let labels: Vec<i64> = (0..10).cycle().take(rows).collect();
    let y = Answers::labels(&labels, 10).unwrap();
    let mut data = Dataset::new(Inputs::Values(x), y, rows, (40, 10), batch, Some(3)).unwrap();
    let optimizer = Optimizer::Sgd { momentum, l2: 0.01 };
    let mut take = |first: usize, rates: &[f64]| {
        let steps = Steps { epoch: 0, first, rates, optimizer };
        let outcome = trainer.train(&mut data, &steps, Totals::default()).unwrap();
        assert_eq!((outcome.steps, outcome.diverged), (rates.len(), None));
    };
    take(0, &[0.1]);
    allocations(|| {
        take(1, &[0.1, 0.1]);
        if deliberate {
            std::hint::black_box(vec![batch]);
        }
    })
}

/// One test, so that little else allocates meanwhile.
#[test]
fn nothing_is_allocated_after_the_first_batch() {
    for batch in [1, 20, 300] {
        for threads in [1, 2] {
            for momentum in [0.0, 0.9] {
                let found = in_later_steps(batch, threads, momentum, false);
                assert_eq!(found, 0, "batch {batch}, {threads} threads, momentum {momentum}");
            }
        }
    }
    assert_eq!(in_later_steps(20, 2, 0.0, true), 1, "a deliberate allocation is seen");
}
