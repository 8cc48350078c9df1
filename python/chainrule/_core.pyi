from collections.abc import Callable
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACTNESS", "VERSION", "Dataset", "Engine", "exactly", "isas"]

EXACTNESS: Final[int]
VERSION: Final[str]

def exactly(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...
def isas() -> list[str]: ...

@final
class Dataset:
    def __new__(cls, *args: object, **kwargs: object) -> Dataset: ...

@final
class Engine:
    name: ClassVar[str]
    def __new__(
        cls,
        sizes: list[int],
        activations: list[str],
        loss: str,
        dtype: str,
        isa: str | None = ...,
        path: str | None = ...,
    ) -> Engine: ...
    def initialize(self, seed: int, initializations: tuple[str, ...]) -> None: ...
    def dataset(
        self,
        x: NDArray[Any],
        labels: NDArray[np.int64] | None,
        targets: NDArray[Any] | None,
        batch_size: int,
        shuffle_seed: int | None,
    ) -> Dataset: ...
    def train(
        self,
        dataset: Dataset,
        epoch: int,
        first: int,
        rates: NDArray[np.float64],
        momentum: float,
        l2: float,
        threads: int,
        totals: tuple[float, int, int],
    ) -> tuple[tuple[float, int, int], int, int | None]: ...
    def predict(self, x: NDArray[Any], threads: int) -> NDArray[Any] | None: ...
    def predict_few(self, x: Any, threads: int | None = None) -> NDArray[Any] | None: ...
    def evaluate(
        self, dataset: Dataset, first: int, rows: int, loss: float, threads: int
    ) -> tuple[float, int]: ...
    def gradients(self, dataset: Dataset) -> tuple[float, NDArray[Any]]: ...
    def trace(self, dataset: Dataset) -> list[tuple[NDArray[Any], ...]]: ...
    def state(self) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]: ...
    def set_state(self, parameters: NDArray[Any], optimizer: dict[str, NDArray[Any]]) -> None: ...
    def remember(self) -> None: ...
    def restore(self) -> None: ...
    def forget(self) -> None: ...
    def explain(self) -> dict[str, Any]: ...
