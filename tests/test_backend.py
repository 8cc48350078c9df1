"""Which engine, instruction set and threads are taken: what is asked for, or an error."""

import inspect
import io
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import Network, _backend, _core, reference, storage

HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "chainrule._core":
            raise ImportError("hidden by a test")
sys.meta_path.insert(0, Hidden())
"""
SETTINGS = ("CHAINRULE_BACKEND", "CHAINRULE_ISA", "CHAINRULE_THREADS", "OMP_NUM_THREADS")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def python(code, *options, **env):
    """Run lines in an interpreter of their own: what was printed, and what was warned of."""
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


# ---- without the extension


@pytest.mark.parametrize("options", [[], ["-W", "always"]])
@pytest.mark.parametrize(
    "first",
    [
        "network = chainrule.Network([1, 1])",
        "chainrule.BACKEND",
        "network = chainrule.Network.load(path)",
    ],
)
def test_numpy_does_the_work_and_that_is_said_once(tmp_path, options, first):
    path = tmp_path / "model"
    Network([1, 1]).save(path)
    code = f"""{HIDDEN}
import chainrule
path = {os.fspath(path)!r}
print("imported", flush=True)
print("imported", file=sys.stderr, flush=True)
{first}
for _ in range(3):
    network = chainrule.Network([1, 1])
    assert network.backend == chainrule.BACKEND == "numpy"
    assert network.explain()["engine"] == "numpy"
chainrule.Network.load(path)
"""
    output, errors = python(code, *options)
    assert output == "imported\n"
    before, _, after = errors.partition("imported\n")
    assert before == ""  # an import alone says nothing
    [line] = [line for line in after.splitlines() if "Warning" in line]
    where = code.splitlines().index(first) + 1
    assert line.startswith(f"<string>:{where}: BackendWarning: ")  # the line that asked
    assert "cannot be imported (hidden by a test); NumPy does the work" in line
    assert "CHAINRULE_BACKEND=numpy" in line


@pytest.mark.parametrize(
    ("make", "env"),
    [
        ("chainrule.Network([3, 2])", {"CHAINRULE_BACKEND": "numpy"}),
        ("chainrule.Network([3, 2], backend='numpy')", {}),
    ],
)
def test_numpy_that_was_asked_for_needs_no_warning(make, env):
    code = f"""{HIDDEN}
import numpy as np, chainrule
network = {make}
network.fit(np.eye(3), [0, 1, 1], epochs=3)
print(network.fingerprint())
"""
    output, errors = python(code, "-W", "error", **env)
    assert errors == ""
    network = Network([3, 2], backend="numpy")
    network.fit(np.eye(3), [0, 1, 1], epochs=3)
    assert output.strip() == network.fingerprint()


@pytest.mark.parametrize(
    ("act", "env", "source"),
    [
        ("chainrule.Network([1, 1], backend='rust')", {}, "backend"),
        ("chainrule.Network([1, 1])", {"CHAINRULE_BACKEND": "rust"}, "CHAINRULE_BACKEND"),
        ("chainrule.BACKEND", {"CHAINRULE_BACKEND": "rust"}, "CHAINRULE_BACKEND"),
        ("chainrule.Network.load('model', backend='rust')", {}, "backend"),
        ("pickle.loads(bytes.fromhex(sys.argv[1]))", {}, "backend"),
    ],
)
def test_rust_that_cannot_be_had_is_an_error_that_says_why(act, env, source):
    code = f"""{HIDDEN}
import pickle, chainrule
sys.argv.append("{pickle.dumps(Network([1, 1], backend="rust")).hex()}")
try:
    {act}
except ValueError as error:
    print(error)
"""
    output, errors = python(code, "-W", "error", **env)
    assert errors == ""
    assert output.startswith(f"{source} is 'rust', but the extension cannot be imported (hidden")
    assert "reinstall chainrule" in output


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No module named 'chainrule._core'"), (b"\x7fELF", "file too short")],
)
def test_why_the_extension_is_missing(tmp_path, content, why):
    """A package whose extension is not there, and one whose is broken."""
    package = Path(chainrule.__file__).parent
    shutil.copytree(package, tmp_path / "chainrule", ignore=shutil.ignore_patterns("_core.*so"))
    if content is not None:
        (tmp_path / "chainrule" / Path(_core.__file__).name).write_bytes(content)
    code = "import chainrule; print(chainrule.Network([1, 1]).backend, chainrule.__file__)"
    output, errors = python(code, PYTHONPATH=os.fspath(tmp_path))
    assert output.split() == ["numpy", os.fspath(tmp_path / "chainrule" / "__init__.py")]
    assert errors.count("BackendWarning") == 1
    assert why in errors


def test_instruction_set_without_the_extension():
    """NumPy cannot honour it, whether or not it was chosen."""
    for value in ("portable", "mmx", ""):
        code = f"""{HIDDEN}
