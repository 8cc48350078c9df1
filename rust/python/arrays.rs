//! NumPy arrays to vectors and back.

use numpy::prelude::*;
use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayDyn, dtype};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::data::{Inputs, Source};
use crate::error::Error;
use crate::kernels::foreign::{Bits, Foreign};
use crate::kernels::{Isa, Real};

/// An element type that NumPy knows too.
pub(super) trait Number: Real + Element {}

impl<T: Real + Element> Number for T {}

/// What becomes of the elements of an array of exactly this type and so many dimensions,
/// C-contiguous; and its shape. The interpreter is not let go, but what has done so may write.
fn kept<T: Element + Bits, R>(
    what: &str,
    array: &Bound<'_, PyAny>,
    dimensions: usize,
    keep: impl FnOnce(Foreign<'_, T>) -> Result<R, Error>,
) -> PyResult<(R, Vec<usize>)> {
    let wanted =
        || format!("expected {what} as an array of {} ({dimensions}-D)", dtype::<T>(array.py()));
    let array = array
        .cast::<PyArrayDyn<T>>()
        .map_err(|_| PyTypeError::new_err(format!("{}, found {}", wanted(), described(array))))?;
    if array.ndim() != dimensions {
        return Err(PyValueError::new_err(format!("{}, found {}", wanted(), described(array))));
    }
    if !array.is_c_contiguous() {
        return Err(PyValueError::new_err(format!(
            "expected {what} C-contiguous: pass numpy.ascontiguousarray({what})"
        )));
    }
    let elements = Foreign::of(array).ok_or_else(|| {
        PyValueError::new_err(format!("expected {what} aligned: pass {what}.copy()"))
    })?;
    Ok((keep(elements)?, array.shape().to_vec()))
}

/// The dtype and shape of an array, or the type of what is none.
fn described(object: &Bound<'_, PyAny>) -> String {
    match (object.getattr("dtype"), object.getattr("shape")) {
        (Ok(dtype), Ok(shape)) => format!("{dtype} with shape {shape}"),
        _ => object.get_type().to_string(),
    }
}

/// A copy of a vector (n,).
pub(super) fn vector<T: Element + Bits>(what: &str, array: &Bound<'_, PyAny>) -> PyResult<Vec<T>> {
    Ok(kept(what, array, 1, |elements| elements.to_vec())?.0)
}

/// A copy of a matrix, and its rows and columns.
pub(super) fn matrix<T: Element + Bits>(
    what: &str,
    array: &Bound<'_, PyAny>,
) -> PyResult<(Vec<T>, usize, usize)> {
    let (elements, shape) = kept(what, array, 2, |elements| elements.to_vec())?;
    Ok((elements, shape[0], shape[1]))
}

/// A copy of inputs (n, n_in), numbers or pixels, and their rows and columns.
pub(super) fn inputs<T: Number>(array: &Bound<'_, PyAny>) -> PyResult<(Inputs<T>, usize, usize)> {
    if is_pixels(array) {
        let (pixels, rows, columns) = matrix("x", array)?;
        Ok((Inputs::Pixels(pixels), rows, columns))
    } else {
        let (values, rows, columns) = matrix("x", array)?;
        Ok((Inputs::Values(values), rows, columns))
    }
}

/// The same in the form for a dataset, where there are `n_in` columns.
pub(super) fn dataset_inputs<T: Number>(
    isa: Isa,
    n_in: usize,
    array: &Bound<'_, PyAny>,
) -> PyResult<(Inputs<T>, usize, usize)> {
    if !is_pixels(array) {
        return inputs(array);
    }
    let keep = |pixels: Foreign<'_, u8>| Inputs::of_pixels(isa, pixels, n_in);
    let (inputs, shape) = kept("x", array, 2, keep)?;
    Ok((inputs, shape[0], shape[1]))
}

fn is_pixels(array: &Bound<'_, PyAny>) -> bool {
    array.cast::<PyArrayDyn<u8>>().is_ok()
}

/// Inputs (n, n_in), numbers or pixels, where they lie.
pub(super) enum InPlace<'a, 'py, T> {
    Values(&'a Bound<'py, PyArray2<T>>),
    Pixels(&'a Bound<'py, PyArray2<u8>>),
}

impl<'a, 'py, T: Number> InPlace<'a, 'py, T> {
    /// None where it is no plain array of either kind.
    pub(super) fn of(array: &'a Bound<'py, PyAny>) -> Option<Self> {
        match array.cast_exact() {
            Ok(values) => Some(Self::Values(values)),
            Err(_) => array.cast_exact().ok().map(Self::Pixels),
        }
    }

    /// How many rows and columns.
    pub(super) fn shape(&self) -> (usize, usize) {
        let shape = match self {
            Self::Values(array) => array.shape(),
            Self::Pixels(array) => array.shape(),
        };
        (shape[0], shape[1])
    }

    /// What reads them; None where they are not C-contiguous and aligned.
    pub(super) fn source(&self) -> Option<Source<'a, T>> {
        match self {
            Self::Values(array) => Foreign::of(array).map(Source::Values),
            Self::Pixels(array) => Foreign::of(array).map(Source::Pixels),
        }
    }
}

/// A vector as an array of a shape; the memory goes over to NumPy.
pub(super) fn array<'py, T: Element>(
    py: Python<'py>,
    elements: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let flat: Bound<'py, PyArray1<T>> = elements.into_pyarray(py);
    Ok(flat.reshape(shape.to_vec())?.into_any())
}
