"""`chainrule predict` on pictures, from one drawn by hand to what is printed and shown."""

import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from cli.process import idx
from images.pictures import draw, encoded, row, scaled
from PIL import Image

import chainrule
from chainrule import Network
from chainrule.cli.predict import _probabilities, _second
from chainrule.images import find_digits


@pytest.fixture(scope="module")
def report(tmp_path_factory, mnist):
    """The report's network, in a file."""
    network = Network([784, 16, 16, 10], initialization="he_uniform", backend="rust")
    network.fit(*mnist.train, steps=51_419, learning_rate=chainrule.Linear(0.275))
    path = tmp_path_factory.mktemp("report") / "model.safetensors"
    network.save(path)
    return path


@pytest.fixture(params=["rust", "numpy"])
def backend(request):
    return request.param


@pytest.fixture
def drawn(here):
    """Three pictures with digits drawn by hand, and what they are."""
    draw([3, 1, 4, 1, 5]).save(here / "pi.png")
    draw([7], width=8, ink=(250, 250, 200), paper=(10, 60, 40)).save(here / "board.jpg")
    draw([2, 0, 7], width=16).save(here / "row.png")
    return {"pi.png": [3, 1, 4, 1, 5], "board.jpg": [7], "row.png": [2, 0, 7]}


def test_reads_what_was_drawn(run, here, drawn, report):
    done = run("predict", report, *drawn)
    assert (done.code, done.errors) == (0, "")
    blocks = re.split(r"^(\S+\.(?:png|jpg)): ", done.output, flags=re.MULTILINE)
    assert blocks[0] == ""
    for name, block in zip(blocks[1::2], blocks[2::2], strict=True):
        head, *lines = block.splitlines()
        assert head == " ".join(map(str, drawn[name]))
        titles = [line for line in lines if line.startswith("digit ")]
        boxes = find_digits(here / name).boxes
        several = len(boxes) > 1
        assert titles == [
            f"digit {i + 1} of {len(boxes)}, at x {left} to {right}, y {top} to {bottom}: {digit}"
            for i, ((left, top, right, bottom), digit) in enumerate(
                zip(boxes, drawn[name], strict=True)
            )
            if several
        ]


def test_bars(run, here, drawn, report):
    network = Network.load(report)
    digits = find_digits(here / "board.jpg")
    outputs = network.predict(digits.images)[0].astype(float)
    done = run("predict", report, "board.jpg")
    assert done.output.splitlines() == ["board.jpg: 7"] + [
        f"   {label}  {p:.4f}  {'#' * round(40 * p)}".rstrip()
        for label, p in enumerate(outputs / outputs.sum())
    ]
    assert re.search(r"^   7  0\.[6-9]\d+  #{24,40}$", done.output, re.MULTILINE)


def test_json(run, here, drawn, report, backend):
    network = Network.load(report, backend=backend)
    done = run("predict", report, *drawn, "--json", "--backend", backend)
    assert (done.code, done.errors) == (0, "")
    result = json.loads(done.output)
    assert result["show"] is None
    for picture, (name, classes) in zip(result["pictures"], drawn.items(), strict=True):
        digits = find_digits(here / name)
        outputs = network.predict(digits.images)
        assert picture["file"] == name
        assert picture["classes"] == classes
        assert picture["boxes"] == digits.boxes.tolist()
        assert np.float32(picture["outputs"]).tobytes() == outputs.tobytes()
        probabilities = np.array(picture["probabilities"])
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert (probabilities.argmax(axis=1) == outputs.argmax(axis=1)).all()
        assert len(picture["close"]) == len(classes)


def test_close(run, here, mnist, report):
    """Of the test images, one whose two best are close, and one whose are not."""
    network = Network.load(report)
    images = mnist.test.images[:2000]
    outputs = np.sort(network.predict(images), axis=1)
    ratio = outputs[:, -2] / outputs[:, -1]
    for image, close in ((images[ratio.argmax()], True), (images[ratio.argmin()], False)):
        Image.fromarray(image).save(here / "digit.png")
        result = json.loads(run("predict", report, "digit.png", "--json").output)["pictures"][0]
        best, second = np.argsort(result["outputs"][0])[:-3:-1]
        said = run("predict", report, "digit.png").output.splitlines()
        assert result["close"] == ([second] if close else [None])
        assert (said[-1] == f"close: {best} or {second}") == close
        assert any(line.startswith("close") for line in said) == close


