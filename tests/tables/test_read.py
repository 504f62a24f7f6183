"""Reading files: what is understood, and every refusal in one line with its place and remedy."""

import bz2
import gzip
import lzma
import os
import zlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import TableError
from chainrule.tables import read_table


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns(path, **options):
    return read_table(path, **options).to_dict(as_series=False)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("plain.csv", "a,b\n1,x\n2.5,y\n", {"a": [1.0, 2.5], "b": ["x", "y"]}),
        ("bom.csv", "\ufeffa,b\n1,2\n", {"a": [1], "b": [2]}),
        ("crlf.csv", "a,b\r\n1,2\r\n", {"a": [1], "b": [2]}),
        ("cr.csv", "a,b\r1,2\r3,4", {"a": [1, 3], "b": [2, 4]}),
        ("no_end.csv", "a,b\n1,2", {"a": [1], "b": [2]}),
        ("semicolon.csv", "a;b\n1,5;2\n2,5;3\n", {"a": [1.5, 2.5], "b": [2, 3]}),
        ("tab.tsv", "a\tb\n1\tx, y\n", {"a": [1], "b": ["x, y"]}),
        ("pipe.txt", "a|b\n1|2\n", {"a": [1], "b": [2]}),
        ("upper.CSV", "a,b\n1,2\n", {"a": [1], "b": [2]}),
        ("quoted.csv", '"a","b, c"\n"1","x ""y"""\n"2","z\nz"\n', {"a": [1, 2], "b, c": ['x "y"', "z\nz"]}),
        ("inch.csv", 'a,b\n1,5" pipe\n2,"6"" pipe"\n', {"a": [1, 2], "b": ['5" pipe', '6" pipe']}),
        ("blanks.csv", ' a , b \n 1, x \n 2 , "x, y"\n', {"a": [1, 2], "b": ["x", "x, y"]}),
        ("blank_lines.csv", "\na,b\n1,2\n\n3,4\n\n\n", {"a": [1, 3], "b": [2, 4]}),
        ("single.csv", "a\n1\n\n3\n", {"a": [1, None, 3]}),
        ("single_quoted.csv", 'a\n"x, y"\n\n', {"a": ["x, y", None]}),
        ("single_decimal.csv", "a\n1.5\n\n2.5\n", {"a": [1.5, None, 2.5]}),
        ("quoted_numbers.csv", 'a,b\n"1.5","1"\n"","2"\n"2.5",""\n', {"a": [1.5, None, 2.5], "b": [1, 2, None]}),
        ("unnamed.csv", ",b\n1,2\n", {"unnamed_1": [1], "b": [2]}),
        ("missing.csv", "a,b\nNA,?\n1,x\nnull,None\n", {"a": [None, 1, None], "b": [None, "x", None]}),
        ("empty_column.csv", "a,b\n1,\n2,\n", {"a": [1, 2], "b": [None, None]}),
        ("unicode.csv", "größe,名\n1,é\n", {"größe": [1], "名": ["é"]}),
        ("zip.csv", "zip,x\n00501,1\n90210,2\n", {"zip": ["00501", "90210"], "x": [1, 2]}),
        ("point.csv", "x,n\n1.5,1\nNA,2\n-.5,3\n", {"x": [1.5, None, -0.5], "n": [1, 2, 3]}),
    ],
)  # fmt: skip
def test_csv(tmp_path, name, content, expected):
    assert columns(write(tmp_path / name, content)) == expected


def test_words_for_missing(tmp_path):
    path = write(tmp_path / "t.csv", "a,b,c\n1,x,1.5\n-999,unknown,-999\n3,y,Unknown\n")
    assert columns(path, missing=["unknown", "-999"]) == {
        "a": [1, None, 3],
        "b": ["x", None, "y"],
        "c": [1.5, None, None],
    }


def test_parquet(tmp_path):
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "NA"], "c": [True, None], "d": ["1.5", "2"]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert columns(tmp_path / "t.parquet") == {"a": [1, None], "b": ["x", None], "c": [True, None], "d": [1.5, 2.0]}


