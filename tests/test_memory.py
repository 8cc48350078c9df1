"""What a fit takes beside the caller's array: the peak of the process, in a process of its own."""

import subprocess
import sys

import pytest

PIXELS = 60_000 * 784
PARAMETERS = 4 * (784 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10)

FIT = """
import sys
import numpy as np
import chainrule

share, batch_size = float(sys.argv[1]), int(sys.argv[2])

def peak():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

def network():
    return chainrule.Network([784, 16, 16, 10], backend="rust")

rng = np.random.default_rng(0)
def fill(x):  # a row at a time: what is drawn on the way must not be the peak
    for row in x:
        row[:] = rng.integers(1, 256, 784, np.uint8) * (rng.random(784) < share)
    return x, rng.integers(0, 10, len(x))

network().fit(*fill(np.empty((512, 784), np.uint8)), batch_size=batch_size)  # code, pools
x, y = fill(np.empty((60_000, 784), np.uint8))
trained = network()
before = peak()
trained.fit(x, y, batch_size=batch_size, learning_rate=0.01, threads=2)
print(peak() - before, trained.explain()["path"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("batch_size", [1, 128])
@pytest.mark.parametrize("share", [0.19, 1.0], ids=["as in MNIST", "none is 0"])
def test_a_fit_takes_little_beside_the_pixels(share: float, batch_size: int) -> None:
    command = [sys.executable, "-c", FIT, str(share), str(batch_size)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, _, path = run.stdout.strip().partition(" ")
    assert int(taken) <= 1.5 * PIXELS + 3 * PARAMETERS
    assert path.startswith("online" if batch_size == 1 else "layered")
    if share < 1:
        assert int(taken) <= 0.6 * PIXELS, "lists take the pixels' place"
