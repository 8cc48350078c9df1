"""`chainrule report`: the report, reproduced as one HTML page."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from chainrule import _validate, mnist, report
from chainrule.cli import _outputs, _plot, _show
from chainrule.report import Section


def run(options: Namespace) -> None:
    """Compute the sections, write the page, and say where it is."""
    began = time.perf_counter()
    _plot.silence_matplotlib()
    seed = _validate.seed(options.seed)
    if not options.out:
        raise ValueError("--out must name a folder; got ''")
    folder = Path(options.out)
    for path in report.existing(folder):
        _outputs.check(path, "report", force=options.force)
    told: list[str] = []

    def tell(section: Section) -> None:
        told.append(section.title)
        if not options.json:
            _show.say(f"{section.number:>2}  {section.title}")

    data = mnist.load(options.data)
    folder.mkdir(parents=True, exist_ok=True)
    _outputs.check(folder / report.PAGE, "report", force=options.force)
    page = report.write(folder, data=data, seed=seed, force=options.force, progress=tell)
    seconds = time.perf_counter() - began
    if options.json:
        _show.as_json({"page": str(page), "sections": told, "seed": seed, "seconds": seconds})
    else:
        print(f"written in {seconds:.0f} s: {page}")
