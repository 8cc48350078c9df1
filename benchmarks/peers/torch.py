"""PyTorch, eager: plain tensors, autograd, and the fused forms where there are some."""

from __future__ import annotations

import os
import time

import numpy as np
import torch
from torch.nn import functional
from works import flatten

torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)

COMPILED = False


def versions():
    return {"torch": torch.__version__}


ACTIVATE = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


def placed(case):
    return [torch.from_numpy(part) for pair in case.layers for part in pair]


def logits(work, parameters, x):
    for i in range(0, len(parameters) - 2, 2):
        x = ACTIVATE[work.activation](functional.linear(x, parameters[i], parameters[i + 1]))
    return functional.linear(x, parameters[-2], parameters[-1])


def mean_loss(work, parameters, x, y):
    z = logits(work, parameters, x)
    if work.loss == "squared_error":
        return functional.mse_loss(torch.sigmoid(z), y, reduction="sum") / len(z)
    return functional.cross_entropy(z, y)


class Trainer:
    def __init__(self, case):
        self.work, self.order = case.work, torch.from_numpy(case.order)
        self.parameters_ = [p.requires_grad_() for p in placed(case)]
        self.x = torch.from_numpy(case.x)
        labels = torch.from_numpy(case.y)
        squared = self.work.loss == "squared_error"
        self.y = functional.one_hot(labels, self.work.sizes[-1]).float() if squared else labels

    def step(self, x, y):
        gradients = torch.autograd.grad(
            mean_loss(self.work, self.parameters_, x, y), self.parameters_
        )
        with torch.no_grad():
            torch._foreach_add_(self.parameters_, gradients, alpha=-self.work.learning_rate)

    def train(self, steps):
        began = time.perf_counter()
        if self.work.full_batch:
            for _ in range(steps):
                self.step(self.x, self.y)
        else:
            for rows in self.order[:steps]:
                self.step(self.x[rows], self.y[rows])
        return time.perf_counter() - began

    def parameters(self):
        kept = [p.detach().numpy() for p in self.parameters_]
        return flatten(list(zip(kept[::2], kept[1::2], strict=True)))


def forward(work, parameters, x):
    if x.dtype == torch.uint8:
        x = x.float() * np.float32(1 / 255).item()
    z = logits(work, parameters, x)
    return torch.sigmoid(z) if work.loss == "squared_error" else torch.softmax(z, dim=1)


def predictor(case):
    parameters, work = placed(case), case.work

    @torch.inference_mode()
    def predict(x):
        return forward(work, parameters, torch.from_numpy(x)).numpy()

    return predict
