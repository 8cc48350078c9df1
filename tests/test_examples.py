"""The examples run as they are, from anywhere."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_xor_needs_a_hidden_layer(tmp_path):
    accuracies = [float(a) for a in re.findall(r"accuracy (\S+)", run("xor.py", cwd=tmp_path))]
    assert accuracies[0] <= 0.75
    assert accuracies[1] == 1.0


def test_mnist_trains_and_comes_back_from_a_file(tmp_path):
    output = run("mnist.py", "8000", cwd=tmp_path)
    assert float(re.search(r"test accuracy (\S+)", output)[1]) > 0.8
    assert "the same after loading: True" in output
    assert (tmp_path / "mnist.safetensors").stat().st_size > 4 * 13_002
