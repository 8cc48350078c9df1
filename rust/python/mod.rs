//! The Python module `chainrule._core`: parse, detach, call, convert. No arithmetic.

mod arrays;
mod engine;
mod errors;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::kernels::{Isa, fpu};

/// The Rust engine of chainrule: its class, its datasets, and what the machine can do.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EXACTNESS", crate::EXACTNESS)?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<engine::Dataset>()?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(exactly, module)?)?;
    module.add_function(wrap_pyfunction!(isas, module)?)
}

/// The instruction sets that this machine has, the widest last.
#[pyfunction]
fn isas() -> Vec<&'static str> {
    Isa::available().into_iter().map(Isa::name).collect()
}

/// Calls with round to nearest and subnormals kept, whatever another library has set, and restores.
#[pyfunction]
#[pyo3(signature = (call, *args, **kwargs))]
fn exactly<'py>(
    call: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let _guard = fpu::Guard::new();
    call.call(args, kwargs)
}
