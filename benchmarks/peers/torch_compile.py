"""PyTorch with torch.compile: gathering, forward, backward and update are one compiled function."""

from __future__ import annotations

from functools import partial

import torch

from peers import torch as eager
from peers.torch import versions

__all__ = ["Trainer", "predictor", "versions"]


class Trainer(eager.Trainer):
    def __init__(self, case):
        super().__init__(case)
        self.parameters_ = [p.detach() for p in self.parameters_]
        work = self.work

        def descend(parameters, x, y):
            gradients = torch.func.grad(partial(eager.mean_loss, work))(parameters, x, y)
            for p, g in zip(parameters, gradients, strict=True):
                p.sub_(g, alpha=work.learning_rate)

        self.descend = torch.compile(descend, fullgraph=True, dynamic=False)

    @torch.no_grad()
    def step(self, x, y):
        self.descend(self.parameters_, x, y)


def predictor(case):
    parameters, work = eager.placed(case), case.work
    forward = torch.compile(partial(eager.forward, work), fullgraph=True, dynamic=False)

    @torch.inference_mode()
    def predict(x):
        return forward(parameters, torch.from_numpy(x)).numpy()

    return predict
