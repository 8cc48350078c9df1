"""What the rows on arrays and labels share: networks, calls that take x and y, little memory."""

import contextlib
import resource
from pathlib import Path

import numpy as np

from chainrule import SGD, History, Network

SIZES = [4, 5, 3]


def make(backend, sizes=SIZES, **settings):
    return Network(sizes, backend=backend, **settings)


def trained(backend, x, y, sizes=SIZES, **settings):
    """A network with counters, velocity and an optimiser that a refused call could spoil."""
    network = make(backend, sizes, **settings)
    network.fit(x, y, steps=3, optimizer=SGD(0.2, momentum=0.5))
    return network


def identity(backend, n=1, **settings):
    """A network of one layer that gives back what it is given."""
    network = make(backend, [n, n], output_activation="identity", **settings)
    network.set_parameters([np.eye(n)], [np.zeros(n)])
    return network


WITHOUT_Y = {
    "predict": lambda network, x: network.predict(x),
    "classify": lambda network, x: network.classify(x),
}

WITH_Y = {
    "fit": lambda network, x, y: network.fit(x, y, learning_rate=0.1, batch_size=2),
    "evaluate": lambda network, x, y: network.evaluate(x, y),
    "gradients": lambda network, x, y: network.gradients(x, y),
    "numerical_gradients": lambda network, x, y: network.numerical_gradients(x, y),
    "trace": lambda network, x, y: network.trace(x, y),
}


def every_call(network, x, y):
    """Each call that takes x, as (name, function of nothing)."""
    for name, call in WITHOUT_Y.items():
        yield name, lambda call=call: call(network, x)
    yield from every_call_with_y(network, x, y)


def every_call_with_y(network, x, y):
    for name, call in WITH_Y.items():
        yield name, lambda call=call: call(network, x, y)


def bits(result):
    """What a call gave, so that == compares bits."""
    if isinstance(result, np.ndarray):
        return result.dtype.str, result.shape, result.tobytes()
    if isinstance(result, (tuple, list)):
        return [bits(item) for item in result]
    if isinstance(result, History):  # but for the seconds, which its text has too
        return {name: bits(value) for name, value in vars(result).items() if name != "seconds"}
    return result


def outcomes(backend, x, y, **settings):
    """Bits of all that can be made of x and y in the network's dtype, training included."""
    network = make(backend, **settings)
    calls = dict(every_call(network, x, y))
    del calls["numerical_gradients"]  # in float64, and slow
    return {name: bits(call()) for name, call in calls.items()}, network.fingerprint()


@contextlib.contextmanager
def little_memory(room=2**30):
    """No more than so many bytes of address space on top of what the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def kinds(network):
    """The type of each attribute."""
    return {name: type(value) for name, value in vars(network).items()}
