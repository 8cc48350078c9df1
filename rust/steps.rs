//! What training is asked for, and what it tells.

use crate::kernels::Real;
use crate::optimizer::Optimizer;

/// Sums over the rows trained since they were last set to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// The losses of the rows, added in the order of training.
    pub loss: f64,
    /// Rows that were classified rightly before the step they took part in.
    pub correct: u64,
    /// Hidden activations whose derivative was below [`crate::activation::SATURATED`].
    pub saturated: u64,
}

impl Totals {
    /// Adds the losses of some rows, in their order. Returns their own sum, which is finite where
    /// they are.
    pub fn add_losses<T: Real>(&mut self, losses: &[T]) -> f64 {
        let mut sum = 0.0;
        for loss in losses {
            let loss = loss.to_f64();
            sum += loss;
            self.loss += loss;
        }
        sum
    }
}

/// Which steps to take.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// The epoch: it decides the order of the rows.
    pub epoch: u64,
    /// The first step, counted within the epoch.
    pub first: usize,
    /// The learning rate of each step.
    pub rates: &'a [f64],
    /// What a step does with the gradient.
    pub optimizer: Optimizer,
}

/// How the steps went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// The sums handed in, and what the complete steps add.
    pub totals: Totals,
    /// How many steps were completed.
    pub steps: usize,
    /// The layer in which something was no longer finite: training stopped there.
    pub diverged: Option<usize>,
}
