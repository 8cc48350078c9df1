"""What the tests of the command line share: an empty folder, and a trained model."""

import pytest
from cli import process


@pytest.fixture
def here(tmp_path):
    """The folder in which `run` runs."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def run(here):
    """`run("info", ...)`: a `process.Done`; with `env` or `program` from a process of its own."""

    def either(*arguments, **settings):
        way = process.run if settings else process.call
        return way(*arguments, cwd=here, **settings)

    return either


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A folder with 200 images of each kind in the form of MNIST: quickly read."""
    return process.write_small_data(tmp_path_factory.mktemp("small"))


@pytest.fixture
def train(run, small):
    """`train("--seed", 1, ..., steps=20)`: a short training on the small data."""

    def call(*arguments, steps=20):
        return run("train", "--steps", steps, "--data", small, *arguments)

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A file of the report's network after 2,000 steps, on NumPy, and what `train` printed."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    done = process.run("train", "--steps", 2000, "--backend", "numpy", "--output", path)
    assert done.code == 0, done.errors
    return path, done
