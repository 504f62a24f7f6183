"""Tables that read well and hold strange values, given to ``chainrule fit``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trust.bad_case import Command

FIT = "fit data.csv --model m.chainrule --epochs 2 --hidden 3 --members 1 --embedding none -q --target y"


def table(cell: Callable[[int], object], target: Callable[[int], object] | None = None, n: int = 60) -> str:
    """Columns a, b, y; a by `cell` of the row's number, y by `target`."""
    y = target or (lambda k: f"{k % 13}.5")
    rows = (f"{cell(k)},{k % 5}.25,{y(k)}\n" for k in range(1, n + 1))
    return "a,b,y\n" + "".join(rows)


def number(k: int) -> str:
    return f"{k * 7 % 31}.5"


def at(row: int, value: object) -> Callable[[int], object]:
    """Numbers, but for one row."""
    return lambda k: value if k == row else number(k)


def fit(name: str, content: str, *says: str, options: str = "") -> Command:
    return Command(name, f"{FIT} {options}".strip(), says, {"data.csv": content})


def held(name: str, content: str, *says: str) -> Command:
    """A validation table of this content beside a good one."""
    files = {"data.csv": table(number), "held.csv": content}
    return Command(f"validation: {name}", f"{FIT} --validation held.csv", says, files)


WIDE = ",".join(f"c{k}" for k in range(300)) + ",y\n"
WIDE += "".join(",".join(str(k * j % 17) for j in range(300)) + f",{k}.5\n" for k in range(1, 9))

PLAIN = "data.csv: column 'a', row 1 (line 2)", "write plain numbers such as 1234.5"

