"""The notebook's widget: the page and Python move it together."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from browser import chromium

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.show import drawing as drawing_module

pytest.importorskip("anywidget", reason='the widget needs pip install "chainrule[notebook]"')


def cost(p: Any, x: Any) -> Any:
    return np.sum((p["w"] * x - 1.0) ** 2)


ARGS = ({"w": np.array([2.0, -1.0])}, 3.0)

#: a notebook's cell: a model with what `render` uses of it, and what Python would see of it
CELL = """
<!doctype html><body data-jp-theme-light="false"><div id="cell"></div>
<script>
const kept = STATE, listeners = [];
kept.inputs = new DataView(Uint8Array.from(atob(kept.inputs), (c) => c.charCodeAt(0)).buffer);
window.model = {
  kept, saved: 0,
  get: (name) => kept[name],
  set(name, value) { kept[name] = value; listeners.filter(([e]) => e === `change:${name}`).forEach(([, f]) => f()); },
  save_changes() { this.saved++; },
  on: (event, f) => listeners.push([event, f]),
  off(event, f) { listeners.splice(listeners.findIndex(([e, g]) => e === event && f === g), 1); },
  listeners,
};
</script>
<script type="module">
SCRIPT
window.leave = render({ model, el: document.querySelector("#cell") });
</script>
"""


def test_python_s_side() -> None:
    widget = cr.draw(cost, *ARGS).widget(height=500)
    assert (widget.step, widget.height) == (0, 500)
    parameters, x = widget.arguments
    np.testing.assert_array_equal(parameters["w"], ARGS[0]["w"])
    assert x == 3.0
    assert not widget.moved
    widget.arguments = {"w": np.array([0.5, 1.0])}, 2.0
    assert widget.moved
    np.testing.assert_array_equal(widget.arguments[0]["w"], [0.5, 1.0])
    with pytest.raises(OptionError, match="draw anew"):
        widget.arguments = ({"w": np.array([0.5])}, 2.0)
    with pytest.raises(OptionError, match="draw anew"):
        widget.arguments = (2.0,)


def test_a_notebook_chooses_what_it_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = cr.draw(cost, *ARGS)
    data, _ = drawing._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    monkeypatch.setattr(drawing_module, "find_spec", lambda name: None)
    assert drawing._repr_mimebundle_() == {"text/html": drawing._repr_html_(), "text/plain": repr(drawing)}
    with pytest.raises(OptionError, match=r"chainrule\[notebook\]"):
        drawing.widget()


def test_only_a_notebook_loads_it() -> None:
    code = "import sys, chainrule as cr; cr.draw(lambda x: x * x, 2.0); print('anywidget' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as each:
        yield each


def until(page: Any, condition: str) -> None:
    page.wait_for_function(condition, timeout=5000)


def test_both_move_one_page(browser: Any) -> None:
    widget = cr.draw(cost, *ARGS, argnums=0, learning_rate=0.05).widget()
    state = {name: getattr(widget, name) for name in ("page", "title", "height", "sizes", "step", "moved")}
    state = json.dumps({**state, "step": 3, "inputs": base64.b64encode(widget.inputs).decode()}).replace("<", "\\u003c")
    script = (files("chainrule.show") / "assets" / "widget.js").read_text("utf-8").replace("export default", "//")
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content(CELL.replace("STATE", state).replace("SCRIPT", script))
    page.wait_for_selector("iframe")
    frame = page.frames[1]
    frame.wait_for_selector(".box")
    # what the model has is where the page begins, in the notebook's colours
    for _ in range(100):
        if frame.evaluate("window.chainrule && chainrule.state.step") == 3:
            break
        page.wait_for_timeout(20)
    assert frame.evaluate("chainrule.state.step") == 3
    assert frame.evaluate("document.documentElement.dataset.theme") == "dark"
    # the page steps, Python knows
    frame.click("[data-action=forth]")
    until(page, "model.kept.step === 4 && model.saved > 0")
    # a gradient step in the page: Python has the new parameters, as it would have computed them itself
    frame.click("#take-step")
    until(page, "model.saved > 1")
    inputs = page.evaluate("Array.from(new Uint8Array(model.kept.inputs.buffer))")
    widget.set_state({"inputs": memoryview(bytes(inputs))})  # as it comes from the browser
    expected = ARGS[0]["w"] - 0.05 * cr.grad(cost)(*ARGS)["w"]
    np.testing.assert_allclose(widget.arguments[0]["w"], expected, rtol=1e-12)
    # Python sets a point, the page shows it, and does not say it back
    widget.arguments = {"w": np.array([0.25, 0.5])}, 4.0
    saved = page.evaluate("model.saved")
    page.evaluate("(b) => model.set('inputs', new DataView(Uint8Array.from(b).buffer))", list(widget.inputs))
    page.evaluate("model.set('step', 1)")
    for _ in range(100):
        if frame.evaluate("chainrule.state.step") == 1:
            break
        page.wait_for_timeout(20)
    assert frame.evaluate("chainrule.state.cost()") == pytest.approx(cost({"w": np.array([0.25, 0.5])}, 4.0))
    assert page.evaluate("model.saved") <= saved + 1
    page.evaluate("leave()")
    assert page.evaluate("model.listeners.length") == 0
    page.close()
    assert not errors, errors
