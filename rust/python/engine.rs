//! The class `Engine` and its datasets. `chainrule._backend.Engine` says what each method owes.

use numpy::ndarray::ArrayView2;
use numpy::prelude::*;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::arrays::{self, Number};
use super::errors::{busy, compute, compute_at_once};
use crate::activation::Activation;
use crate::data::{self, Answers, Source};
use crate::error::Error;
use crate::init::Initialization;
use crate::loss::Loss;
use crate::network::Network;
use crate::optimizer::Optimizer;
use crate::plan::{self, Path, Plan};
use crate::train::{Steps, Totals, Trained, Trainer};

/// The arithmetic of one network.
#[pyclass(module = "chainrule._core")]
pub(super) struct Engine(Trainers);

/// One of each element type.
enum Trainers {
    F32(Trainer<f32>),
    F64(Trainer<f64>),
}

/// Rows, what they should become, and how an epoch takes them: a copy that no one else sees.
#[pyclass(module = "chainrule._core")]
pub(super) struct Dataset(Datasets);

enum Datasets {
    F32(data::Dataset<f32>),
    F64(data::Dataset<f64>),
}

/// Does the same for either element type.
macro_rules! either {
    ($engine:expr, $trainer:ident => $result:expr) => {
        match $engine {
            Trainers::F32($trainer) => $result,
            Trainers::F64($trainer) => $result,
        }
    };
}

/// Does the same for either element type, where engine and dataset have the same one.
macro_rules! together {
    ($engine:expr, $dataset:expr, $trainer:ident, $data:ident => $result:expr) => {
        match ($engine, $dataset) {
            (Trainers::F32($trainer), Datasets::F32($data)) => $result,
            (Trainers::F64($trainer), Datasets::F64($data)) => $result,
            _ => Err(PyValueError::new_err(
                "expected a dataset of this engine's dtype, found another",
            )),
        }
    };
}

type TotalsTuple = (f64, u64, u64);

#[pymethods]
impl Engine {
    #[classattr]
    #[pyo3(name = "name")]
    const NAME: &'static str = "rust";

    #[new]
    #[pyo3(signature = (sizes, activations, loss, dtype, isa=None, path=None))]
    #[expect(clippy::needless_pass_by_value, reason = "what Python hands over")]
    fn new(
        py: Python<'_>,
        sizes: Vec<Bound<'_, PyAny>>,
        activations: Vec<String>,
        loss: &str,
        dtype: &str,
        isa: Option<&str>,
        path: Option<&str>,
    ) -> PyResult<Self> {
        let sizes = sizes.iter().map(size).collect::<PyResult<Vec<_>>>()?;
        let named = activations.iter().map(|name| Activation::named(name));
        let activations = named.collect::<Result<Vec<_>, _>>()?;
        let loss = Loss::named(loss)?;
        let forced = path.map(Path::named).transpose()?;
        let plan = Plan { forced, ..Plan::new(isa)? };
        let (sizes, activations) = (&sizes[..], &activations[..]);
        let trainers = match dtype {
            "float32" => compute(py, || {
                Ok(Trainers::F32(Trainer::new(Network::new(sizes, activations, loss)?, plan)))
            }),
            "float64" => compute(py, || {
                Ok(Trainers::F64(Trainer::new(Network::new(sizes, activations, loss)?, plan)))
            }),
            _ => Err(Error::unknown_name("dtype", dtype, &["float32", "float64"]).into()),
        }?;
        Ok(Self(trainers))
    }

    /// Draw new weights, a scheme a layer; zero the biases; forget the optimiser's state.
    #[expect(clippy::needless_pass_by_value, reason = "what Python hands over")]
    fn initialize(slf: &Bound<'_, Self>, seed: u64, initializations: Vec<String>) -> PyResult<()> {
        let named = initializations.iter().map(|name| Initialization::named(name));
        let schemes = &named.collect::<Result<Vec<_>, _>>()?[..];
        let mut this = slf.try_borrow_mut().map_err(|_| busy("network"))?;
        either!(&mut this.0, trainer => {
            compute(slf.py(), move || trainer.initialize(seed, schemes))
        })
    }

