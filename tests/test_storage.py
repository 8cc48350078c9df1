"""Model files that are as they should be: round trips, the page that defines them, the disk."""

import json
import struct
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import chainrule
from chainrule import storage

PAGE = Path(__file__).parents[1] / "docs" / "format.md"


def model(dtype="float32", *, sizes=(3, 4, 2), momentum=0.9, **changes):
    n = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    numbers = np.random.default_rng(7).standard_normal((2, n)).astype(dtype)
    given = storage.Model(
        sizes=sizes,
        activations=("relu",) * (len(sizes) - 2) + ("softmax",),
        loss="cross_entropy",
        initializations=("he_uniform",) * (len(sizes) - 2) + ("glorot_uniform",),
        dtype=dtype,
        seed=2**64 - 1,
        epochs_done=3,
        steps_done=2**53 + 1,
        optimizer={"name": "sgd", "learning_rate": 0.1, "momentum": momentum},
        parameters=numbers[0],
        optimizer_state={"velocity": numbers[1]} if momentum else {},
    )
    return replace(given, **changes)


def assert_same(a, b):
    for field in fields(storage.Model):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if field.name == "parameters":
            left, right = {"": left}, {"": right}
        if field.name in {"parameters", "optimizer_state"}:
            assert left.keys() == right.keys()
            for name in left:
                assert left[name].dtype == right[name].dtype
                assert left[name].tobytes() == right[name].tobytes()
        else:
            assert left == right, field.name
            assert type(left) is type(right), field.name


def header_of(data):
    (length,) = struct.unpack("<Q", data[:8])
    return length, json.loads(data[8 : 8 + length])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 2), (3, 4, 2), (2,) * 13])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_round_trip(dtype, sizes, momentum):
    given = model(dtype, sizes=sizes, momentum=momentum)
    data = storage.dumps(given)
    again = storage.loads(data, None)
    assert_same(again, given)
    assert again.parameters.flags.writeable
    assert again.parameters.flags.owndata
    assert storage.dumps(again) == data


@pytest.mark.parametrize(
    "rate",
    [
        0.0,
        5e-324,
        0.1,
        1e300,
        None,
        {"schedule": "constant", "rate": 0.5},
        {"schedule": "linear", "start": 0.3, "end": 1e-7},
    ],
)
def test_every_kind_of_rate_survives(rate):
    given = model(optimizer={"name": "sgd", "learning_rate": rate, "momentum": 0.0})
    assert storage.loads(storage.dumps(given), None).optimizer == given.optimizer


