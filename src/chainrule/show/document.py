"""A page of text, tables and figures as one HTML file that needs nothing else: reports and demos are made of it."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from html import escape, unescape
from importlib.resources import files
from typing import TYPE_CHECKING

from chainrule.show.style import styled
from chainrule.show.text import in_full

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Document:
    """Headings, text, tables and figures, in the order in which they are added.

    Text may mark code with backticks; everything else is shown as it is, whatever it holds.

    Parameters
    ----------
    title, subtitle : str
    names : sequence of str
        What may stand abridged in tables and figures: pointing there says all of it.

    Examples
    --------
    >>> page = Document("Two numbers")
    >>> page.text("The sum of `1` and `1` is < 3.")
    >>> "<code>1</code> is &lt; 3" in page.html()
    True
    """

    def __init__(self, title: str, subtitle: str = "", names: Sequence[str] = ()) -> None:
        self.title, self.subtitle, self.names = title, subtitle, tuple(dict.fromkeys(names))
        self._parts: list[str] = []
        self._contents: list[tuple[str, str]] = []
        self._figures = 0

    def section(self, title: str) -> None:
        """Start a section; it is listed at the top."""
        anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        while anchor in [a for a, _ in self._contents]:
            anchor += "-"
        self._contents.append((anchor, title))
        self._parts.append(f'<h2 id="{anchor}">{_inline(title)}</h2>')

    def text(self, text: str) -> None:
        """A paragraph."""
        self._parts.append(f"<p>{_inline(text)}</p>")

    def note(self, text: str, warning: bool = False) -> None:
        """A paragraph that stands out."""
        kind = "warning" if warning else "note"
        self._parts.append(f'<p class="{kind}" role="note">{_inline(text)}</p>')

    def code(self, text: str) -> None:
        """Lines as they are, in a fixed-width font."""
        self._parts.append(f'<pre tabindex="0"><code>{escape(text)}</code></pre>')

    def formula(self, mathml: str) -> None:
        """A formula on a line of its own.

        Parameters
        ----------
        mathml : str
            What stands between ``<math>`` and ``</math>``; trusted, not escaped.
        """
        for bracket in "()":  # as high as a line, not as what they hold
            mathml = mathml.replace(f"<mo>{bracket}</mo>", f'<mo stretchy="false">{bracket}</mo>')
        self._parts.append(f'<div class="formula"><math display="block">{mathml}</math></div>')

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Names and what they are, one pair a line."""
        rows = "".join(f"<dt>{_inline(name)}</dt><dd>{_inline(value)}</dd>" for name, value in facts)
        self._parts.append(f"<dl>{rows}</dl>")

    def table(self, rows: Sequence[Sequence[str]], caption: str = "", *, bold: frozenset[int] = frozenset()) -> None:
        """A table; the first row is its head, the first column names the others.

        Parameters
        ----------
        bold : set of int
            Rows (0 is the first below the head) to stress.
        """
        head, *body = rows
        cells = "".join(f'<th scope="col">{_inline(c)}</th>' for c in head)
        lines = []
        for k, row in enumerate(body):
            first, *rest = row
            inner = f'<th scope="row">{_inline(first)}</th>' + "".join(
                f"<td{_alignment(c)}{self._whole(c)}>{_inline(c)}</td>" for c in rest
            )
            lines.append(f"<tr{' class=bold' if k in bold else ''}>{inner}</tr>")
        title = f"<caption>{_inline(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="scroll" tabindex="0"><table>{title}<thead><tr>{cells}</tr></thead>'
            f"<tbody>{''.join(lines)}</tbody></table></div>"
        )

    def figure(self, figure: Figure, caption: str, alt: str = "") -> None:
        """A figure, as vectors.

        Parameters
        ----------
        alt : str
            What there is to see, for those who do not see it; the caption by default.
        """
        self._figures += 1
        picture = re.sub(
            r"(?<=>)[^<>]*…[^<>]*(?=</text>)",
            lambda m: f"<title>{escape(in_full(unescape(m[0]), self.names))}</title>{m[0]}",
            svg_of(figure, f"f{self._figures}-"),
        )
        label = escape(alt or _plain(caption), quote=True)
        self._parts.append(
            f'<figure><div role="img" aria-label="{label}">{picture}</div>'
            f"<figcaption>{_inline(caption)}</figcaption></figure>"
        )

    def _whole(self, cell: str) -> str:
        """The attribute that says a cell in full, where names in it are abridged."""
        whole = in_full(cell, self.names) if "…" in cell else cell
        return "" if whole == cell else f' title="{escape(_plain(whole), quote=True)}"'

    def details(self, summary: str, text: str) -> None:
        """Lines that open on a click."""
        self._parts.append(
            f"<details><summary>{_inline(summary)}</summary><pre><code>{escape(text)}</code></pre></details>"
        )

    def link(self, text: str, path: str) -> None:
        """A link to a file beside the page."""
        self._parts.append(f'<p class="link"><a href="{escape(path, quote=True)}">{_inline(text)}</a></p>')

    def html(self) -> str:
        """The whole page."""
        style = files("chainrule.show").joinpath("assets/document.css").read_text("utf-8")
        contents = "".join(f'<a href="#{anchor}">{_inline(title)}</a>' for anchor, title in self._contents)
        navigation = f'<nav aria-label="Contents">{contents}</nav>' if len(self._contents) > 2 else ""
        subtitle = f'<p class="subtitle">{_inline(self.subtitle)}</p>' if self.subtitle else ""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
            'img-src data:">'
            f"<title>{escape(self.title)}</title><style>{style}</style></head>\n"
            f"<body><main><header><h1>{_inline(self.title)}</h1>{subtitle}</header>{navigation}\n"
            + "\n".join(self._parts)
            + "\n</main></body></html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        OptionError
            If the file cannot be written.
        """
        from chainrule.files import write_atomically

        write_atomically(path, self.html().encode())


def svg_of(figure: Figure, prefix: str) -> str:
    """A matplotlib figure as inline SVG whose ids begin with ``prefix``, so that several can share a page."""
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True, dpi=130)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r"url\(#", f"url(#{prefix}", text)
    return re.sub(r'href="#', f'href="#{prefix}', text)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _plain(text: str) -> str:
    return text.replace("`", "")


def _alignment(cell: str) -> str:
    """Numbers to the right, words to the left."""
    return ' class="number"' if re.fullmatch(r"\s*[-−+]?[\d.,]+(e[-−+]?\d+)?\s*[%*]?\s*|—|", cell) else ""
