//! Fully connected neural networks on the CPU.
//!
//! The crate does the arithmetic of the Python package `chainrule`; it knows nothing of Python
//! unless the feature `python` is on. Every result is the same to the bit whatever the
//! instruction set: `docs/exactness.md` states the rules.

pub mod kernels;
