"""Each instruction set of the Rust engine, for the tests that hold on all of them."""

from __future__ import annotations

import pytest

from chainrule import Network, _backend


# A missing extension fails at the first network; no parameter at all would skip the test.
@pytest.fixture(params=_backend.isas() or ["portable"])
def isa(request, monkeypatch):
    """The name of each instruction set in turn: networks made by the test run on it."""
    monkeypatch.setenv("CHAINRULE_ISA", request.param)
    assert Network([1, 1], backend="rust").explain()["isa"] == request.param
    return request.param