    /// Copy the data into the engine's own form. MemoryError where it does not fit.
    fn dataset(
        slf: &Bound<'_, Self>,
        x: &Bound<'_, PyAny>,
        labels: Option<&Bound<'_, PyAny>>,
        targets: Option<&Bound<'_, PyAny>>,
        batch_size: usize,
        shuffle_seed: Option<u64>,
    ) -> PyResult<Dataset> {
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        Ok(Dataset(match &this.0 {
            Trainers::F32(trainer) => {
                Datasets::F32(dataset(trainer, x, labels, targets, batch_size, shuffle_seed)?)
            }
            Trainers::F64(trainer) => {
                Datasets::F64(dataset(trainer, x, labels, targets, batch_size, shuffle_seed)?)
            }
        }))
    }

    /// Take len(rates) steps. Returns totals, complete steps, layer that diverged or None.
    #[expect(clippy::too_many_arguments, reason = "the border is as wide as it is")]
    fn train(
        slf: &Bound<'_, Self>,
        dataset: &Bound<'_, Dataset>,
        epoch: u64,
        first: usize,
        rates: &Bound<'_, PyAny>,
        momentum: f64,
        l2: f64,
        threads: usize,
        totals: TotalsTuple,
    ) -> PyResult<(TotalsTuple, usize, Option<usize>)> {
        let rates = &arrays::vector("rates", rates)?[..];
        let steps = &Steps { epoch, first, rates, optimizer: Optimizer::Sgd { momentum, l2 } };
        let (loss, correct, saturated) = totals;
        let totals = Totals { loss, correct, saturated };
        let mut this = slf.try_borrow_mut().map_err(|_| busy("network"))?;
        let mut dataset = dataset.try_borrow_mut().map_err(|_| busy("dataset"))?;
        let trained = together!(&mut this.0, &mut dataset.0, trainer, data => {
            trainer.allow_threads(threads);
            compute(slf.py(), move || trainer.train(data, steps, totals))
        })?;
        let Trained { totals: Totals { loss, correct, saturated }, steps, diverged } = trained;
        Ok(((loss, correct, saturated), steps, diverged))
    }

