"""What a fit leaves behind: one entry a record."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["History"]

# Columns in the order of the table: title, attribute, format.
_COLUMNS = (
    ("step", "steps", "d"),
    ("epoch", "epochs", "d"),
    ("loss", "loss", ".6g"),
    ("accuracy", "accuracy", ".4f"),
    ("val. loss", "validation_loss", ".6g"),
    ("val. accuracy", "validation_accuracy", ".4f"),
    ("saturated", "saturated", ".1%"),
    ("seconds", "seconds", ".2f"),
)
_SHOWN = 20  # rows of the text and HTML forms; of a longer history the first and last ten


class History:
    """Lists with one entry a record: the end of each epoch, of the fit, and every k-th step.

    Attributes
    ----------
    steps, epochs : list of int
        Steps that the network had taken, and epochs that it had begun, over its life.
    loss : list of float
        The mean loss of the samples since the last record, each as it was seen, without l2.
    accuracy : list of float or None
        The share of them classified rightly; None where y cannot be compared with `classify`.
    validation_loss, validation_accuracy : list of float or None
        Of `validation_data` at that moment; None without it.
    saturated : list of float or None
        The share of hidden activations since the last record whose derivative was below 2**-10:
        sigmoid and tanh units that are saturated, relu units that are off. Near 1, nothing is
        learnt any more. None without hidden layers.
    seconds : list of float
        Seconds since the fit began. The only list that ``==`` leaves out.
    stopped_by : {"epochs", "steps", "callback"}
        What ended the fit.

    Examples
    --------
    >>> import chainrule
    >>> network = chainrule.Network([2, 1], loss="binary_cross_entropy")
    >>> history = network.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=3, learning_rate=1.0)
    >>> len(history), history.steps, history.stopped_by
    (3, [2, 4, 6], 'epochs')
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.epochs: list[int] = []
        self.loss: list[float] = []
        self.accuracy: list[float | None] = []
        self.validation_loss: list[float | None] = []
        self.validation_accuracy: list[float | None] = []
        self.saturated: list[float | None] = []
        self.seconds: list[float] = []
        self.stopped_by: Literal["epochs", "steps", "callback"] = "epochs"

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.steps)

    def __eq__(self, other: object) -> bool:
        """Whether all but the seconds are the same."""
        if not isinstance(other, History):
            return NotImplemented
        mine, theirs = vars(self).copy(), vars(other).copy()
        del mine["seconds"], theirs["seconds"]
        return mine == theirs

    def __repr__(self) -> str:
        """Return a table of the records."""
        rows = self._rows(self._columns())
        lines = ["..." if row is None else "  ".join(row) for row in rows]
        return "\n".join([f"History: {self._title()}", *lines])

    def _repr_html_(self) -> str:
        from html import escape

        columns = self._columns()
        head, *body = self._rows(columns)
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{escape(cell.strip())}</td>" for cell in row or ["..."])
            + "</tr>"
            for row in body
        )
        return (
            f"<table><caption>{self._title()}</caption>"
            "<thead><tr>"
            + "".join(f"<th>{escape(cell.strip())}</th>" for cell in head or ())
            + f"</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _title(self) -> str:
        plural = "" if len(self) == 1 else "s"
        return f"{len(self)} record{plural}, stopped by {self.stopped_by}"

    def _columns(self) -> list[tuple[str, str, str]]:
        """Leave out columns that have no value at all."""
        return [
            column
            for column in _COLUMNS
            if not len(self) or any(value is not None for value in getattr(self, column[1]))
        ]

    def _rows(self, columns: list[tuple[str, str, str]]) -> list[list[str] | None]:
        """The cells of the head and of each record; None stands for those left out."""
        indices: list[int | None] = list(range(len(self)))
        if len(indices) > _SHOWN:
            indices[_SHOWN // 2 : -_SHOWN // 2] = [None]
        body = [
            None
            if i is None
            else [_cell(getattr(self, attribute)[i], form) for _, attribute, form in columns]
            for i in indices
        ]
        widths = [
            max([len(title), *(len(row[i]) for row in body if row)])
            for i, (title, *_) in enumerate(columns)
        ]
        head = [title for title, *_ in columns]
        return [
            None
            if row is None
            else [f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]
            for row in (head, *body)
        ]


def _cell(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)
