"""Each instruction set of the Rust engine, for the tests that hold on all of them."""

from __future__ import annotations

import pytest

from chainrule import Network, _backend

ISAS = ("portable", "avx2", "avx512")


# A missing extension fails at the first network.
@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    """The name of each instruction set in turn: networks made by the test run on it."""
    if request.param not in (_backend.isas() or ISAS[:1]):
        pytest.skip(f"not run: this processor has no {request.param}")
    monkeypatch.setenv("CHAINRULE_ISA", request.param)
    assert Network([1, 1], backend="rust").explain()["isa"] == request.param
    return request.param