FEATURES: Sequence[Command] = [
    fit("+inf in a column", table(at(17, "inf")), "data.csv", "'a', row 17 (line 18)", "infinite"),
    fit("-inf in a column", table(at(17, "-inf")), "'a', row 17 (line 18)", "infinite"),
    fit("Infinity in a column", table(at(60, "Infinity")), "'a', row 60"),
    fit("NaN in a column", table(at(17, "NaN"))),
    fit("missing in a column", table(at(17, ""))),
    fit("words for missing in a column", table(lambda k: ["NA", "null", "?", number(k)][k % 4])),
    fit("own words for missing", table(at(17, "-999")), options="--missing -999"),
    fit("a column that is missing everywhere", table(lambda k: "")),
    fit("a column of one value", table(lambda k: 3)),
    fit("every column of one value", "a,y\n" + "".join(f"3,{k}\n" for k in range(60)), "no column is left", "'a'"),
    fit("no column but the target", "y\n" + "1\n2\n" * 20, "no column is left to predict from"),
    fit("1e300 in a column", table(at(17, "1e300"))),
    fit("1e300 in all of a column", table(lambda k: f"{k % 7}e300")),
    fit("1e308 and -1e308", table(lambda k: f"{(-1) ** k * 1.7:.1f}e308")),
    fit("1e-320 in a column", table(lambda k: f"{k % 7}e-320")),
    fit("1e400 in a column", table(at(17, "1e400")), "'a', row 17 (line 18)"),
    fit("a text among numbers", table(at(17, "oops")), "'a'", "row 17 (line 18)", "'oops'"),
    fit("a unit among numbers", table(at(17, "5 mm")), "'a'", "row 17", "'5 mm'"),
    fit("half text, half numbers", table(lambda k: "x" if k % 2 else number(k))),
    fit("decimal commas in quotes", table(lambda k: f'"{k % 7},5"'), *PLAIN),
    fit("thousands separated", table(lambda k: f'"{k % 7},500.5"'), *PLAIN),
    fit("percent signs", table(lambda k: f"{k * 7 % 31}%"), *PLAIN),
    fit("currency signs", table(lambda k: f"€{k * 7 % 31}"), *PLAIN),
    fit("codes with leading zeros", table(lambda k: f"{k % 5:05d}")),
    fit("whole numbers beyond 64 bits", table(lambda k: f"{k}{10**30}")),
    fit("whole numbers beyond 53 bits", table(lambda k: 2**60 + k * k)),
    fit("a text of its own in every row", table(lambda k: f"name{k}")),
    fit("dates", table(lambda k: f"2020-01-{k % 28 + 1:02d}")),
    fit("true and false", table(lambda k: ["true", "false"][k % 2])),
    fit("yes, no and maybe", table(lambda k: ["yes", "no", "maybe"][k % 3])),
    fit("all rows equal but the target", table(lambda k: 1.5, lambda k: k % 3, 60)),
    fit("all rows equal in pairs", table(lambda k: k // 2 * 7 % 31, lambda k: f"{k // 2 % 13}.5")),
    fit("the same row sixty times", "a,b,y\n" + "1,2,3\n" * 60, "'y'", "one value only"),
    fit("a column that is the target", table(lambda k: f"{k % 13}.5")),
    fit("formulas of spreadsheets", table(lambda k: ["=1+1", "@x", "+cmd"][k % 3])),
    fit("cells of control characters", table(lambda k: ["\x1b[2J", "\x07", "x"][k % 3])),
    fit("more columns than rows", WIDE),
    fit(
        "forced to numbers",
        table(lambda k: "x" if k == 9 else k),
        "'a'",
        "row 9 (line 10)",
        "'x'",
        options="--type a=numeric",
    ),
    fit("forced to yes or no", table(number), "'a'", options="--type a=boolean"),
    fit("forced to categories", table(number), options="--type a=categorical"),
    fit("a kind for a column that is not there", table(number), "no column 'aa'", "'a'", options="--type aa=numeric"),
    fit("a column dropped that is not there", table(number), "no column 'aa'", "'a'", options="--drop aa"),
    fit("all columns dropped", table(number), "no column is left", options="--drop a --drop b"),
    fit("the target dropped", table(number), "'y'", options="--drop y"),
]

TARGETS: Sequence[Command] = [
    fit(
        "a target missing", table(number, at(17, "")), "data.csv: column 'y', row 17 (line 18)", "--drop-missing-target"
    ),
    fit("a target missing, left out", table(number, at(17, "")), options="--drop-missing-target"),
    fit("a target NaN", table(number, at(17, "NaN")), "'y', row 17 (line 18)", "--drop-missing-target"),
    fit("all targets missing", table(number, lambda k: ""), "'y'"),
    fit("all targets missing, left out", table(number, lambda k: ""), "'y'", options="--drop-missing-target"),
    fit("a target infinite", table(number, at(17, "inf")), "'y', row 17 (line 18)", "infinite"),
    fit("a target of 1e300", table(number, at(17, "1e300")), "'y', row 17 (line 18)", "1e+150", "divide"),
    fit("targets of 1e100", table(number, lambda k: f"{k * 7 % 31}e100")),
    fit("targets of 1e-300", table(number, lambda k: f"{k * 7 % 31}e-300")),
    fit("targets 1e15 apart from zero", table(number, lambda k: 10**15 + k * 7 % 31)),
    fit("a constant target", table(number, lambda k: 3), "'y'", "one value only", "two different"),
    fit("a single class", table(number, lambda k: "x"), "'y'", "one value only"),
    fit("a class of one row", table(number, lambda k: "x" if k == 9 else "z")),
    fit("as many classes as rows", table(number, lambda k: f"n{k}"), "'y'"),
    fit("a text among targets", table(number, at(17, "oops")), "'y'", "row 17 (line 18)", "'oops'"),
    fit(
        "a gaussian of classes",
        table(number, lambda k: "xz"[k % 2]),
        "'y', row 1 (line 2)",
        "use --output categorical",
        options="--output gaussian",
    ),
    fit("classes of numbers", table(number), options="--output categorical"),
    fit("counts below zero", table(number, lambda k: k - 5), "'y'", options="--output poisson"),
    fit("counts of half", table(number), "'y'", options="--output poisson"),
    fit(
        "counts of text",
        table(number, lambda k: "xz"[k % 2]),
        "'y', row 1 (line 2)",
        "use --output categorical",
        options="--output poisson",
    ),
    fit("yes or no of three", table(number, lambda k: "xyz"[k % 3]), "'y'", options="--output bernoulli"),
    fit("the same target twice", table(number), "'y'", options="--target y"),
    fit("two targets, one of classes", table(lambda k: "xyz"[k % 3]), "'a'", options="--target a"),
    fit("a target that is not there", table(number), "no column 'x'", options="--target x"),
    fit("weights below zero", table(lambda k: k - 5), "'a'", "row 1", options="--weight a"),
    fit("weights all zero", table(lambda k: 0), "'a'", options="--weight a"),
    fit("a weight missing", table(at(17, "")), "'a', row 17 (line 18)", options="--weight a"),
    fit("a weight infinite", table(at(17, "inf")), "'a', row 17 (line 18)", options="--weight a"),
    fit("a weight of text", table(lambda k: "x"), "'a'", options="--weight a"),
    fit("weights of 1e300", table(lambda k: f"{k % 3 + 1}e300"), options="--weight a"),
    fit(
        "a weight of 1e300",
        table(at(17, "1e300")),
        "weights",
        "too small beside the largest in float32; divide the largest",
        options="--weight a",
    ),
    fit("weights of zero but for two rows", table(lambda k: int(k < 3)), options="--weight a"),
    fit(
        "weights of zero but for one row",
        table(lambda k: int(k < 2)),
        "data.csv: ",
        "rows with target 'y' and a weight 1 would be left to train on, 2 are needed",
        "use more rows",
        options="--weight a",
    ),
    fit("the target as weight", table(number), "'y' cannot be both the target and the weight", options="--weight y"),
]

VALIDATION: Sequence[Command] = [
    held("without the target", table(number).replace(",y", ",z"), "held.csv", "'y'"),
    held("without a column", table(number).replace("a,", "z,", 1), "held.csv", "'a'"),
    held("empty", "", "held.csv", "is empty"),
    held("header only", "a,b,y\n", "held.csv", "no rows"),
    held("a target missing", table(number, at(17, "")), "held.csv", "'y', row 17 (line 18)"),
    held("a target of text", table(number, at(17, "oops")), "held.csv", "'y', row 17 (line 18)", "'oops'"),
    held("an infinite cell", table(at(17, "inf")), "held.csv", "'a', row 17 (line 18)"),
    held("a text among numbers", table(at(17, "oops")), "held.csv", "'a'", "row 17"),
    held("1e300", table(at(17, "1e300"))),
    held("one row", table(number, n=1)),
    Command(
        "validation: no such file",
        f"{FIT} --validation none.csv",
        ["none.csv: there is no such file"],
        {"data.csv": table(number)},
    ),
    Command(
        "validation: a class that training lacks",
        f"{FIT} --validation held.csv",
        ["held.csv", "'y'", "row 60", "'w'"],
        {
            "data.csv": table(number, lambda k: "xz"[k % 2]),
            "held.csv": table(number, lambda k: "w" if k == 60 else "xz"[k % 2]),
        },
    ),
]

VALUES = [*FEATURES, *TARGETS, *VALIDATION]
