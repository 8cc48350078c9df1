//! What training can go back to: a copy of the parameters and of the optimiser's state.

use super::Trainer;
use crate::error::Error;
use crate::kernels::Real;
use crate::kernels::memory::copied;
use crate::optimizer::State;

/// Parameters in the internal order, and the optimiser's state.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    parameters: Vec<T>,
    state: State<T>,
}

impl<T: Real> Trainer<T> {
    /// Keeps a copy of the parameters and of the optimiser's state, until it is forgotten; it takes
    /// the place of the one before, and its memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; then nothing is kept.
    pub fn remember(&mut self) -> Result<(), Error> {
        let mut kept = match self.kept.take() {
            Some(mut kept) => {
                kept.parameters.copy_from_slice(self.network.parameters());
                kept
            }
            None => Kept { parameters: copied(self.network.parameters())?, state: State::new() },
        };
        kept.state.copy_from(&self.state)?;
        self.kept = Some(kept);
        Ok(())
    }

    /// Goes back to what was kept, if anything was.
    pub fn restore(&mut self) {
        if let Some(Kept { parameters, state }) = self.kept.take() {
            self.network.parts().1.copy_from_slice(&parameters);
            self.state = state;
            self.forget_copies();
        }
    }

    /// Gives the memory of what was kept back.
    pub fn forget(&mut self) {
        self.kept = None;
    }
}

#[cfg(test)]
mod tests {
    use crate::activation::Activation::{Relu, Softmax};
    use crate::data::{Answers, Dataset, Inputs};
    use crate::init::Initialization::HeUniform;
    use crate::loss::Loss;
    use crate::network::Network;
    use crate::optimizer::Optimizer;
    use crate::plan::Plan;
    use crate::steps::{Steps, Totals};
    use crate::train::Trainer;

    #[test]
    fn it_goes_back_to_what_was_last_kept() {
        let network = Network::new(&[3, 4, 2], &[Relu, Softmax], Loss::CrossEntropy).unwrap();
        let mut trainer = Trainer::<f32>::new(network, Plan::new(None).unwrap());
        trainer.initialize(1, &[HeUniform; 2]).unwrap();
        let x = Inputs::Values(vec![0.5, -1.0, 2.0, 1.0, 0.0, 3.0]);
        let y = Answers::labels(&[0, 1], 2).unwrap();
        let mut data = Dataset::new(x, y, 2, (3, 2), 1, None).unwrap();
        let mut step = |trainer: &mut Trainer<f32>, momentum| {
            let optimizer = Optimizer::Sgd { momentum, l2: 0.0 };
            let steps = Steps { epoch: 0, first: 0, rates: &[0.5], optimizer };
            trainer.train(&mut data, &steps, Totals::default()).unwrap();
            trainer.state().unwrap()
        };
        trainer.restore(); // nothing is kept yet
        trainer.remember().unwrap();
        // Without a velocity, with one, with another one, without one again.
        for momentum in [0.9, 0.9, 0.0] {
            let before = step(&mut trainer, momentum);
            trainer.remember().unwrap();
            for momentum in [0.0, 0.9] {
                assert_ne!(step(&mut trainer, momentum), before);
            }
            trainer.restore();
            assert_eq!(trainer.state().unwrap(), before);
            trainer.remember().unwrap();
        }
        trainer.forget();
        let now = step(&mut trainer, 0.9);
        trainer.restore();
        assert_eq!(trainer.state().unwrap(), now);
    }
}