import chainrule
try:
    chainrule.Network([1, 1])
except ValueError as error:
    print(error)
"""
        output, _ = python(code, CHAINRULE_ISA=value)
        assert output.startswith(f"CHAINRULE_ISA is {value!r}, but NumPy chooses its instructions")


# ---- CHAINRULE_BACKEND


def test_backend_of_the_environment(backend, monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", backend)
    assert Network([1, 1]).backend == chainrule.BACKEND == backend
    for other in ("rust", "numpy"):  # the argument goes first
        assert Network([1, 1], backend=other).backend == other


def test_backend_without_being_asked(tmp_path):
    network = Network([1, 1])
    assert network.backend == chainrule.BACKEND == "rust"
    network.save(tmp_path / "model")
    assert Network.load(tmp_path / "model").backend == "rust"


@pytest.mark.parametrize("value", ["torch", "", "Rust", " rust", "rust,numpy"])
def test_backend_that_is_none(value, monkeypatch, tmp_path):
    network = Network([1, 1])
    network.save(tmp_path / "model")
    says = f"must be one of 'rust', 'numpy'; got {value!r}"
    for call in (
        lambda: Network([1, 1], backend=value),
        lambda: Network.load(tmp_path / "model", backend=value),
    ):
        with pytest.raises(ValueError, match=f"^backend {says}"):
            call()
    monkeypatch.setenv("CHAINRULE_BACKEND", value)
    for call in (
        lambda: Network([1, 1]),
        lambda: Network.load(tmp_path / "model"),
        lambda: chainrule.BACKEND,
    ):
        with pytest.raises(ValueError, match=f"^CHAINRULE_BACKEND {says}"):
            call()
    code = "import chainrule; print(chainrule.__version__)"  # which can still be asked
    assert python(code)[0].strip() == chainrule.__version__


@pytest.mark.parametrize("value", [1, True, b"rust", ["rust"]])
def test_backend_of_another_kind(value):
    with pytest.raises(TypeError, match="backend must be a str, one of 'rust', 'numpy'; got"):
        Network([1, 1], backend=value)


# ---- CHAINRULE_ISA


def test_instruction_sets_of_this_machine(monkeypatch):
    """Each is taken, is told before and after, and gives the same bits."""
    assert _backend.isas()[0] == "portable"
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 9)), rng.integers(0, 3, 20)
    found = {}
    for isa in [None, *_backend.isas()]:
        if isa is None:
            monkeypatch.delenv("CHAINRULE_ISA", raising=False)
        else:
            monkeypatch.setenv("CHAINRULE_ISA", isa)
        network = Network([9, 7, 3], backend="rust")
        expected = isa or _backend.isas()[-1]
        assert network.explain()["isa"] == expected
        network.fit(x, y, epochs=2, batch_size=6)
        assert network.explain()["isa"] == network.copy().explain()["isa"] == expected
        found[isa] = network.fingerprint()
    assert len(set(found.values())) == 1


@pytest.mark.parametrize("value", ["mmx", "", "AVX2", "avx2 "])
def test_instruction_set_that_there_is_not(value, monkeypatch, tmp_path):
    network = Network([1, 1], backend="rust")
    network.save(tmp_path / "model")
    monkeypatch.setenv("CHAINRULE_ISA", value)
    for call in (
        lambda: Network([1, 1], backend="rust"),
        lambda: Network.load(tmp_path / "model", backend="rust"),
        network.copy,
    ):
        with pytest.raises(ValueError, match="CHAINRULE_ISA must be one of 'portable'") as error:
            call()
        assert f"got {value!r}" in str(error.value)
    assert network.predict([[1.0]]).shape == (1, 1)


@pytest.mark.parametrize("value", ["portable", "mmx", ""])
def test_instruction_set_for_numpy(value, monkeypatch, tmp_path):
    """It chooses by itself, so none can be forced on it."""
    network = Network([1, 1], backend="numpy")
    network.save(tmp_path / "model")
    monkeypatch.setenv("CHAINRULE_ISA", value)
    for call in (
        lambda: Network([1, 1], backend="numpy"),
        lambda: Network.load(tmp_path / "model", backend="numpy"),
        network.copy,
        lambda: network.numerical_gradients([[1.0]], [1.0]),
    ):
        with pytest.raises(ValueError, match=r"CHAINRULE_ISA is .* but NumPy chooses") as error:
            call()
        assert repr(value) in str(error.value)


# ---- threads


def test_threads_of_argument_and_environment(monkeypatch):
    assert _backend.threads(3) == 3
    assert _backend.threads(np.int32(3)) == 3
    assert _backend.threads(10**30) == sys.maxsize
    monkeypatch.setenv("CHAINRULE_THREADS", "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert _backend.threads(None) == 5
    assert _backend.threads(3) == 3
    monkeypatch.setenv("CHAINRULE_THREADS", str(10**30))
    assert _backend.threads(None) == sys.maxsize


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5", " 2", "\u0662"])
def test_threads_of_the_environment_that_are_none(value, monkeypatch):
    monkeypatch.setenv("CHAINRULE_THREADS", value)
    with pytest.raises(ValueError, match=r"CHAINRULE_THREADS must be .*at least 1; got") as error:
        _backend.threads(None)
    assert value in str(error.value)


@pytest.mark.parametrize(
    ("cpus", "quota", "omp", "expected"),
    [
        (6, None, None, 6),
        (6, 4, None, 4),
        (6, 8, None, 6),
        (6, 4, "3", 3),
        (6, 4, "5", 4),
        (6, None, " 2 , 7", 2),
        (6, None, "0", 1),
        # Another program's variable: what this one cannot read is not for it to refuse.
        (6, None, "", 6),
        (6, None, "many", 6),
        (6, None, "-2", 6),
    ],
)
def test_threads_that_are_free(monkeypatch, cpus, quota, omp, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
    monkeypatch.setattr(_backend, "_cgroup_quota", lambda: quota)
    if omp is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert _backend.threads(None) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="has no affinity")
def test_threads_follow_the_affinity():
    code = """
