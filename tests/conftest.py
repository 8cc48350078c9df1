"""What all tests share: both engines, and hypothesis set up for people and for CI."""

from __future__ import annotations

import os
import signal

import hypothesis
import numpy as np
import pytest

import chainrule

hypothesis.settings.register_profile("people", deadline=None)
hypothesis.settings.register_profile(
    "ci", deadline=None, derandomize=True, database=None, print_blob=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "people")

# A shell has what it starts in the background ignore Ctrl-C, and every process of that inherits it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["rust", "numpy"])
def backend(request):
    """The name of each engine in turn. A missing extension fails here; it never skips."""
    assert chainrule.Network([1, 1], backend=request.param).backend == request.param
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20_000)


@pytest.fixture(scope="session")
def mnist():
    return chainrule.mnist.load()
