"""The documentation holds: its Python runs, its commands print what it says they print, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from chainrule.cli import run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*/*.md"))]
LINKED = list(dict.fromkeys([*PAGES, *OTHERS]))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def registries_as_they_were():
    """Pages register outputs and units of their own; other tests must not meet them."""
    from chainrule.networks import UNITS
    from chainrule.outputs import OUTPUTS

    kept = [(registry, dict(registry)) for registry in (OUTPUTS, UNITS)]
    yield
    for registry, content in kept:
        registry.clear()
        registry.update(content)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Fenced blocks of a language: the line each starts on, and its text."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(2)), m[2]) for m in FENCE.finditer(text) if m[1] == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the shipped table in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "src" / "chainrule" / "data" / "penguins.csv", tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_python_runs(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page's blocks run in order, in one namespace; their line numbers in a traceback are the page's."""
    names: dict[str, Any] = {"__name__": "page"}
    for line, text in blocks(page, "python"):
        exec(compile("\n" * line + text, str(page), "exec"), names)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "console")], ids=name)
def test_commands_print_what_the_page_says(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a block ``$ command`` and its output; a line that is only ``…`` stands for any lines."""
    for line, text in blocks(page, "console"):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            printed = output_of(command, folder, capsys)
            pattern = ".*".join(re.escape(piece) for piece in re.split(r"^…$", expected, flags=re.MULTILINE))
            assert re.fullmatch(pattern, printed, re.DOTALL), f"{name(page)}, below line {line}: {command}\n{printed}"


def output_of(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints: ``chainrule …``, ``cat file``, or ``printf text > file``."""
    program, *arguments = shlex.split(command)
    if program == "cat":
        return (folder / arguments[0]).read_text(encoding="utf-8")
    if program == "printf":
        text, arrow, file = arguments
        assert arrow == ">"
        (folder / file).write_text(text.replace("\\n", "\n"), encoding="utf-8")
        return ""
    assert program == "chainrule"
    capsys.readouterr()
    run(arguments)
    printed = capsys.readouterr()
    progress = re.compile(r"^  epoch .*\n", re.MULTILINE)  # depends on the machine's speed
    return printed.out + progress.sub("", printed.err)


@pytest.mark.parametrize("page", [p for p in LINKED if p.exists()], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file or folder, and its anchor a heading of that file."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^()\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), f"{name(page)} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors(target), f"{name(page)} links to {link}; {file} has {sorted(anchors(target))}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
