"""`Network`: the face of the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from chainrule import _arrays, _backend, _validate, gradcheck, optimizers, training
from chainrule._backend import THREADS, environment
from chainrule._guard import deferred_interrupts
from chainrule._persistence import Persistence
from chainrule._validate import Activation, Backend, Initialization, Loss
from chainrule.callbacks import Callback, display
from chainrule.history import History
from chainrule.optimizers import SGD, Rate
from chainrule.results import Evaluation, Gradients, LayerTrace
from chainrule.training import Data

__all__ = ["Network"]

# Not `environment.get(...)`: CPython compiles that as a call of a module's function, as the name is
# imported, and so makes a bound method each time.
_told = environment.get


class Network(Persistence):
    """A fully connected neural network.

    Parameters
    ----------
    sizes : iterable of int
        Units of each layer, the input's first, such as ``[784, 16, 16, 10]``.
    activation : str or sequence of str
        "identity", "sigmoid", "tanh" or "relu": one name for all hidden layers, or one each.
    output_activation : str, optional
        One of these or "softmax". None: "softmax" for cross_entropy, else "sigmoid".
    loss : {"squared_error", "cross_entropy", "binary_cross_entropy"}
        squared_error is summed over the outputs; each is averaged over the rows.
        cross_entropy goes with softmax only, binary_cross_entropy with sigmoid only.
    initialization : {"auto", "glorot_uniform", "he_uniform", "lecun_uniform"}
        How weights are drawn; biases are 0. "auto": he_uniform for relu, else glorot_uniform.
    dtype : {"float32", "float64"}
        Of parameters, activations and all arithmetic.
    seed : int or None
        In 0 .. 2**64 - 1: decides the initial weights and the shuffle of each epoch. None takes
        one from the operating system; read it in `seed`.
    backend : {"rust", "numpy"}, optional
        The engine. None: CHAINRULE_BACKEND, or else Rust (NumPy, with a `BackendWarning`, where
        the extension is missing). CHAINRULE_ISA forces an instruction set on Rust; it is an error
        with NumPy, which chooses by itself.

    Raises
    ------
    TypeError, ValueError
        Where an argument is of the wrong kind or value.
    MemoryError
        Where the parameters do not fit.

    Examples
    --------
    >>> import numpy as np, chainrule
    >>> network = chainrule.Network([2, 4, 1], activation="tanh", loss="binary_cross_entropy")
    >>> x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), [0, 1, 1, 0]
    >>> history = network.fit(x, y, epochs=200, batch_size=4, learning_rate=1.0)
    >>> network.classify(x)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        sizes: Iterable[int],
        *,
        activation: Activation | Sequence[Activation] = "sigmoid",
        output_activation: Activation | None = None,
        loss: Loss = "squared_error",
        initialization: Initialization = "auto",
        dtype: DTypeLike = "float32",
        seed: int | None = 0,
        backend: Backend | None = None,
    ) -> None:
        checked_sizes = _validate.sizes(sizes)
        checked_loss = _validate.choice("loss", loss, _validate.LOSSES)
        activations = _validate.activations(
            activation, output_activation, checked_loss, checked_sizes
        )
        initializations = _validate.initializations(initialization, activations)
        checked_seed = _validate.seed(seed)
        self._set_up(
            sizes=checked_sizes,
            activations=activations,
            loss=checked_loss,
            dtype=_validate.dtype(dtype),
            initializations=initializations,
            seed=checked_seed,
            optimizer=SGD(),
            backend=_backend.choose(backend),
            fill=lambda engine: engine.initialize(checked_seed, initializations),
        )

    # ---- parameters

    @property
    def weights(self) -> list[NDArray[Any]]:
        """Copies of the weights, (n_out, n_in) of each layer."""
        return _arrays.split(self.parameters, self._sizes)[0]

    @property
    def biases(self) -> list[NDArray[Any]]:
        """Copies of the biases, (n_out,) of each layer."""
        return _arrays.split(self.parameters, self._sizes)[1]

    @property
    def parameters(self) -> NDArray[Any]:
        """A copy of all parameters (n_parameters,): weights[0] row by row, biases[0], ..."""
        with self._guard.reading("parameters"):
            return self._engine.state()[0]

    @_backend.exactly
    def set_parameters(self, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]) -> None:
        """Replace all parameters. The optimiser's state is forgotten, the counters stay.

        Parameters
        ----------
        weights : sequence of (n_out, n_in) arrays
        biases : sequence of (n_out,) arrays

        Raises
        ------
        TypeError, ValueError
            Where a number or shape of arrays differs, or a value is not finite in the dtype.
        RuntimeError
            During a fit.
        """
        checked = _arrays.parameters(weights, biases, self._sizes, self._dtype)
        with self._guard.writing("set_parameters"):
            self._engine.set_state(checked, {})

    @_backend.exactly
    def set_flat_parameters(self, parameters: ArrayLike) -> None:
        """Replace all parameters by a vector (n_parameters,) in the order of `parameters`.

        Raises
        ------
        TypeError, ValueError
            Where the shape differs or a value is not finite in the dtype.
        RuntimeError
            During a fit.
        """
        shape = (self.n_parameters,)
        checked = _arrays.parameter_array("parameters", parameters, shape, self._dtype)
        with self._guard.writing("set_flat_parameters"):
            self._engine.set_state(checked, {})

    def reset(self, seed: int | None = None) -> None:
        """Draw new initial weights and forget all training: the network is as new.

        Counters, the optimiser and its state are those of a network just made.

        Parameters
        ----------
        seed : int, optional
            None: the network's own, so that the same weights come again.
        """
        checked = self._seed if seed is None else _validate.seed(seed)
        with self._guard.writing("reset"), deferred_interrupts():
            self._engine.initialize(checked, self._initializations)
            self._seed = checked
            self._optimizer = SGD()
            self._counters.epochs = self._counters.steps = 0

    # ---- training

    @_backend.exactly
    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int = 1,
        learning_rate: Rate | None = None,
        optimizer: SGD | None = None,
        l2: float = 0.0,
        shuffle: bool = True,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        record_every: int | None = None,
        callbacks: Callback | Iterable[Callback] = (),
        progress: bool | None = None,
        threads: int | None = None,
    ) -> History:
        """Train by gradient descent with backpropagation (Eq. 5, 24 of the report).

        Parameters
        ----------
        x : (n, ...) array
            The trailing dimensions multiply to ``sizes[0]``. Floats and bool are taken as they
            are, uint8 as pixels, value / 255.
        y : (n,) or (n, n_out) array
            Labels 0 .. n_out - 1, or targets. With one output always targets.
        epochs, steps : int, optional
            How long: passes over the data, or steps of one batch. Neither: one epoch. A fit by
            steps that ends within an epoch uses that epoch up.
        batch_size : int
            Rows a step; the last batch of an epoch may be shorter. More than n counts as n.
        learning_rate : float, Schedule or callable, optional
            A new rate for the network's optimiser. None: the one it has.
        optimizer : SGD, optional
            A new optimiser. Its state is kept from fit to fit while momentum is not 0.
        l2 : float
            Adds l2 / 2 * sum of W**2 to what is made small; not to reported losses.
        shuffle : bool
            Whether each epoch takes the rows in an order of its own, drawn from seed and epoch.
        validation_data : (x, y), optional
            Evaluated at each record.
        record_every : int, optional
            Also record after every k-th step of this fit, not only at the end of epochs.
        callbacks : callable or iterable of callables
            Called with a `Progress` at each record; one that returns True ends the fit.
        progress : bool, optional
            Show a bar. None: only at a terminal or in a notebook.
        threads : int, optional
            The most threads to use; the Rust engine decides how many pay. The result does not
            depend on it. None: CHAINRULE_THREADS, or what affinity, cgroup and OMP_NUM_THREADS
            allow.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            Where an argument is of the wrong kind, value or shape; nothing has changed then.
        DivergenceError
            Where a parameter or a loss became infinite or NaN; the network is as it was when that
            epoch began.
        RuntimeError
            Where the network is being trained already.
        KeyboardInterrupt, and what a callback raises
            The last complete step is kept.
        """
        with self._guard.writing("fit"):
            chosen = self._choose_optimizer(learning_rate, optimizer)
            data = self._data(x, y, batch_size=batch_size, shuffle=shuffle)
            n_steps = training.steps_of_fit(epochs, steps, data.steps)
            validation = None
            if validation_data is not None:
                validation = self._data(
                    *_validate.pair("validation_data", validation_data),
                    names=("validation_data[0]", "validation_data[1]"),
                )
            assert chosen.learning_rate is not None
            for name, rate in optimizers.rates(chosen):
                _validate.rounded(name, rate, self._dtype)
            request = training.Request(
                data=data,
                validation=validation,
                steps=n_steps,
                stops_by="epochs" if steps is None else "steps",
                learning_rate=chosen.learning_rate,
                momentum=_validate.rounded("momentum", chosen.momentum, self._dtype, below=1),
                l2=_validate.rounded("l2", _validate.number("l2", l2), self._dtype),
                threads=_backend.threads(threads),
                record_every=None
                if record_every is None
                else _validate.integer("record_every", record_every, at_least=1),
                callbacks=_validate.callables("callbacks", callbacks),
                hidden_units=sum(self._sizes[1:-1]),
            )
            shown = None if progress is None else _validate.flag("progress", progress)
            if n_steps:  # else nothing changes at all
                self._optimizer = chosen
            shower = display(n_steps, progress=shown)
            return training.Fit(
                self, self._engine, self._guard, self._counters, request, shower
            ).run()

    def _choose_optimizer(self, learning_rate: Rate | None, optimizer: SGD | None) -> SGD:
        if learning_rate is not None and optimizer is not None:
            raise ValueError(
                "fit takes learning_rate or optimizer, not both: give the rate to the optimizer"
            )
        if optimizer is None:
            optimizer = self._optimizer
            if learning_rate is not None:
                optimizer = SGD(learning_rate, momentum=optimizer.momentum)
        elif not isinstance(optimizer, SGD):
            raise TypeError(f"optimizer must be a chainrule.SGD; got {type(optimizer).__name__}")
        elif optimizer.learning_rate is None:
            raise ValueError("optimizer has no learning rate: give it one, such as SGD(0.1)")
        if optimizer.learning_rate is None:
            raise ValueError(
                "the network has no learning rate: it was trained with a callable, which a file "
                "cannot keep; pass learning_rate or optimizer"
            )
        return optimizer

    def _data(
        self,
        x: Any,
        y: Any,
        *,
        names: tuple[str, str] = ("x", "y"),
        batch_size: int = 1,
        shuffle: bool = False,
        engine: _backend.Engine | None = None,
        dtype: DTypeLike | None = None,
    ) -> Data:
        """Check x and y and put them into the form of an engine: the network's, unless told."""
        engine = self._engine if engine is None else engine
        dtype = self._dtype if dtype is None else dtype
        inputs = _arrays.inputs(x, self._sizes[0], dtype, names[0], private=True)
        rows = len(inputs)
        targets = _arrays.targets(
            y, rows, self._sizes[-1], self._activations[-1], self._loss, dtype, names[1]
        )
        if rows == 0:
            raise ValueError(f"{names[0]} must have at least one row; got shape {np.shape(x)}")
        size = min(_validate.integer("batch_size", batch_size, at_least=1), rows)
        shuffle_seed = self._seed if _validate.flag("shuffle", shuffle) else None
        dataset = engine.dataset(inputs, targets.labels, targets.values, size, shuffle_seed)
        return Data(dataset, rows, size, targets.has_accuracy)

    # ---- use

    def predict(self, x: ArrayLike, *, threads: int | None = None) -> NDArray[Any]:
        """Activations of the last layer.

        Parameters
        ----------
        x : (n, ...) array
            As for `fit`; n may be 0.
        threads : int, optional
            As for `fit`.

        Returns
        -------
        (n, n_out) array of the network's dtype

        Raises
        ------
        TypeError, ValueError
            Where x is of the wrong kind, shape or not finite.
        RuntimeError
            While another thread trains the network.
        """
        # A microsecond does not stand many checks or calls: the engine has those that it needs.
        if threads is None:
            checked = _told(THREADS) is _backend.threads_checked
        else:
            checked = type(threads) is int and threads > 0
        outputs = self._engine.predict_few(x) if checked and not self._guard.writer else None
        if outputs is not None:
            return outputs
        return self._predict(x, threads)

    @_backend.exactly
    def _predict(self, x: ArrayLike, threads: int | None) -> NDArray[Any]:
        count = _backend.threads(threads)
        if type(x) is np.ndarray:  # once more, now that threads may help
            with self._guard.reading("predict"), _arrays.pinned(x):
                outputs = self._engine.predict_few(x, count)
            if outputs is not None:
                return outputs
        inputs = _arrays.inputs(x, self._sizes[0], self._dtype, checked=False)
        with self._guard.reading("predict"), _arrays.pinned(inputs):
            outputs = training.predict(self._engine, inputs, self.n_parameters, count)
        if outputs is None:  # told only now, and by name; unless another thread has changed it
            checked = _arrays.inputs(x, self._sizes[0], self._dtype, private=True)
            with self._guard.reading("predict"):
                outputs = training.predict(self._engine, checked, self.n_parameters, count)
            assert outputs is not None
        return outputs

    def classify(self, x: ArrayLike, *, threads: int | None = None) -> NDArray[np.int64]:
        """The class of each row: the largest output, the first of equals.

        With one sigmoid output: 1 where it is above 0.5, else 0.

        Parameters
        ----------
        x, threads
            As for `predict`.

        Returns
        -------
        (n,) int64

        Raises
        ------
        ValueError
            Where the one output is not a sigmoid: nothing says then where its classes part.
        TypeError, RuntimeError
            As for `predict`.
        """
        if self._sizes[-1] == 1 and self._activations[-1] != "sigmoid":
            raise ValueError(
                f"classify needs two outputs or one sigmoid output; got one "
                f"{self._activations[-1]} output: use predict"
            )
        outputs = self.predict(x, threads=threads)
        if self._sizes[-1] == 1:
            return (outputs[:, 0] > 0.5).astype(np.int64)
        classes: NDArray[np.int64] = outputs.argmax(axis=1).astype(np.int64)
        return classes

    @_backend.exactly
    def evaluate(self, x: ArrayLike, y: ArrayLike, *, threads: int | None = None) -> Evaluation:
        """Mean loss and accuracy.

        Parameters
        ----------
        x, y, threads
            As for `fit`.

        Returns
        -------
        Evaluation

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As for `predict`; also where there is no row.
        """
        count = _backend.threads(threads)
        with self._guard.reading("evaluate"):
            data = self._data(x, y)
            return Evaluation(*training.evaluate(self._engine, data, self.n_parameters, count))

    @_backend.exactly
    def gradients(self, x: ArrayLike, y: ArrayLike) -> Gradients:
        """The gradient of the mean loss over all rows, by backpropagation (Eq. 24).

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As for `evaluate`.
        """
        with self._guard.reading("gradients"):
            data = self._data(x, y)
            loss, flat = self._engine.gradients(data.dataset)
        return Gradients(loss / data.rows, *_arrays.split(flat, self._sizes))

    @_backend.exactly
    def numerical_gradients(
        self, x: ArrayLike, y: ArrayLike, *, epsilon: float = gradcheck.EPSILON
    ) -> Gradients:
        """The same by central differences (Eq. 9), in float64: 2 evaluations a parameter.

        Parameters
        ----------
        x, y
            As for `fit`.
        epsilon : float
            The step to either side of each parameter, above 0.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As for `evaluate`.
        """
        step = _validate.number("epsilon", epsilon, positive=True)
        parameters = self.parameters.astype(np.float64)
        engine = _backend.make(self.backend, self._sizes, self._activations, self._loss, "float64")
        data = self._data(x, y, engine=engine, dtype="float64")

        def loss(flat: NDArray[np.float64]) -> float:
            engine.set_state(flat, {})
            return training.evaluate(engine, data, self.n_parameters, 1)[0]

        flat = gradcheck.central_differences(loss, parameters, step)
        return Gradients(loss(parameters), *_arrays.split(flat, self._sizes))

    @_backend.exactly
    def trace(self, x: ArrayLike, y: ArrayLike) -> list[LayerTrace]:
        """Every symbol of the report's Eq. 24, for each layer and each row by itself.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As for `evaluate`.
        """
        with self._guard.reading("trace"):
            data = self._data(x, y)
            return [LayerTrace(*arrays) for arrays in self._engine.trace(data.dataset)]

    def explain(self) -> dict[str, Any]:
        """What the last fit or predict used: engine, isa, threads and path.

        The path is "layered", "few rows" by batches of a few or, row by row, "online" (also of a
        row predicted by itself), and " sparse" behind it where inputs that are 0 were looked for
        and left out. Before the first of them, one thread and "layered". An evaluation, also of a
        fit, tells its threads. NumPy chooses instructions and threads by itself: None.
        """
        with self._guard.reading("explain"):
            return self._engine.explain()
