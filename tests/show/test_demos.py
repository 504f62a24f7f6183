"""Every demo runs, says what is true, and leaves a page."""

import base64
import json
import re
import zlib

import pytest

import chainrule as cr
from chainrule.cli import run
from chainrule.show.demos import demo_names, demo_of_name

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a demo prints, and its page; each is run once."""
    folder, known = tmp_path_factory.mktemp("demos"), {}

    def tell(name, capsys):
        if name not in known:
            assert run(["demo", name, "-o", str(folder / f"{name}.html")]) == 0
            known[name] = capsys.readouterr().out, (folder / f"{name}.html").read_text("utf-8")
        return known[name]

    return tell


@pytest.mark.parametrize("name", demo_names())
def test_terminal_and_page(name, told, capsys):
    out, page = told(name, capsys)
    assert out.startswith(demo_of_name(name).title)
    assert page.count("<h2") >= 1
    assert (page.count("<figure>") >= 1) == (name != "backprop")
    assert not re.search(r"\bnan\b", out, re.IGNORECASE)
    for line in out.splitlines():  # what the terminal says in tables, the page says too
        if line.startswith("    ") and re.search(r"\d\.\d{3,}", line):
            assert line.split()[-1] in page


@pytest.mark.parametrize(
    ("name", "known"), [("backprop", "w x p d J"), ("logistic", "theta x z p J"), ("xor", "W c w x y z h f error J")]
)
def test_the_graph_is_a_page_of_its_own(name, known, tmp_path, capsys):
    pytest.importorskip("igraph")
    assert run(["demo", name, "-o", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a-graph.html").stat().st_size < 500_000
    assert 'href="a-graph.html"' in (tmp_path / "a.html").read_text("utf-8")
    out = capsys.readouterr().out
    assert "a-graph.html" in out
    packed = re.search(r'id="story">([^<]*)', (tmp_path / "a-graph.html").read_text("utf-8")).group(1)
    story = json.loads(zlib.decompress(base64.b64decode(packed)))
    named = {node["name"] for node in story["nodes"] if not re.fullmatch(r"v\d+", node["name"])}
    assert named == set(known.split())
    assert not any(node["op"] == "constant" for node in story["nodes"] if not node["literal"])
    assert re.search(r"In the graph:\n {4}\w", out)


def table(out, first):
    """The numbers of the row that starts so."""
    line = next(line for line in out.splitlines() if line.strip().startswith(first))
    return [float(x) for x in re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e[-+]?\d+)?", line.strip().removeprefix(first))]


def test_xor_is_learned(told, capsys):
    out, _ = told("xor", capsys)
    for corner, label in (("(0, 0)", 0), ("(0, 1)", 1), ("(1, 0)", 1), ("(1, 1)", 0)):
        xor, linear, *_, by_hand, learned = table(out, corner)
        assert (xor, linear, by_hand) == (label, 0.5, label)
        assert abs(learned - label) < 0.05


def test_l1_gives_an_exact_zero_and_l2_none(told, capsys):
    out, _ = told("surface", capsys)
    rows = [line.split() for line in out.splitlines() if re.match(r"\s+L[12]\s", line)]
    assert {row[0] for row in rows if row[3] in ("0.0000", "-0.0000")} == {"L1"}


def test_learning_rates_beyond_the_bound_diverge(told, capsys):
    out, _ = told("descent", capsys)
    bound = float(re.search(r"= ([\d.]+), and diverges", out).group(1))
    rows = [line.split() for line in out.splitlines() if re.match(r"\s+\d+(\.\d+)?\s+\d", line)]
    assert len(rows) >= 5
    for row in rows[:5]:
        assert (float(row[0]) > bound) == ("diverges" in row)


def test_the_mixture_beats_one_gaussian(told, capsys):
    out, _ = told("mixture", capsys)
    assert table(out, "mixture of 5")[0] < table(out, "Gaussian")[0] - 0.3


def test_list_and_refusals(capsys, tmp_path):
    assert run(["demo"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == demo_names()
    assert run(["demo", "none"]) == 1
    assert "there is no demo 'none'" in capsys.readouterr().err
    assert run(["demo", "backprop", "-o", str(tmp_path / "no" / "page.html")]) == 1
    assert "cannot write" in capsys.readouterr().err
    with pytest.raises(cr.OptionError):
        demo_of_name("narration")
