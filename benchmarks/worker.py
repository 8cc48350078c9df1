"""One peer in a process of its own, which does what `run.py` writes to it, a line at a time.

    python benchmarks/worker.py PEER FOLDER

`check STEPS` trains in the one order that all peers take, `train STEPS` as is best for the peer.
These and `predict CALLS` answer with their seconds. `save FILE` saves parameters after training,
else outputs. Answers are lines of JSON. `rust-peers` speaks the same.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import works


def main(peer: str, folder: Path) -> None:
    """Set the peer up and answer until there is no more to do."""
    # Answers go out by a descriptor of their own: what a peer prints must not be taken for one.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=out, flush=True)

    began = time.perf_counter()
    module = importlib.import_module(f"peers.{peer}")
    data = works.read(folder)
    trainer = module.Trainer(data) if data.work.batch_size else None
    predict = None if trainer else module.predictor(data)
    answer(versions=module.versions(), setup=time.perf_counter() - began)
    for line in sys.stdin:
        match line.split():
            case ["check", steps]:
                answer(seconds=getattr(trainer, "check", trainer.train)(int(steps)))
            case ["train", steps]:
                answer(seconds=trainer.train(int(steps)), whole=getattr(trainer, "whole", None))
            case ["predict", calls]:
                began = time.perf_counter()
                for _ in range(int(calls)):
                    predict(data.x)
                answer(seconds=time.perf_counter() - began)
            case ["save", file]:
                np.save(file, trainer.parameters() if trainer else predict(data.x))
                answer()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
