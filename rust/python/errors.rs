//! Errors as Python has them, and the way into the computation, past which no panic goes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
            _ => PyValueError::new_err(error.to_string()),
        }
    }
}

/// Lets other Python threads run while `f` computes.
///
/// A panic is a bug of this crate: it becomes a `RuntimeError` that says so.
pub(super) fn compute<R: Send>(
    py: Python<'_>,
    f: impl FnOnce() -> Result<R, Error> + Send,
) -> PyResult<R> {
    outcome(py.detach(|| catch_unwind(AssertUnwindSafe(f))))
}

/// The same while other Python threads wait.
pub(super) fn compute_at_once<R>(f: impl FnOnce() -> Result<R, Error>) -> PyResult<R> {
    outcome(catch_unwind(AssertUnwindSafe(f)))
}

fn outcome<R>(result: std::thread::Result<Result<R, Error>>) -> PyResult<R> {
    match result {
        Ok(result) => Ok(result?),
        Err(panic) => Err(PyRuntimeError::new_err(format!(
            "internal error: {}; this is a bug in chainrule, please report it",
            message(&*panic)
        ))),
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The network or the dataset is in use by another thread.
pub(super) fn busy(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!(
        "the {what} is busy: another thread is training with it; wait until that is done"
    ))
}