def test_show(run, here, drawn, report):
    """A row a picture: its name, and each digit as the network saw it, five times as large."""
    done = run("predict", report, *drawn, "--show", "seen.png")
    assert done.output.endswith("\n\nsaved to seen.png\n")
    seen = np.asarray(Image.open(here / "seen.png").convert("L"))
    top = 16
    for name in drawn:
        for i, image in enumerate(find_digits(here / name).images):
            left, below = 16 + 156 * i, top + 24
            tile = seen[below : below + 140, left : left + 140]
            np.testing.assert_array_equal(tile, np.repeat(np.repeat(image, 5, axis=0), 5, axis=1))
            # What it was read as stands below, clear of tile, neighbour and edge.
            words = seen[below + 140 : below + 180, left : left + 140]
            assert (words < 128).sum() > 20
            assert words[:4].min() == words[-4:].min() == words[:, -1].min() == 255
        top += 24 + 140 + 24 + 16
    assert seen.shape == (top, 5 * 156 + 16)


def test_show_goes_on_in_the_next_line_after_ten_digits(run, here, report):
    """And what stands below one line is clear of the next."""
    draw([1, 7] * 11).save(here / "many.png")
    draw([3]).save(here / "one.png")
    assert run("predict", report, "many.png", "one.png", "--show", "seen.webp").code == 0
    seen = np.asarray(Image.open(here / "seen.webp").convert("L"))
    line = 140 + 24 + 16
    assert seen.shape == (16 + 24 + 3 * line + 24 + line, 16 + 10 * 156)
    places = [(10, 0), (10, 1), (2, 2)]
    tiles = [(16 + 24 + line * k, 16 + 156 * i) for n, k in places for i in range(n)]
    tiles.append((16 + 24 + 3 * line + 24, 16))
    digits = [*find_digits(here / "many.png").images, *find_digits(here / "one.png").images]
    for (top, left), image in zip(tiles, digits, strict=True):
        tile = seen[top : top + 140, left : left + 140].astype(int)
        assert np.abs(tile - np.repeat(np.repeat(image, 5, axis=0), 5, axis=1)).mean() < 4
        words = seen[top + 140 : top + 164, left : left + 140]
        assert (words < 128).sum() > 20
        assert words[-2:].min() > 230


@pytest.mark.parametrize("known_before", [True, False])
def test_show_that_would_be_too_large(run, here, model, drawn, monkeypatch, known_before):
    """Told with the remedy, and before the work where the number of files decides."""
    files = ["board.jpg"] * 90 if known_before else ["row.png"]
    if known_before:
        monkeypatch.setattr("chainrule.images.find_digits", pytest.fail)
    else:
        draw([1] * 30).save(here / "row.png")
        monkeypatch.setattr("chainrule.cli._seen._LONGEST_SIDE", {".webp": 500})
    message = run("predict", model[0], *files, "--show", "seen.webp").only_error(2)
    size = "172 x 18,376" if known_before else "1,576 x 580"
    most = "16,383" if known_before else "500"
    assert message == (
        f"chainrule: seen.webp: expected --show to be at most {most} pixels wide and high, as "
        f".webp is; it would be {size}; give fewer pictures, or a name that ends in .png"
    )
    assert not (here / "seen.webp").exists()


def test_show_of_more_pixels_than_are_read(run, here, model, drawn, monkeypatch):
    monkeypatch.setattr("chainrule.cli._seen.MOST_PIXELS", 172 * 220 - 1)
    message = run("predict", model[0], "board.jpg", "--show", "seen.png").only_error(2)
    assert message == (
        "chainrule: seen.png: expected --show to have at most 37,839 pixels; it would be "
        "172 x 220; give fewer pictures"
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("A.PNG", "PNG"), ("b.jpg", "JPEG"), ("c.webp", "WEBP")]
)
def test_show_is_of_the_kind_that_its_name_says(run, here, drawn, model, name, kind):
    done = run("predict", model[0], "board.jpg", "--show", name, "--json")
    assert json.loads(done.output)["show"] == name
    with Image.open(here / name) as image:
        assert image.format == kind


def test_show_with_a_name_that_says_nothing(run, here, drawn, model):
    for name in ("seen", "seen.txt", "png"):
        message = run("predict", model[0], "board.jpg", "--show", name).only_error(2)
        assert f"{name}: the name for --show must end in one of .png, .jpg" in message
        assert not (here / name).exists()


