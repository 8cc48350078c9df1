"""The plots of what `run.py` measured."""

from __future__ import annotations

from pathlib import Path

from tables import NAMES
from works import REPORT, WIDE


def beside_peers(results: list[dict], folder: Path) -> str:
    """Each peer's time on each work, in ours; returns the line that shows the plot."""
    from matplotlib.figure import Figure

    from chainrule import plots
    from chainrule.plots._style import MARKERS, PALETTE

    peers = [name for name in NAMES if any(name in r["peers"] for r in results)][1:]
    with plots.style():
        figure = Figure(figsize=(8.4, 0.55 * len(results) + 1.6))
        ax = figure.subplots()
        for i, name in enumerate(peers):
            found = [
                (r["peers"][name]["median"] / r["peers"]["chainrule"]["median"], y)
                for y, r in enumerate(results)
                if name in r["peers"]
            ]
            ax.plot(*zip(*found, strict=True), color=PALETTE[i % len(PALETTE)], linestyle="none",
                    marker=MARKERS[i % len(MARKERS)], label=NAMES[name])  # fmt: skip
        ax.axvline(1, color="black", linewidth=1)
        ax.set(xscale="log", xlabel="time of a step, by chainrule's (the line)")
        ax.set_yticks(range(len(results)), [r["work"]["name"] for r in results])
        ax.invert_yaxis()
        ax.grid(visible=True, axis="x")
        figure.legend(loc="outside lower center", ncols=4)
        (folder / "peers.png").write_bytes(plots.render(figure, "png"))
    return "![Time of a step of training by each peer, in chainrule's](results/peers.png)"


def plot_growth(panels: list[tuple[str, str, list[dict], str]], file: Path) -> None:
    """Time over size: (title, x label, results, key of x) a panel; both axes are logarithmic."""
    from matplotlib.figure import Figure

    from chainrule import plots
    from chainrule.plots._style import MARKERS, PALETTE

    looks = zip(PALETTE[:4], MARKERS[:4], strict=True)
    colours = dict(zip(("chainrule", "jax", "torch", "onnx"), looks, strict=True))
    with plots.style():
        figure = Figure(figsize=(4.2 * len(panels), 3.2))
        for ax, (title, label, results, key) in zip(
            figure.subplots(1, len(panels)), panels, strict=True
        ):
            for name, (colour, marker) in colours.items():
                points = sorted(
                    (value(r, key), r["peers"][name]["median"] * 1e6)
                    for r in results
                    if name in r["peers"]
                )
                if points:
                    ax.plot(*zip(*points, strict=True), color=colour, marker=marker, linestyle="-",
                            label=NAMES[name])  # fmt: skip
            ax.set(xscale="log", yscale="log", title=title, xlabel=label)
            ax.grid(visible=True)
            ax.legend()
        figure.axes[0].set_ylabel("microseconds")
        file.write_bytes(plots.render(figure, "png"))


def value(result: dict, key: str) -> float:
    return result["work"]["sizes"][1] if key == "width" else result["work"][key]


def growth(measured: dict, folder: Path) -> list[str]:
    """The plots of training and of prediction over size and batch."""
    found = [
        r for group in measured["groups"].values() for r in group if r["work"]["data"] == "mnist"
    ]

    def some(training: bool, **wanted) -> list[dict]:
        return [
            r for r in found
            if (r["work"]["batch_size"] > 0) == training and r["work"]["dtype"] == "float32"
            and all(r["work"][k] == v for k, v in wanted.items())
        ]  # fmt: skip

    square = [
        r for r in some(training=True, batch_size=128)
        if len(r["work"]["sizes"]) == 4 and r["work"]["activation"] == "relu"
    ]  # fmt: skip
    panels = {
        "training": [
            (
                "A step of 784-128-10",
                "batch",
                some(training=True, sizes=[784, 128, 10]),
                "batch_size",
            ),
            ("A step of 784-w-w-10, batch 128", "width w", square, "width"),
        ],
        "prediction": [
            (
                "A prediction of 784-16-16-10",
                "rows",
                some(training=False, sizes=list(REPORT)),
                "rows",
            ),
            (
                "A prediction of 784-512-512-10",
                "rows",
                some(training=False, sizes=list(WIDE)),
                "rows",
            ),
        ],
    }
    written = []
    for name, parts in panels.items():
        if all(len(results) > 1 for _, _, results, _ in parts):
            plot_growth(parts, folder / f"{name}.png")
            written.append(f"![Time of {name} over size and batch](results/{name}.png)")
    return written
