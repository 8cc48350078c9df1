"""Fully connected neural networks on the CPU: small, exact, and the same bits everywhere.

>>> import chainrule
>>> network = chainrule.Network([784, 16, 16, 10])
>>> network.n_parameters
13002
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule import _backend
from chainrule._validate import Activation, Backend, Initialization, Loss
from chainrule.callbacks import Callback, Progress
from chainrule.errors import BackendWarning, DivergenceError, FormatError
from chainrule.history import History
from chainrule.network import Network
from chainrule.optimizers import SGD, Rate
from chainrule.results import Evaluation, Gradients, LayerTrace
from chainrule.schedules import Constant, Linear, Schedule

if TYPE_CHECKING:
    from chainrule import descent, images, mnist, plots, quadratic, report
    from chainrule.quadratic import QuadraticClassifier

__all__ = [
    "BACKEND",
    "SGD",
    "Activation",
    "Backend",
    "BackendWarning",
    "Callback",
    "Constant",
    "DivergenceError",
    "Evaluation",
    "FormatError",
    "Gradients",
    "History",
    "Initialization",
    "LayerTrace",
    "Linear",
    "Loss",
    "Network",
    "Progress",
    "QuadraticClassifier",
    "Rate",
    "Schedule",
    "__version__",
    "descent",
    "images",
    "mnist",
    "plots",
    "quadratic",
    "report",
]

__version__ = _backend.version()

BACKEND: Backend
"""The engine of a new network: "rust" or "numpy"."""


if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        """Choose the engine, and import what not everybody needs, when first asked for.

        A CHAINRULE_BACKEND that cannot be honoured must not keep `chainrule` from saying so.
        """
        if name == "BACKEND":
            return _backend.choose()
        import importlib

        if name == "QuadraticClassifier":
            return importlib.import_module("chainrule.quadratic").QuadraticClassifier
        if name in {"descent", "images", "mnist", "plots", "quadratic", "report"}:
            return importlib.import_module(f"chainrule.{name}")
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