import os
from chainrule import _backend
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(_backend.threads(None))
"""
    assert python(code)[0] == "1\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "what"}, None),
        ({"cpu.max": "100000 0\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, None),
    ],
)
def test_cores_of_a_container(monkeypatch, files, expected):
    def read(path, **_):
        try:
            return io.StringIO(files[path.removeprefix("/sys/fs/cgroup/")])
        except KeyError:
            raise FileNotFoundError(path) from None

    monkeypatch.setattr(_backend, "open", read, raising=False)
    assert _backend._cgroup_quota.__wrapped__() == expected


# ---- the border


METHODS = [
    "dataset", "evaluate", "explain", "forget", "gradients", "initialize", "predict", "predict_few",
    "remember", "restore", "set_state", "state", "trace", "train",
]  # fmt: skip


def test_protocol_has_what_the_border_needs():
    assert sorted(n for n in vars(_backend.Engine) if n[0] != "_") == sorted([*METHODS, "name"])


@pytest.mark.parametrize("method", METHODS)
def test_both_engines_have_the_methods_of_the_protocol(method):
    wanted = list(inspect.signature(getattr(_backend.Engine, method)).parameters)
    for engine in (reference.Engine, _core.Engine):
        assert list(inspect.signature(getattr(engine, method)).parameters) == wanted


def test_engines_by_name():
    assert (_core.Engine.name, reference.Engine.name) == _backend.BACKENDS
    public = {name for name in vars(_core.Engine) if not name.startswith("_")}
    assert public == {*METHODS, "name"}
    assert isinstance(Network([1, 1], backend="rust")._engine, _core.Engine)
    assert isinstance(Network([1, 1], backend="numpy")._engine, reference.Engine)


def test_both_sides_have_one_number_of_exactness():
    assert _core.EXACTNESS == storage.EXACTNESS
