"""The report's network, which reads what `prepare` and `find_digits` give."""

import pytest

import chainrule


@pytest.fixture(scope="session")
def reader(mnist):
    network = chainrule.Network([784, 16, 16, 10], initialization="he_uniform", backend="rust")
    network.fit(*mnist.train, steps=51_419, learning_rate=chainrule.Linear(0.275))
    return network
