"""The text of CSV files: separators, lines, and the fast check against the careful reader."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import TableError
from chainrule.tables.lines import is_regular, line_of_row, records, sniff
from chainrule.tables.read import _fast


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n3,25;4\n", ";"),
        ("a\tb c\n1\tx, y\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('name;note\nx;"one, two; three"\ny;"four, five"\n', ";"),
        ("only\n1\n2\n", ","),
        ("text\nSmith\nDoe, Jane\n", ","),
        ("a,b;c\n1,2;3\n4,5;6\n", ","),
        ("", ","),
    ],
)
def test_sniff(text, separator):
    assert sniff(text.encode()) == separator


def test_sniff_ignores_a_line_cut_by_the_sample():
    assert sniff(b"a;b\n" + b"1;" + b"x" * 70000 + b"\n2;3\n") == ";"


def test_records_know_their_lines():
    text = 'a,b\n1,"x\ny"\n\n2,z\n'
    assert list(records(text, ",")) == [(1, ["a", "b"]), (2, ["1", "x\ny"]), (5, ["2", "z"])]


def test_blank_lines_are_missing_values_of_a_single_column():
    assert [row for _, row in records("a\n1\n\n2\n", ",")] == [["a"], ["1"], [""], ["2"]]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(ending):
    assert list(records(ending.join(["a,b", "1,2", "3,4", ""]), ",")) == [
        (1, ["a", "b"]),
        (2, ["1", "2"]),
        (3, ["3", "4"]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1\n", "line 2 has 1 cell, but the header names 2 columns"),
        ('a,b\n1,"x\ny"\n1,2,3\n', "line 4 has 3 cells, but the header names 2 columns"),
        ('a,b\n1,2\n3,"x\n4,5\n', "line 3: a quoted cell is never closed"),
        ('a,b\n1,"x"y\n', "line 2: a quotation mark inside a quoted cell"),
    ],
)
def test_records_refuse(text, message):
    with pytest.raises(TableError, match=message):
        list(records(text, ","))


CELL = st.text(alphabet=st.sampled_from('ab1 ,;"\né\t'), max_size=5)


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 4).flatmap(lambda k: st.lists(st.lists(CELL, min_size=k, max_size=k), min_size=2, max_size=6)),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_regular_reads_alike_fast_and_carefully(rows, quoting, ending):
    """Polars and csv agree on every text that passes the check; well-formed text that does not is read carefully."""
    rows[0] = [f"name{k}" for k in range(len(rows[0]))]
    file = io.StringIO(newline="")
    csv.writer(file, quoting=quoting, lineterminator=ending).writerows(rows)
    data = file.getvalue().encode()
    careful = [row for _, row in records(data.decode(), ",")][1:]
    if is_regular(data, ",", len(rows[0])):
        frame = _fast(data, ",", len(rows[0]))
        assert frame is not None
        assert [[_same(c) for c in row] for row in frame.rows()] == [[_same(c) for c in row] for row in careful]


def _same(cell):
    """A cell up to the blanks around it, which reading strips later, and numbers read as such."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return (cell or "").strip()


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=st.sampled_from('ab1 ,"\n\r'), max_size=30))
def test_arbitrary_text_that_passes_as_regular_is_read_alike(text):
    data = ("x,y\n" + text).encode()
    if is_regular(data, ",", 2):
        frame = _fast(data, ",", 2)
        assert frame is not None
        careful = [row for _, row in records(data.decode(), ",")][1:]
        assert [[_same(c) for c in row] for row in frame.rows()] == [[_same(c) for c in row] for row in careful]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1\n",
        "a,b\n1,2,3\n",
        "a,b\n\n1,2\n",
        'a,b\n1,5" pipe\n',
        'a,b\n1, "x"\n',
        "a,b\r1,2\r",
        '"a,b\n1,2\n',
        "\na\n1\n",
    ],
)
def test_what_is_not_regular(text):
    width = 1 if text == "\na\n1\n" else 2
    assert not is_regular(text.encode(), ",", width)


def test_regularity_across_blocks():
    """A fault is seen wherever the blocks of the check happen to end."""
    line = b'1.5,"a,b","c""d"\n'
    data = b"x,y,z\n" + line * 40000
    assert is_regular(data, ",", 3)
    for place in (10, 20000, 39999):
        faulty = b"x,y,z\n" + line * place + b"1,2\n" + line * (40000 - place)
        assert not is_regular(faulty, ",", 3)


def test_line_of_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x\ny"\n\n2,3\n')
    assert [line_of_row(path, row) for row in (0, 1, 2)] == [2, 5, None]
    assert line_of_row(tmp_path / "none.csv", 0) is None
