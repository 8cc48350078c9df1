"""Fixtures that outlive an example, as hypothesis wants them."""

import pytest

import chainrule


@pytest.fixture(params=["rust", "numpy"], scope="session")
def backend(request):
    """The name of each engine in turn. A missing extension fails here; it never skips."""
    network = chainrule.Network([1, 1], backend=request.param)
    assert network.backend == network.explain()["engine"] == request.param
    return request.param


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")
