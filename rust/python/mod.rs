//! The Python module `chainrule._core`: parse, detach, call, convert. No arithmetic.

mod arrays;
mod engine;
mod errors;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::kernels::{Isa, fpu};

/// The Rust engine of chainrule: its class, its datasets, and what the machine can do.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EXACTNESS", crate::EXACTNESS)?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<engine::Dataset>()?;
    module.add_class::<Exact>()?;
    module.add_function(wrap_pyfunction!(isas, module)?)
}

/// The instruction sets that this machine has, the widest last.
#[pyfunction]
fn isas() -> Vec<&'static str> {
    Isa::available().into_iter().map(Isa::name).collect()
}

/// `with Exact():` rounds to nearest and keeps subnormals, whatever another library has set.
#[pyclass(module = "chainrule._core", unsendable)]
struct Exact(Option<fpu::Guard>);

#[pymethods]
impl Exact {
    #[new]
    fn new() -> Self {
        Self(None)
    }

    /// Set the control register of this thread.
    fn __enter__(&mut self) {
        self.0 = Some(fpu::Guard::new());
    }

    /// Restore it.
    #[pyo3(signature = (*_raised))]
    fn __exit__(&mut self, _raised: &Bound<'_, PyTuple>) {
        self.0 = None;
    }
}
