//! Fully connected neural networks on the CPU.
//!
//! The crate does the arithmetic of the Python package `chainrule`; it knows nothing of Python
//! unless the feature `python` is on. Every result is the same to the bit whatever the
//! instruction set: `docs/exactness.md` states the rules.
//!
//! To see the algorithm, read [`train`], then [`layer`], [`activation`], [`loss`] and
//! [`optimizer`].
//!
//! # Example
//!
//! XOR, learned from its four rows:
//!
//! ```
//! use chainrule::activation::Activation;
//! use chainrule::data::{Answers, Dataset, Inputs};
//! use chainrule::init::Initialization;
//! use chainrule::loss::Loss;
//! use chainrule::network::Network;
//! use chainrule::optimizer::Optimizer;
//! use chainrule::plan::Plan;
//! use chainrule::train::{Steps, Totals, Trainer};
//!
//! # fn main() -> Result<(), chainrule::error::Error> {
//! let activations = [Activation::Tanh, Activation::Sigmoid];
//! let network = Network::<f32>::new(&[2, 8, 1], &activations, Loss::SquaredError)?;
//! let mut trainer = Trainer::new(network, Plan::new(None)?);
//! trainer.initialize(1, &[Initialization::GlorotUniform; 2])?;
//!
//! let x = Inputs::Values(vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
//! let y = Answers::Targets(vec![0.0, 1.0, 1.0, 0.0]);
//! let mut data = Dataset::new(x.clone(), y, 4, (2, 1), 1, Some(1))?;
//! for epoch in 0..500 {
//!     let steps = Steps { epoch, first: 0, rates: &[0.1; 4], optimizer: Optimizer::sgd() };
//!     trainer.train(&mut data, &steps, Totals::default())?;
//! }
//!
//! let outputs = trainer.predict(&x, 4)?;
//! assert_eq!(outputs.iter().map(|&a| a > 0.5).collect::<Vec<_>>(), [false, true, true, false]);
//! # Ok(())
//! # }
//! ```

pub mod error;
pub mod rng;
pub mod matrix;
pub mod kernels;
pub mod pool;
pub mod activation;
pub mod loss;
pub mod init;
pub mod layer;
pub mod optimizer;
pub mod network;
pub mod data;
pub mod steps;
pub mod plan;
pub mod first;
pub mod workspace;
pub mod online;
pub mod train;
#[cfg(feature = "python")]
mod python;

/// The number of the rules of arithmetic: a change of any bit is a new number.
pub const EXACTNESS: u32 = 1;