    /// (n, n_in) T or uint8 -> activations of the last layer (n, n_out) T; None where x is not
    /// finite.
    fn predict<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        threads: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        either!(&this.0, trainer => {
            trainer.allow_threads(threads);
            predict(trainer, x)
        })
    }

    /// As `predict`, at once, where x is a plain array of a few rows; else None. Of more rows where
    /// the threads are told; then other Python threads go on meanwhile.
    #[pyo3(signature = (x, threads=None))]
    fn predict_few<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        threads: Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(threads) = threads else {
            let Ok(mut this) = slf.try_borrow_mut() else { return Ok(None) };
            return either!(&mut this.0, trainer => predict_few(trainer, x));
        };
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        either!(&this.0, trainer => {
            trainer.allow_threads(threads);
            predict_several(trainer, x, threads)
        })
    }

    /// Add the losses of some rows in row order to `loss`; that sum, and how many are classified
    /// rightly.
    fn evaluate(
        slf: &Bound<'_, Self>,
        dataset: &Bound<'_, Dataset>,
        first: usize,
        rows: usize,
        loss: f64,
        threads: usize,
    ) -> PyResult<(f64, u64)> {
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        let dataset = dataset.try_borrow().map_err(|_| busy("dataset"))?;
        together!(&this.0, &dataset.0, trainer, data => {
            trainer.allow_threads(threads);
            compute(slf.py(), move || trainer.evaluate(data, first, rows, loss))
        })
    }

    /// The sum of the rows' losses, and the flat gradient of their mean, without l2.
    fn gradients<'py>(
        slf: &Bound<'py, Self>,
        dataset: &Bound<'py, Dataset>,
    ) -> PyResult<(f64, Bound<'py, PyAny>)> {
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        let dataset = dataset.try_borrow().map_err(|_| busy("dataset"))?;
        together!(&this.0, &dataset.0, trainer, data => {
            let (loss, gradient) = compute(slf.py(), move || trainer.gradients(data))?;
            let count = gradient.len();
            Ok((loss, arrays::array(slf.py(), gradient, &[count])?))
        })
    }

    /// A layer's (z, a, r, dE_da, dE_dW, dE_db) for each row by itself; rows come first.
    fn trace<'py>(
        slf: &Bound<'py, Self>,
        dataset: &Bound<'py, Dataset>,
    ) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        let dataset = dataset.try_borrow().map_err(|_| busy("dataset"))?;
        together!(&this.0, &dataset.0, trainer, data => trace(slf.py(), trainer, data))
    }

    /// Copies of the flat parameters and of the optimiser's vectors (momentum: velocity).
    fn state<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyDict>)> {
        let py = slf.py();
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        either!(&this.0, trainer => {
            let (parameters, vectors) = compute(py, move || trainer.state())?;
            let count = parameters.len();
            let optimizer = PyDict::new(py);
            for (name, vector) in vectors {
                optimizer.set_item(name, arrays::array(py, vector, &[count])?)?;
            }
            Ok((arrays::array(py, parameters, &[count])?, optimizer))
        })
    }

    /// Take over copies of both.
    fn set_state(
        slf: &Bound<'_, Self>,
        parameters: &Bound<'_, PyAny>,
        optimizer: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let mut this = slf.try_borrow_mut().map_err(|_| busy("network"))?;
        either!(&mut this.0, trainer => set_state(trainer, parameters, optimizer))
    }

    /// Keep a copy of parameters and optimiser's vectors to go back to.
    fn remember(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut this = slf.try_borrow_mut().map_err(|_| busy("network"))?;
        either!(&mut this.0, trainer => compute(slf.py(), move || trainer.remember()))
    }

    /// Go back to that copy, which is then gone.
    fn restore(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut this = slf.try_borrow_mut().map_err(|_| busy("network"))?;
        either!(&mut this.0, trainer => trainer.restore());
        Ok(())
    }

    /// Give the memory of that copy back.
    fn forget(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut this = slf.try_borrow_mut().map_err(|_| busy("network"))?;
        either!(&mut this.0, trainer => trainer.forget());
        Ok(())
    }

    /// What the last train or predict used: engine, isa, threads, path.
    fn explain<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let this = slf.try_borrow().map_err(|_| busy("network"))?;
        let plan = either!(&this.0, trainer => trainer.plan());
        let explained = PyDict::new(slf.py());
        explained.set_item("engine", Self::NAME)?;
        explained.set_item("isa", plan.isa.name())?;
        explained.set_item("threads", plan.threads)?;
        explained.set_item("path", plan.path.name())?;
        Ok(explained)
    }
}

/// A size that the machine can count to.
fn size(size: &Bound<'_, PyAny>) -> PyResult<usize> {
    size.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(size.py()) {
            PyValueError::new_err(format!("expected sizes from 1 to 2**31 - 1, found {size}"))
        } else {
            error
        }
    })
}

fn dataset<T: Number>(
    trainer: &Trainer<T>,
    x: &Bound<'_, PyAny>,
    labels: Option<&Bound<'_, PyAny>>,
    targets: Option<&Bound<'_, PyAny>>,
    batch_size: usize,
    shuffle_seed: Option<u64>,
) -> PyResult<data::Dataset<T>> {
    let sizes = (trainer.network().n_in(), trainer.network().n_out());
    let (inputs, rows, columns) = arrays::dataset_inputs::<T>(trainer.plan().isa, sizes.0, x)?;
    if columns != sizes.0 {
        return Err(Error::Shape { what: "x", expected: sizes.0, found: (rows, columns) }.into());
    }
    let answers = match (labels, targets) {
        (Some(labels), None) => Answers::labels(&arrays::vector("labels", labels)?, sizes.1)?,
        (None, Some(targets)) => {
            let (targets, rows, columns) = arrays::matrix("targets", targets)?;
            if columns != sizes.1 {
                let (what, found) = ("targets", (rows, columns));
                return Err(Error::Shape { what, expected: sizes.1, found }.into());
            }
            Answers::Targets(targets)
        }
        _ => {
            return Err(PyValueError::new_err(
                "expected either labels or targets, found both or none",
            ));
        }
    };
    compute(x.py(), move || {
        data::Dataset::new(inputs, answers, rows, sizes, batch_size, shuffle_seed)
    })
}

