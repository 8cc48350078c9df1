"""`chainrule` in a process of its own, as people and programs run it, or in this one, quickly."""

import contextlib
import io
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chainrule.cli import main

SCRIPT = [str(Path(sysconfig.get_path("scripts")) / "chainrule")]
MODULE = [sys.executable, "-m", "chainrule"]


class Done(NamedTuple):
    code: int
    output: str
    errors: str

    def error(self, code):
        """The line on standard error that says why a command failed with this code."""
        assert self.code == code, self
        assert self.output == "", self
        assert "Traceback" not in self.errors, self
        line = self.errors.splitlines()[-1]
        assert line.startswith("chainrule"), self
        return line

    def only_error(self, code):
        """The same, where nothing else may be said."""
        assert self.errors.count("\n") == 1, self
        return self.error(code)


def run(*arguments, program=MODULE, env=None, timeout=60, **settings):
    done = subprocess.run(
        [*program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
        **settings,
    )
    assert done.stdout.isascii(), done.stdout
    assert done.stderr.isascii(), done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(command, **settings):
    """A process at work, which ends with the block at the latest: else one that no signal has ended
    would be waited for for ever."""
    pipe = subprocess.PIPE
    settings = {"stdout": pipe, "stderr": pipe, "text": True} | settings
    with subprocess.Popen(command, **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def call(*arguments, cwd):
    """The same in this process: for what is printed, where the process does not matter."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
    assert output.getvalue().isascii()
    assert errors.getvalue().isascii()
    return Done(code, output.getvalue(), errors.getvalue())


def idx(array):
    """The bytes of an IDX file of uint8."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_small_data(folder, shape=(28, 28)):
    """The four files of MNIST with 200 random images each, not gzipped."""
    rng = np.random.default_rng(0)
    for name in ("train", "t10k"):
        images = rng.integers(0, 256, (200, *shape), dtype=np.uint8)
        labels = rng.integers(0, 10, 200, dtype=np.uint8)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
    return folder
