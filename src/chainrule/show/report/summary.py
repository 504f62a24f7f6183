"""What was fitted, and in plain words how good it is."""

from __future__ import annotations

from chainrule.models.summary import plain_output
from chainrule.show.document import Document
from chainrule.show.report.data import NETWORK, ReportData, View, counted, number, percent, plus_minus
from chainrule.show.report.findings import findings
from chainrule.show.report.measures import difference

#: differences of so many standard errors count
CLEAR = 2.0
#: judged rows below which scores say little
FEW_ROWS = 30


def summary(data: ReportData, page: Document) -> None:
    """The section."""
    model, target = data.model, data.model.target
    page.section("Summary")
    for view in data.views:
        good, text = verdict(view, data.judged_on)
        page.note(text, warning=not good)
    if data.warning:
        page.note(_sentence(data.warning), warning=True)
    warnings = [f for f in findings(data) if f.serious]
    if warnings:
        which = "; ".join(f"{f.title} (`{f.column}`)" if f.column else f.title for f in warnings[:6])
        page.note(f"{counted(len(warnings), 'warning')} about the data below: {which}.", warning=True)
    what = {"numeric": "a number", "binary": "one of two values", "classes": "one of several classes"}[target.task]
    facts = [("target", f"{', '.join(f'`{n}`' for n in target.names)}, {what}{' each' * (len(target.names) > 1)}")]
    facts.append(("inputs", f"{counted(len(data.names), 'column')}, {model.inputs.n_features} numbers after encoding"))
    if model.network is not None:
        layers = " → ".join(f"`{layer!r}`" for layer in model.network.layers) or "linear"
        facts.append(("network", layers))
    networks = f"{counted(len(model.members), 'network')} of {model.members[0].theta.size} parameters each"
    output = repr(model.output)
    facts.append(("output", plain_output(model.output).replace(output, f"`{output}`")))
    facts.append(("ensemble" if len(model.members) > 1 else "size", networks))
    rows = ", ".join(f"{n} {what}" for what, n in data.n_rows.items() if n)
    facts.append(("rows", rows or f"{len(data.judged)} judged"))
    page.facts(facts)


def verdict(view: View, judged_on: str) -> tuple[bool, str]:
    """Whether the network is worth having for one target, and why, in plain words."""
    ours, loss = view.measures[NETWORK], view.loss
    n = len(view.y)
    if view.task == "numeric":
        inside = ours["cover 90%"]
        head = (
            f"`{view.name}`: predictions are off by {number(ours['RMSE'].value)} (root mean squared error) and explain "
            f"{percent(max(ours['R²'].value, 0.0))} of the variance of {n} {judged_on} rows; "
            f"their 90 % intervals contain {percent(inside.value)}."
        )
    else:
        head = f"`{view.name}`: {percent(ours['accuracy'].value)} of {n} {judged_on} rows are predicted right."
    others = {name: m for name, m in view.measures.items() if name != NETWORK}
    if not others:
        return True, head
    best = min(others, key=lambda name: others[name][loss].value)
    gap, error = difference(others[best][loss], ours[loss], view.w)
    small = " So few rows say little." if n < FEW_ROWS else ""
    numbers = f"{loss} {number(ours[loss].value, 3)} against {number(others[best][loss].value, 3)}"
    wide = f"a difference of {plus_minus(abs(gap), error)}"
    what = f"the best baseline, {_article(best)}"
    if gap > CLEAR * error:
        return True, f"{head} The network is clearly better than {what}: {numbers}, {wide}.{small}"
    if gap < -CLEAR * error:
        return False, f"{head} The network is worse than {what}: {numbers}, {wide}. Use the simpler one.{small}"
    side = "better" if gap > 0.0 else "worse"
    return True, f"{head} The network is not clearly {side} than {what}: {numbers}, {wide}, which may be chance.{small}"


def _article(name: str) -> str:
    return {"linear model": "a linear model", "constant": "a constant prediction"}.get(name, f"the {name}")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
