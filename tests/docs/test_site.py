"""The documentation site builds without a warning, every example of the gallery runs, and all its links hold."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("sphinx", "sphinx_gallery", "sphinx_design", "myst_parser", "numpydoc", "pydata_sphinx_theme"):
    pytest.importorskip(package, reason='the documentation site needs pip install "chainrule[docs]"')
pytest.importorskip("matplotlib")
pytest.importorskip("igraph")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built from a copy, so that generated pages do not land in the source."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "repository" / "docs"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_build", "api", "subject_gallery"))
    for linked in ("SECURITY.md", "benchmarks/requirements.txt"):
        (source.parent / linked).parent.mkdir(exist_ok=True)
        shutil.copy(DOCS.parent / linked, source.parent / linked)
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(source), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]
    return folder / "html"


def test_every_row_of_the_subject_has_a_page_with_output(site):
    pages = sorted((site / "subject_gallery").glob("plot_*.html"))
    assert [int(p.name[5:7]) for p in pages] == list(range(1, 21))
    for page in pages:
        text = page.read_text("utf-8")
        assert "sphx-glr-script-out" in text or "sphx-glr-single-img" in text or "<iframe" in text, page.name
        assert "Traceback" not in text


def test_links_hold(site):
    ids = {}
    for page in site.rglob("*.html"):
        if "_modules" in page.parts:
            continue
        text = page.read_text("utf-8")
        for target in re.findall(r'<a [^>]*href="([^"]+)"', text):
            if re.match(r"(https?|mailto|data):", target) or target.startswith("#"):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve()
            assert file.exists(), f"{page.relative_to(site)} links to {target}"
            if anchor and not anchor.startswith("step=") and file.suffix == ".html" and "_modules" not in file.parts:
                if file not in ids:
                    ids[file] = set(re.findall(r'id="([^"]+)"', file.read_text("utf-8")))
                assert anchor in ids[file], f"{page.relative_to(site)} links to {target}"
