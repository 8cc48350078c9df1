"""chainrule and its peers side by side: same machine, same data, same batches, two threads each.

    python benchmarks/run.py                       # all, into benchmarks/results/peers.json
    python benchmarks/run.py --quick               # a minute: shows that everything runs
    python benchmarks/run.py --only batch --peers chainrule jax

Each peer runs in a process of its own. Before anything is timed it trains the same steps from the
same parameters, and must have learnt the same. Then rounds are interleaved, A B C A B C, so that
what disturbs the machine disturbs all; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np
import works
from works import Case, Work

HERE = Path(__file__).parent
PEERS = ["chainrule", "jax", "torch", "torch_compile", "sklearn", "numpy", "candle", "burn", "onnx"]
TRAIN_ONLY, PREDICT_ONLY = {"candle", "burn"}, {"onnx"}
RUST = {"candle", "burn"}
GROWTH_PEERS = {"chainrule", "jax", "torch", "onnx"}
OTHER_FUNCTION = {("sklearn", "squared_error")}  # see peers/sklearn.py
TOLERANCE = 0.03  # of the loss after the check's steps
THREADS = 2


def environment() -> dict[str, str]:
    """Two threads for all. The two variables taken away slow a current OpenBLAS down."""
    names = ["OMP", "OPENBLAS", "MKL", "RAYON", "CHAINRULE"]
    away = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "CHAINRULE_ISA", "CHAINRULE_BACKEND"}
    kept = {name: value for name, value in os.environ.items() if name not in away}
    return (
        kept
        | {f"{name}_NUM_THREADS": str(THREADS) for name in names if name != "CHAINRULE"}
        | {
            "CHAINRULE_THREADS": str(THREADS),
            "JAX_PLATFORMS": "cpu",
        }
    )


class PeerError(Exception):
    """A peer's process ended where it should have answered."""


