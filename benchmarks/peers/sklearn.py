"""scikit-learn: `MLPClassifier.fit` without momentum, penalty or early stopping.

It has no squared error over sigmoid outputs. There `MLPRegressor` is measured, squared error over
outputs that are the sums themselves: the same products, ten sigmoids fewer. What it has learnt is
then not compared.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from works import flatten

warnings.simplefilter("ignore", ConvergenceWarning)  # one pass is what was asked for

NAMES = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def versions():
    return {"scikit-learn": sklearn.__version__}


def model(case, kind):
    """A model with the parameters that all start from."""
    work = case.work
    made = kind(
        hidden_layer_sizes=work.sizes[1:-1], activation=NAMES[work.activation],
        solver="sgd", alpha=0, batch_size=work.batch_size or 1,
        learning_rate_init=work.learning_rate, momentum=0, nesterovs_momentum=False,
        shuffle=False, warm_start=True, max_iter=1, tol=0,
        n_iter_no_change=10**9,
    )  # fmt: skip
    n = max(10, min(100, len(case.x)))
    x, y = np.zeros((n, work.sizes[0]), np.float32), np.arange(n) % work.sizes[-1]
    if kind is MLPClassifier:
        made.partial_fit(x, y, classes=np.arange(work.sizes[-1]))
    else:
        made.partial_fit(x, np.eye(work.sizes[-1], dtype=np.float32)[y])
    for W, b, (ours, our_b) in zip(made.coefs_, made.intercepts_, case.layers, strict=True):
        W[...], b[...] = ours.T, our_b
    return made


class Trainer:
    def __init__(self, case):
        self.case = case
        squared = case.work.loss == "squared_error"
        self.y = np.eye(case.work.sizes[-1], dtype=np.float32)[case.y] if squared else case.y
        self.model = model(case, MLPRegressor if squared else MLPClassifier)

    def train(self, steps):
        case = self.case
        if case.work.full_batch:
            x, y = case.x, self.y
            self.model.max_iter = steps
        else:
            rows = case.order[:steps].ravel()
            x, y = case.x[rows], self.y[rows]
        began = time.perf_counter()
        self.model.fit(x, y)
        return time.perf_counter() - began

    def parameters(self):
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return flatten([(W.T, b) for W, b in pairs])


def predictor(case):
    """Outputs of a classifier whose output is made the sigmoid of each sum."""
    made = model(case, MLPClassifier)
    made.out_activation_ = "logistic" if case.work.loss == "squared_error" else "softmax"
    if case.x.dtype == np.uint8:
        return lambda x: made.predict_proba(x.astype(np.float32) / np.float32(255))
    return made.predict_proba