def test_content_decides_and_not_the_name(run, here, model, mnist):
    images = mnist.test.images[:3]
    for content in (idx(images), gzip.compress(idx(images))):
        (here / "images.png").write_bytes(content)
        done = run("predict", model[0], "images.png")
        assert done.code == 0, done.errors
        assert len(done.output.splitlines()) == 3
    (here / "t10k-images-idx3-ubyte.gz").write_bytes(encoded(Image.fromarray(images[0])))
    done = run("predict", model[0], "t10k-images-idx3-ubyte.gz")
    assert done.output.startswith("t10k-images-idx3-ubyte.gz: ")


def test_a_row_of_mnist(run, here, report, mnist):
    network = Network.load(report)
    images, labels = mnist.test.images[:8], mnist.test.labels[:8]
    right = network.classify(images) == labels
    picture = 255 - scaled(row(images, [6] * 7), 3)
    Image.fromarray(picture).convert("P").save(here / "row.gif")
    found = json.loads(run("predict", report, "row.gif", "--json").output)["pictures"][0]
    assert np.array(found["classes"])[right].tolist() == labels[right].tolist()
    assert right.sum() >= 6


# ---- outputs and probabilities


def test_probabilities_of_a_softmax_are_its_outputs(run, here, drawn):
    network = Network([784, 10], loss="cross_entropy", seed=1, backend="rust")
    network.save(here / "softmax")
    document = json.loads(run("predict", "softmax", "board.jpg", "--json").output)
    picture = document["pictures"][0]
    assert picture["probabilities"] == picture["outputs"]


def test_probabilities():
    outputs = np.array([[0.2, 0.6, 0.0], [-1.0, 3.0, 1.0], [0.0, 0.0, 0.0], [-2.0, -1.0, -3.0]])
    third = [1 / 3] * 3
    expected = [[0.25, 0.75, 0.0], [0.0, 0.75, 0.25], third, third]
    np.testing.assert_allclose(_probabilities(outputs, "identity"), expected)
    np.testing.assert_allclose(_probabilities(outputs[:1], "softmax"), outputs[:1])
    np.testing.assert_allclose(_probabilities(np.array([[0.2]]), "sigmoid"), [[0.8, 0.2]])
    endless = np.array([[np.inf, 1.0], [np.nan, 1.0], [-np.inf, 1.0]], np.float32)
    np.testing.assert_allclose(_probabilities(endless, "relu"), [[1, 0], [0, 1], [0, 1]], atol=1e-9)


def test_the_second_is_close_from_a_third_of_the_best():
    assert _second(np.array([0.6, 0.21, 0.19]), 0) == 1
    assert _second(np.array([0.1, 0.7, 0.2]), 1) is None
    assert _second(np.array([0.5, 0.5]), 0) == 1


def test_one_sigmoid_output(run, here, drawn):
    Network([784, 1], loss="binary_cross_entropy").save(here / "binary")
    done = run("predict", "binary", "board.jpg")
    assert (done.code, done.errors) == (0, "")
    assert re.fullmatch(
        r"board\.jpg: [01]\n   0  .*\n   1  .*\n(close: [01] or [01]\n)?", done.output
    )


@pytest.mark.parametrize(
    ("network", "part"),
    [
        (Network([9, 10]), r"x must have shape \(n, 9\); got \(n, 784\)"),
        (Network([784, 1], output_activation="tanh"), "two outputs or one sigmoid output"),
    ],
)
def test_network_for_something_else(run, here, drawn, network, part):
    network.save(here / "other")
    message = run("predict", "other", "board.jpg").only_error(2)
    assert re.search(rf"board\.jpg with other: .*{part}", message)


# ---- Pillow is optional


def test_pillow_is_loaded_for_pictures_only(here, model, mnist, drawn):
    (here / "images").write_bytes(idx(mnist.test.images[:2]))
    code = (
        "import sys; from chainrule.cli import main\n"
        f"assert main(['predict', {str(model[0])!r}, 'images']) == 0\n"
        "assert 'PIL' not in sys.modules\n"
        f"assert main(['predict', {str(model[0])!r}, 'board.jpg']) == 0\n"
        "assert 'PIL' in sys.modules\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=here, check=True, timeout=60)


def test_without_pillow(run, here, drawn, model, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.setitem(sys.modules, name, None)
    for arguments in (["board.jpg"], ["board.jpg", "--show", "seen.png"]):
        message = run("predict", model[0], *arguments).only_error(2)
        assert message.endswith(
            "this needs Pillow, which is not installed; pip install 'chainrule[images]'"
        )