ROWS = "add or remove separators there, and put cells that hold one in double quotes"
NO_HEADER = "is empty; a table needs a header line and rows"
BAD = [
    ("empty.csv", b"", NO_HEADER),
    ("newlines.csv", b"\n\n", NO_HEADER),
    ("bom_only.csv", b"\xef\xbb\xbf", NO_HEADER),
    ("empty.parquet", b"", NO_HEADER),
    ("header.csv", b"a,b\n", "has column names but no rows; add rows below the header"),
    ("header_only.csv", b"a,b", "has column names but no rows; add rows below the header"),
    ("few.csv", b"a,b\n1,2\n3\n4,5\n", f"line 3 has 1 cell, but the header names 2 columns; {ROWS}"),
    ("many.csv", b"a,b\n1,2\n3,4\n5,6,7\n", f"line 4 has 3 cells, but the header names 2 columns; {ROWS}"),
    ("many_quoted.csv", b'a,b\n1,"x\ny"\n5,6,7\n', f"line 4 has 3 cells, but the header names 2 columns; {ROWS}"),
    ("double.csv", b"a,b, a\n1,2,3\n", "columns 1 and 3 are both named 'a'; rename one of them"),
    (
        "latin.csv",
        b"a,b\n1,x\n2,caf\xe9\n",
        "line 3 is not UTF-8 text (byte 0xe9; as Latin-1 it reads '2,caf\xe9'); convert it with: "
        "iconv -f LATIN1 -t UTF-8",
    ),
    (
        "latin_header.csv",
        b"gr\xf6\xdfe,b\n1,x\n",
        "line 1 is not UTF-8 text (byte 0xf6; as Latin-1 it reads 'gr\xf6\xdfe,b'); convert it with: "
        "iconv -f LATIN1 -t UTF-8",
    ),
    ("nul.csv", b"a,b\n1,x\0y\n", "line 2 holds a NUL byte, so this is not plain text; save it as CSV in UTF-8"),
    ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16 text; save it as CSV in UTF-8"),
    (
        "open.csv",
        b'a,b\n1,2\n3,"x\n4,5\n',
        'line 3: a quoted cell is never closed; close it, or double a quotation mark that belongs to the text ("")',
    ),
    ("stray.csv", b'a,b\n1,"x"y\n', 'line 2: a quotation mark inside a quoted cell; double it ("")'),
    ("excel.csv", b"PK\x03\x04rest", "is a zip archive or Excel workbook; save the sheet as CSV"),
    ("old.csv", b"\xd0\xcf\x11\xe0rest", "is an Excel workbook; save the sheet as CSV"),
    ("bz.csv", bz2.compress(b"a,b\n1,2\n"), "is compressed with bzip2; unpack it first"),
    ("xz.csv", lzma.compress(b"a,b\n1,2\n"), "is compressed with xz; unpack it first"),
    ("arrow.csv", b"ARROW1\0\0", "is an Arrow or Feather file; save it as Parquet"),
    ("zipped.csv", gzip.compress(b"a,b\n1,2\n"), "is compressed with gzip; unpack it first"),
    ("zlib.csv", zlib.compress(b"a,b\n1,2\n", 1), "is compressed with zlib; unpack it first"),
    ("disguised.csv", b"PAR1restPAR1", "is a Parquet file; rename it to end in .parquet"),
    (
        "spaces.txt",
        b"a b c\n1 2 3\n4 5 6\n",
        "its cells are separated by blanks; separate them by commas, semicolons or tabs",
    ),
    ("text.parquet", b"a,b\n1,2\n", "is not a Parquet file; if it is text, rename it to end in .csv"),
    ("cut.parquet", b"PAR1" + b"x" * 40, "is a Parquet file cut short; copy or write it again"),
    (
        "table.xlsx",
        b"PK\x03\x04",
        "cannot tell the format from '.xlsx'; name a file that ends in .csv, .tsv, .tab, .txt, .parquet, .pq",
    ),
    (
        "table",
        b"a,b\n1,2\n",
        "cannot tell the format from ''; name a file that ends in .csv, .tsv, .tab, .txt, .parquet, .pq",
    ),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD, ids=[case[0] for case in BAD])
def test_refusals_are_one_line_with_file_place_and_remedy(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: {message}"
    assert caught.value.__cause__ is None


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path / "no folder" / "x.parquet", tmp_path / "none.xyz"):
        with pytest.raises(TableError) as caught:
            read_table(path)
        assert str(caught.value) == f"{path}: there is no such file; check the path"
    with pytest.raises(TableError) as caught:
        read_table(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a directory; name a CSV or Parquet file in it"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the super-user may read everything")
def test_unreadable_file(tmp_path):
    path = write(tmp_path / "t.csv", "a\n1\n")
    path.chmod(0)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: cannot be read (Permission denied); check its name and permissions"


def test_a_folder_in_the_way_of_the_path(tmp_path):
    path = write(tmp_path / "t.csv", "a\n1\n") / "u.csv"
    with pytest.raises(TableError, match=r"cannot be read \(Not a directory\); check its name and permissions$"):
        read_table(path)


def test_names_of_files_stay_on_one_line(tmp_path):
    with pytest.raises(TableError) as caught:
        read_table(tmp_path / "two\nlines.csv")
    assert str(caught.value) == f"{tmp_path}/two\\nlines.csv: there is no such file; check the path"


CELLS = st.one_of(
    st.none(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["x", "a, b", 'say "so"', "two\nlines", "é", "yes"]),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_what_polars_writes_is_read_back(tmp_path_factory, rows, separator):
    path = tmp_path_factory.mktemp("round") / "t.csv"
    texts = [[None if c is None else c if isinstance(c, str) else repr(c) for c in row] for row in rows]
    pl.DataFrame(texts, schema={"a": pl.String, "b": pl.String}, orient="row").write_csv(path, separator=separator)
    frame = read_table(path)
    assert frame.columns == ["a", "b"]
    for k, name in enumerate("ab"):
        wanted = [row[k] for row in rows]
        if frame[name].dtype == pl.String:
            wanted = [text[k] for text in texts]
        assert frame[name].to_list() == wanted