class Peer:
    """A peer at work on one case."""

    def __init__(self, name: str, work: Work, folder: Path, rust: Path) -> None:
        self.name, self.work, self.folder = name, work, folder
        command = [sys.executable, str(HERE / "worker.py"), name, str(folder)]
        if name in RUST:
            command = [str(rust), name, str(folder)]
        self.errors = (folder / f"{name}.err").open("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=environment(),
        )  # fmt: skip
        self.seconds: list[float] = []  # a step, or a prediction, in each round
        self.whole: list[float] = []
        self.learnt: float | None = None
        hello = self.answer()
        self.versions, self.setup = hello["versions"], hello["setup"]

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = self.errors.read()[-2000:]
            self.end()
            raise PeerError(f"{self.name} on {self.work.name}:\n{said}")
        return json.loads(line)

    def ask(self, words: str) -> dict:
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.answer()

    def saved(self) -> np.ndarray:
        file = self.folder / f"{self.name}.saved.npy"
        self.ask(f"save {file}")
        return np.load(file)

    def check(self, case: Case) -> None:
        """Learn, or predict, what can be compared; and find how much fits into a round."""
        work = case.work
        if work.batch_size:
            if work.check:
                self.ask(f"check {work.check}")
                self.learnt = works.loss(case, self.saved())
            probe = min(work.steps, max(1, work.steps // 50))
            self.ask(f"train {probe}")
            each = self.ask(f"train {probe}")["seconds"] / probe
        else:
            worst = abs(self.saved() - works.outputs(case, case.initial)).max()
            if not worst < 1e-4:
                sys.exit(f"{work.name}: {self.name}'s outputs are {worst:.2g} off")
            each = self.ask("predict 2")["seconds"] / 2
        full = work.steps or work.calls
        fitting = full if self.name in {"chainrule", "jax"} else int(LONGEST / max(each, 1e-9))
        self.amount = max(1, min(full, fitting))
        self.word = "train" if work.batch_size else "predict"
        self.ask(f"{self.word} {self.amount}")  # warm, and compiled for this length

    def round(self) -> None:
        answer = self.ask(f"{self.word} {self.amount}")
        self.seconds.append(answer["seconds"] / self.amount)
        if answer.get("whole") is not None:
            self.whole.append(answer["whole"] / self.amount)

    def end(self) -> None:
        self.process.kill()  # it holds nothing that is still wanted
        self.process.communicate()
        self.errors.close()

    def result(self) -> dict:
        return {
            "median": median(self.seconds), "least": min(self.seconds), "most": max(self.seconds),
            "rounds": self.seconds, "whole": self.whole or None, "amount": self.amount,
            "setup": self.setup, "loss": self.learnt, "versions": self.versions,
        }  # fmt: skip


LONGEST = 3.0  # seconds of a round of those that are slow: less than their whole epoch


def measure(work: Work, peers: list[str], rounds: int, rust: Path) -> dict:
    """One work: each peer's rounds, and why those that are missing are."""
    case = works.make(work)
    with tempfile.TemporaryDirectory() as name:
        works.write(case, Path(name))
        running, missing = [], {}
        try:
            for peer in peers:
                try:
                    running.append(Peer(peer, work, Path(name), rust))
                    running[-1].check(case)
                except (PeerError, OSError) as error:
                    running = [r for r in running if r.name != peer]
                    missing[peer] = str(error)
                    print(f"    {peer}: {error}", file=sys.stderr)
            for _ in range(rounds):
                for peer in running:
                    time.sleep(0.05)  # the threads of the one before come to rest
                    peer.round()
        finally:
            for peer in running:
                peer.end()
    judge(work, running)
    return {
        "work": asdict(work), "parameters": work.n_parameters, "missing": missing,
        "peers": {peer.name: peer.result() for peer in running},
    }  # fmt: skip


def judge(work: Work, running: list[Peer]) -> None:
    """All must have learnt what we have."""
    ours = next((peer.learnt for peer in running if peer.name == "chainrule"), None)
    for peer in running:
        if None in (ours, peer.learnt) or (peer.name, work.loss) in OTHER_FUNCTION:
            continue
        if not abs(peer.learnt - ours) <= TOLERANCE * ours:
            sys.exit(f"{work.name}: {peer.name} came to a loss of {peer.learnt}, we to {ours}")


def show(result: dict) -> None:
    peers = result["peers"]
    against = peers.get("jax" if result["work"]["batch_size"] else "onnx")
    for name, peer in peers.items():
        ratio = f"{peer['median'] / against['median']:8.3f}" if against else " " * 8
        learnt = "" if peer["loss"] is None else f"  loss {peer['loss']:.5f}"
        print(
            f"    {name:<14}{peer['median'] * 1e6:12.2f} us"
            f" ({peer['least'] * 1e6:.2f} to {peer['most'] * 1e6:.2f}) {ratio}{learnt}",
            flush=True,
        )


def machine() -> dict:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        flags = next(line.split(":")[1].split() for line in lines if line.startswith("flags"))
    except (OSError, StopIteration):
        model, flags = platform.processor(), []
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "instructions": [f for f in ("avx2", "fma", "avx512f", "avx512_bf16") if f in flags],
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": THREADS,
        "load": os.getloadavg()[0],  # before the first round
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a moment of each: does it run?")
    parser.add_argument("--groups", nargs="+", choices=works.GROUPS, default=list(works.GROUPS))
    parser.add_argument("--only", default="", help="only works whose name has this in it")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--rust", type=Path, default=HERE.parent / ".build/rust-peers/release/rust-peers"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results" / "peers.json")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    everything = {"measured": {}, "groups": {}}
    if set(arguments.groups) != set(works.GROUPS) and arguments.out.exists():
        everything = json.loads(arguments.out.read_text())  # the other groups stay as they are
    for group in arguments.groups:
        everything["measured"][group] = {"date": time.strftime("%Y-%m-%d"), "machine": machine()}
        results = everything["groups"][group] = []
        for work in works.GROUPS[group]:
            if arguments.only not in work.name:
                continue
            if arguments.quick:
                work = works.quick(work)
            unfit = PREDICT_ONLY if work.batch_size else TRAIN_ONLY
            peers = [
                p for p in arguments.peers
                if p not in unfit and (group != "growth" or p in GROWTH_PEERS)
            ]  # fmt: skip
            print(work.name, flush=True)
            results.append(
                measure(work, peers, 1 if arguments.quick else arguments.rounds, arguments.rust)
            )
            show(results[-1])
            if not arguments.quick:
                arguments.out.parent.mkdir(exist_ok=True)
                arguments.out.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
