"""Each instruction set of the Rust engine, for the tests that hold on all of them."""

from __future__ import annotations

import pytest

from chainrule import Network, _backend

ISAS = ("portable", "avx2", "avx512")


# A missing extension fails at the first network.
def chosen(isa, monkeypatch):
    if isa not in (_backend.isas() or ISAS[:1]):
        pytest.skip(f"not run: this processor has no {isa}")
    monkeypatch.setenv("CHAINRULE_ISA", isa)
    assert Network([1, 1], backend="rust").explain()["isa"] == isa
    return isa


@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    """The name of each instruction set in turn: networks made by the test run on it."""
    return chosen(request.param, monkeypatch)


@pytest.fixture(params=ISAS[1:])
def fast_isa(request, monkeypatch):
    """The same but for the plain scalar one, which is the judge."""
    return chosen(request.param, monkeypatch)
