//! The Python module `chainrule._core`: parse, detach, call, convert. No arithmetic.

mod arrays;
mod engine;
mod errors;

use pyo3::prelude::*;

use crate::kernels::Isa;

/// The Rust engine of chainrule: its class, its datasets, and what the machine can do.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EXACTNESS", crate::EXACTNESS)?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<engine::Dataset>()?;
    module.add_function(wrap_pyfunction!(isas, module)?)
}

/// The instruction sets that this machine has, the widest last.
#[pyfunction]
fn isas() -> Vec<&'static str> {
    Isa::available().into_iter().map(Isa::name).collect()
}