@pytest.mark.parametrize(
    ("output", "loss"),
    [(a, "squared_error") for a in ("identity", "sigmoid", "tanh", "relu", "softmax")]
    + [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")],
)
def test_every_activation_and_loss_survives(output, loss):
    given = model(activations=("tanh", output), loss=loss)
    assert_same(storage.loads(storage.dumps(given), None), given)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minus_zero_is_written_as_zero_and_subnormals_are_kept(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    given = model(dtype, sizes=(1, 2), parameters=np.array([-0.0, 0.0, -tiny, tiny], dtype))
    plus = replace(given, parameters=np.array([0.0, 0.0, -tiny, tiny], dtype))
    assert storage.dumps(given) == storage.dumps(plus)
    assert storage.fingerprint(given) == storage.fingerprint(plus)
    assert storage.loads(storage.dumps(given), None).parameters.tobytes() == (
        plus.parameters.tobytes()
    )
    assert np.signbit(given.parameters[0])  # the caller's array is as it was


def test_tensors_stand_in_the_public_order_and_aligned():
    given = model()
    data = storage.dumps(given)
    length, header = header_of(data)
    names = [f"layers.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")]
    assert list(header) == ["__metadata__", *names, "optimizer.velocity"]
    assert header["layers.0.weight"] == {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}
    assert length % 8 == 0
    body = given.parameters.tobytes() + given.optimizer_state["velocity"].tobytes()
    assert data[8 + length :] == body
    entry = header["layers.1.weight"]
    begin, end = entry["data_offsets"]
    weights = np.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    np.testing.assert_array_equal(weights, given.parameters[16:24].reshape(2, 4))


def test_any_order_of_the_header_loads(rng):
    given = model()
    data = storage.dumps(given)
    length, header = header_of(data)
    for _ in range(20):
        keys = [list(header)[i] for i in rng.permutation(len(header))]
        text = json.dumps({key: header[key] for key in keys}, indent=1).encode()
        assert_same(
            storage.loads(struct.pack("<Q", len(text)) + text + data[8 + length :], None), given
        )


def test_header_is_padded_with_spaces():
    paddings = {
        len(text) - len(text.rstrip(b" "))
        for seed in (1, 10, 100, 1000, 10**4, 10**5, 10**6, 10**7)
        for data in [storage.dumps(model(seed=seed))]
        for text in [data[8 : 8 + header_of(data)[0]]]
    }
    assert paddings == set(range(8))


def test_the_page_computes_the_checksum(tmp_path, monkeypatch):
    """The lines of Python on docs/format.md agree, and notice a change."""
    (code,) = [
        part.removeprefix("python\n")
        for part in PAGE.read_text(encoding="utf-8").split("```")
        if part.startswith("python\n")
    ]
    code = code.replace('open("model.safetensors", "rb").read()', "DATA")
    assert "DATA" in code
    data = storage.dumps(model("float64"))
    exec(code, {"DATA": data})
    with pytest.raises(AssertionError):
        exec(code, {"DATA": data[:-1] + bytes([data[-1] ^ 1])})


def test_the_page_names_every_key():
    page = PAGE.read_text(encoding="utf-8")
    document = json.loads(header_of(storage.dumps(model()))[1]["__metadata__"]["chainrule"])
    for key in (*document, *document["description"], *document["counters"]):
        assert f"`{key}`" in page, key


def test_fingerprint_is_of_what_the_network_computes():
    given = model()
    assert len(storage.fingerprint(given)) == 64
    same = replace(given, seed=1, epochs_done=0, steps_done=0, optimizer_state={})
    assert storage.fingerprint(same) == storage.fingerprint(given)
    other = given.parameters.copy()
    other[-1] = np.nextafter(other[-1], 1)
    for changed in (
        replace(given, parameters=other),
        replace(given, activations=("tanh", "softmax")),
        replace(given, loss="squared_error"),
        model("float64"),
        model(sizes=(3, 3, 3), parameters=given.parameters),
    ):
        assert storage.fingerprint(changed) != storage.fingerprint(given)


def test_file_holds_no_path_and_no_time(tmp_path):
    for name in ("a", "b"):
        storage.write(tmp_path / name, storage.dumps(model()))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"tmp" not in (tmp_path / "a").read_bytes()


def test_numbers_of_versions_agree():
    assert storage.FORMAT_VERSION == 1
    from chainrule import _core

    assert _core.EXACTNESS == storage.EXACTNESS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_network_goes_on_as_if_never_stopped(backend, dtype, tmp_path, rng):
    x, y = rng.standard_normal((20, 3)), rng.integers(0, 2, 20)
    sgd = chainrule.SGD(chainrule.Constant(0.3), momentum=0.9)

    def network():
        return chainrule.Network([3, 4, 2], dtype=dtype, seed=2**64 - 1, backend=backend)

    through = network()
    through.fit(x, y, epochs=2, batch_size=3, optimizer=sgd)
    first = network()
    first.fit(x, y, epochs=1, batch_size=3, optimizer=sgd)
    first.save(tmp_path / "m.safetensors")
    second = chainrule.Network.load(tmp_path / "m.safetensors", backend=backend)
    assert second.backend == backend
    assert second.seed == 2**64 - 1
    assert second.optimizer == sgd
    second.fit(x, y, epochs=1, batch_size=3)
    second.save(tmp_path / "stopped")
    through.save(tmp_path / "through")
    assert (tmp_path / "stopped").read_bytes() == (tmp_path / "through").read_bytes()


def test_engines_read_each_other(backend, tmp_path):
    other = {"rust": "numpy", "numpy": "rust"}[backend]
    network = chainrule.Network([3, 4, 2], seed=5, backend=backend)
    network.save(tmp_path / "m")
    loaded = chainrule.Network.load(tmp_path / "m", backend=other)
    assert loaded.fingerprint() == network.fingerprint()
    loaded.save(tmp_path / "n")
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()
