"""Pages: what is shown is what was given, whatever it holds; nothing is fetched; several figures do not mix."""

import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.document import Document, svg_of
from chainrule.show.style import panels, styled
from chainrule.show.surfaces import surface
from chainrule.show.text import abridged, in_full

pytest.importorskip("matplotlib")


class Reader(HTMLParser):
    """The text of a page, its elements and their ids."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.ids, self.references = "", [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.references += re.findall(r"url\(#([^)]+)\)", " ".join(v or "" for v in given.values()))
        self.references += [v[1:] for k, v in attributes if k.endswith("href") and v.startswith("#")]

    def handle_data(self, data):
        self.text += data


@cache
def page():
    made = Document("A <title> & more", "sub `code`")
    made.section("First <b>")
    made.text("1 < 2 && `x < y` <script>alert(1)</script>")
    made.table([["", "a"], ["<i>row</i>", "-1.50"]], "caption & <u>")
    made.code("if a < b: pass")
    made.facts([("seed", "0 <")])
    made.note("careful <", warning=True)
    made.details("more", "<hidden>")
    made.section("First <b>")
    made.section("Third")
    for _ in range(2):
        made.figure(surface(lambda x: (x[0] - 1.0) ** 2 + x[1] ** 2), "a `bowl`")
    return made


def test_everything_given_is_text_never_markup():
    read = Reader(page().html())
    for text in (
        "A <title> & more",
        "<script>alert(1)</script>",
        "<i>row</i>",
        "caption & <u>",
        "if a < b",
        "<hidden>",
    ):
        assert text in read.text
    assert not {"script", "b", "i", "u", "hidden"} & set(read.tags)


def test_ids_are_unique_and_references_lead_somewhere():
    read = Reader(page().html())
    assert len(set(read.ids)) == len(read.ids)
    assert set(read.references) <= set(read.ids)
    assert len(read.references) > 10


def test_nothing_is_fetched_and_the_page_is_small():
    text = page().html()
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert "default-src 'none'" in text
    assert len(text) < 500_000


def test_numbers_stand_right():
    assert '<td class="number">-1.50</td>' in page().html()


def test_written_whole_or_not_at_all(tmp_path):
    page().write(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page().html()
    with pytest.raises(cr.OptionError, match="cannot write"):
        page().write(tmp_path / "none" / "page.html")


def test_the_same_figure_gives_the_same_text():
    figures = [surface(lambda x: np.sum(x**2)) for _ in range(2)]
    assert svg_of(figures[0], "f-") == svg_of(figures[1], "f-")


NAMES = ["concentration_before_treatment_mmol_per_l", "concentration_after_treatment_mmol_per_l", "age"]


@pytest.mark.parametrize("length", [24, 40])
def test_abridged_names_are_told_apart_and_written_out(length):
    short = [abridged(name, length, NAMES) for name in NAMES]
    assert len(set(short)) == len(NAMES)
    assert all(len(each) <= length for each in short)
    assert short[2] == "age"
    for name, each in zip(NAMES, short, strict=True):
        assert in_full(f"predicted {each} = 3", NAMES) == f"predicted {name} = 3"


def test_what_is_no_abridged_name_stays():
    assert in_full("1, 2, … (12 in all)", NAMES) == "1, 2, … (12 in all)"
    assert in_full("…", NAMES) == "…"
    same = ["university_hospital_one_west", "university_hospital_two_west"]
    assert in_full("university_h…_west", same) == "university_h…_west"  # either of them


def test_pointing_at_an_abridged_name_says_all_of_it():
    page = Document("a", names=NAMES)
    page.table([["what", "column"], ["first", abridged(NAMES[0], 24, NAMES)], ["second", "age"]])
    with styled():
        figure, (ax,) = panels(1)
        ax.set_title(abridged(NAMES[1], 24, NAMES))
    page.figure(figure, "caption")
    html = page.html()
    assert html.count(f'<td title="{NAMES[0]}">') == 1
    assert html.count(f"<title>{NAMES[1]}</title>") == 1
    assert html.count("<title>") == 2  # the page's own too