fn predict<'py, T: Number>(
    trainer: &Trainer<T>,
    x: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = x.py();
    let (n_in, n_out) = (trainer.network().n_in(), trainer.network().n_out());
    let wanted = "expected x as a plain 2-D array of the dtype or uint8, C-contiguous and aligned";
    let (source, (rows, columns)) = arrays::InPlace::of(x)
        .and_then(|x| Some((x.source()?, x.shape())))
        .ok_or_else(|| PyTypeError::new_err(wanted))?;
    if columns != n_in {
        return Err(Error::Shape { what: "x", expected: n_in, found: (rows, columns) }.into());
    }
    let outputs = compute(py, move || trainer.predict_from(source, rows))?;
    outputs.map(|outputs| arrays::array(py, outputs, &[rows, n_out])).transpose()
}

/// The interpreter is not let go, so that nothing else begins meanwhile.
fn predict_few<'py, T: Number>(
    trainer: &mut Trainer<T>,
    x: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some((source, rows)) = few_rows(trainer, x, None) else { return Ok(None) };
    let n_out = trainer.network().n_out();
    let outputs = compute_at_once(|| trainer.predict_few(source, rows))?;
    let Some(outputs) = outputs else { return Ok(None) };
    let outputs = ArrayView2::from_shape((rows, n_out), outputs).expect("n_out a row");
    Ok(Some(outputs.to_pyarray(x.py()).into_any()))
}

fn predict_several<'py, T: Number>(
    trainer: &Trainer<T>,
    x: &Bound<'py, PyAny>,
    threads: usize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some((source, rows)) = few_rows(trainer, x, Some(threads)) else { return Ok(None) };
    let outputs = compute(x.py(), move || trainer.predict_from(source, rows))?;
    let shape = [rows, trainer.network().n_out()];
    outputs.map(|outputs| arrays::array(x.py(), outputs, &shape)).transpose()
}

/// A plain array of so few rows that nothing is made ready for them, and how many.
fn few_rows<'a, T: Number>(
    trainer: &Trainer<T>,
    x: &'a Bound<'_, PyAny>,
    threads: Option<usize>,
) -> Option<(Source<'a, T>, usize)> {
    let matrix = arrays::InPlace::of(x)?;
    let ((rows, columns), network) = (matrix.shape(), trainer.network());
    let few =
        columns == network.n_in() && plan::quick(network, rows, trainer.is_ready(rows), threads);
    Some((matrix.source().filter(|_| few)?, rows))
}

fn trace<'py, T: Number>(
    py: Python<'py>,
    trainer: &Trainer<T>,
    data: &data::Dataset<T>,
) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let n = data.rows();
    let layers = compute(py, move || trainer.trace(data))?;
    let tuples = layers.into_iter().map(|layer| {
        let (n_in, n_out) = (layer.n_in, layer.n_out);
        let matrix = |elements| arrays::array(py, elements, &[n, n_out]);
        PyTuple::new(
            py,
            [
                matrix(layer.z)?,
                matrix(layer.a)?,
                matrix(layer.r)?,
                matrix(layer.de_da)?,
                arrays::array(py, layer.de_dw, &[n, n_out, n_in])?,
                matrix(layer.de_db)?,
            ],
        )
    });
    tuples.collect()
}

fn set_state<T: Number>(
    trainer: &mut Trainer<T>,
    parameters: &Bound<'_, PyAny>,
    optimizer: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let py = parameters.py();
    let parameters = arrays::vector::<T>("parameters", parameters)?;
    let mut vectors = Vec::new();
    for (name, vector) in optimizer {
        let name = name.cast::<PyString>()?.to_str()?.to_owned();
        let vector = arrays::vector::<T>(&name, &vector)?;
        vectors.push((name, vector));
    }
    compute(py, move || {
        let vectors: Vec<_> = vectors.iter().map(|(name, v)| (name.as_str(), &v[..])).collect();
        trainer.set_state(&parameters, &vectors)
    })
}
