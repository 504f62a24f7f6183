"""Photographs of pages for the README and the guides: ``python docs/photographs.py [SUBJECT …]``.

Each is a page as it is today, in a real browser (Chromium, through Playwright), kept small with a palette.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import chainrule as cr
from chainrule.cli import run
from chainrule.graph.trace import label
from chainrule.show.play.server import Playground, address, serve

IMAGES = Path(__file__).parent / "images"
PENGUINS = Path(cr.__file__).parent / "data" / "penguins.csv"
CORNERS, XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
SHOOT = Callable[..., None]


def square(shoot: SHOOT, folder: Path) -> None:
    """One function of two numbers, on its way back."""
    cr.draw(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0, path=folder / "square.html", title="(w x − 1)²")
    shoot("graph-square", folder / "square.html#step=7")


def xor(shoot: SHOOT, folder: Path) -> None:
    """A network with its heat maps."""
    network = cr.Network([cr.Dense(2, "tanh")], output=cr.Bernoulli())
    cr.draw(network, CORNERS, XOR, path=folder / "xor.html", title="XOR")
    shoot("graph-xor", folder / "xor.html#step=37")


def logistic(shoot: SHOOT, folder: Path) -> None:
    """One row of logistic regression, in the dark."""

    def one_row(theta: Any, x: Any) -> Any:
        z = label(np.sum(theta * x), "z")
        p = label(1.0 / (1.0 + np.exp(-z)), "p")
        return label(-np.log(p), "J")

    title = "Logistic regression, one row"
    theta, x = np.array([0.5, -0.5]), np.array([1.0, 2.0])
    cr.draw(one_row, theta, x, argnums=0, path=folder / "logistic.html", title=title)
    shoot("graph-logistic", folder / "logistic.html#step=16", color_scheme="dark")


def penguins(shoot: SHOOT, folder: Path) -> None:
    """A row of a small network, and of an ensemble."""
    usual = f"fit {PENGUINS} --target body_mass_g --drop-missing-target --quiet".split()
    shutil.copy(PENGUINS, folder)
    table = str(folder / "penguins.csv")
    small, whole = str(folder / "small.chainrule"), str(folder / "whole.chainrule")
    run([*usual, "--hidden", "8,4", "--activation", "relu", "--members", "1", "--embedding", "none", "--model", small])
    run([*usual, "--model", whole])
    run(["explain", small, table, "--row", "17", "-o", str(folder / "row.html")])
    run(["explain", whole, table, "--row", "17", "-o", str(folder / "whole.html")])
    flipper = "const at = chainrule.state.story.nodes.findIndex((node) => node.name === 'flipper_length_mm')"
    then = [f"{{ {flipper}; chainrule.state.go(chainrule.state.backwardAt.get(at)); }}", "chainrule.stage.first()"]
    shoot("graph-penguin", folder / "row.html", then=then)
    shoot("graph-ensemble", folder / "whole.html#step=9999", then=["chainrule.stage.whole()"])


def report(shoot: SHOOT, folder: Path) -> None:
    """The report's beginning and its calibration."""
    shutil.copy(PENGUINS, folder)
    page, model = str(folder / "report.html"), str(folder / "report.chainrule")
    usual = ["--target", "body_mass_g", "--drop-missing-target", "--quiet", "--model", model, "--report", page]
    run(["fit", str(folder / "penguins.csv"), *usual])
    size = {"width": 1000, "height": 860}
    shoot("report", folder / "report.html", viewport=size)
    shoot("report-calibration", folder / "report.html#calibration", viewport=size)


def playground(shoot: SHOOT, folder: Path) -> None:
    """The playground on two spirals, light and dark."""
    for name, scheme in (("playground", "light"), ("playground-dark", "dark")):
        ground = Playground()
        ground.set({"data": "spirals", "layers": [16, 16], "unit": "tanh", "learning_rate": 0.01, "batch_size": 32})
        server = serve(ground)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for _ in range(185):
            ground.do("epoch")
        size = {"width": 1400, "height": 860}
        shoot(name, address(server, ground), viewport=size, color_scheme=scheme, wait=2500)
        ground.close()
        server.shutdown()
        server.server_close()
        thread.join()


SUBJECTS = (square, xor, logistic, penguins, report, playground)


def main(wanted: list[str]) -> None:
    """Take the photographs asked for, or all of them."""
    program = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])

        def shoot(name: str, page: Path | str, then: list[str] | None = None, wait: int = 600, **options: Any) -> None:
            tab = browser.new_page(**{"viewport": {"width": 1280, "height": 760}, **options})
            tab.goto(page if isinstance(page, str) else f"file://{page}")
            tab.wait_for_timeout(wait)
            for script in then or []:
                tab.evaluate(script)
            tab.mouse.move(0, 0)
            tab.wait_for_timeout(600)
            taken = Image.open(BytesIO(tab.screenshot())).convert("RGB")
            taken.quantize(256, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)
            tab.close()

        for subject in SUBJECTS:
            if not wanted or subject.__name__ in wanted:
                subject(shoot, Path(folder))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
