"""The training report: every number in it is computed again here by other means."""

import hashlib
import re
from html import unescape

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.cli import run
from chainrule.models.fit import FitOptions
from chainrule.models.scores import scores
from chainrule.models.table import TableOptions, fit_table, read_schema
from chainrule.show.report import SECTIONS, document, report, report_of_table
from chainrule.show.report.calibration import confusion
from chainrule.show.report.data import Cells, number, plus_minus
from chainrule.show.report.gather import report_of_estimator
from chainrule.show.report.importance import permutation_importance
from chainrule.show.report.measures import difference, mean_and_error, measures
from chainrule.show.report.path import linear_path
from chainrule.show.report.rows import chosen_rows, explain_rows

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(5)
N = 240


def table():
    """Numbers with gaps, text, booleans, weights, and targets of every kind."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=N), rng.normal(size=N)
    town = rng.choice(["Ulm", "Köln", "<b>Bonn</b>"], N)
    y = 30.0 + 10.0 * a + 5.0 * (town == "Ulm") + rng.normal(size=N)
    return pl.DataFrame(
        {
            "a": pl.Series(np.where(rng.random(N) < 0.1, np.nan, a)).fill_nan(None),
            "b": b,
            "town": town,
            "own": rng.choice(["yes", "no"], N),
            "w": rng.integers(1, 4, N).astype(float),
            "y": y,
            "z": a - b + rng.normal(size=N),
            "n": rng.poisson(np.exp(0.5 * a)),
            "kind": np.array(["low", "mid", "high"])[np.digitize(a, [-0.5, 0.5])],
            "p": (a + 0.5 * rng.normal(size=N) > 0).astype(int),
            "q": (b + 0.5 * rng.normal(size=N) > 0).astype(int),
        }
    )


TARGETS = ("y", "z", "n", "kind", "p", "q")


def fitted(*targets, output=None, weight="w", frame=None, **options):
    frame = table() if frame is None else frame
    others = tuple(c for c in TARGETS if c not in targets and c in frame.columns)
    asked = TableOptions(targets, drop=others, output=output, weight=weight if "w" in frame.columns else None)
    frame, schema = read_schema(frame, asked)
    usual = {"layers": (cr.Dense(8),), "max_epochs": 30, "n_members": 2, "embedding": "none", "batch_size": 64}
    return fit_table(frame, schema, asked, FitOptions(**{**usual, **options}), facts={"command": "chainrule fit"})


def text_of(page):
    """What a page says, without marks."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|svg).*?</\1>", " ", page))))


def cells_of(page, caption):
    """Rows of the table with this caption."""
    found = next(t for t in re.findall(r"(?s)<table>.*?</table>", page) if caption in unescape(t))
    rows = re.findall(r"(?s)<tr.*?</tr>", found)
    return [[text_of(c).strip() for c in re.findall(r"(?s)<t[dh].*?</t[dh]>", row)] for row in rows]


@pytest.fixture(scope="module")
def numeric():
    return report_of_table(fitted("y"), "rows.csv")


@pytest.fixture(scope="module")
def classes():
    return report_of_table(fitted("kind"), "rows.csv")


@pytest.mark.parametrize(
    ("targets", "output"),
    [
        (("y",), None),
        (("y",), "mixture:2"),
        (("y",), "quantile:0.1,0.5,0.9"),
        (("n",), "poisson"),
        (("y", "z"), None),
        (("kind",), None),
        (("p", "q"), None),
    ],
)
def test_every_output_has_a_whole_report(targets, output):
    page = document(report_of_table(fitted(*targets, output=output, max_epochs=3), "rows.csv")).html()
    said = text_of(page)
    titles = [
        *("Summary", "The data", "What was inferred", "Training", "Scores", "Calibration", "Which columns matter"),
        *("Rows explained", "Health of the network", "Penalty", *["Penalty path"] * (len(targets) == 1), "Environment"),
    ]
    assert [unescape(t) for t in re.findall(r"<h2[^>]*>(.*?)</h2>", page)] == titles
    assert not re.search(r"\bnan\b|\binf\b", said)
    assert "<b>Bonn" not in page
    assert len(page.encode()) < 1_000_000
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    for target in targets:
        assert target in said


def test_names_are_names_and_no_formulas():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "$\\frac{$": rng.normal(size=60),
            "<script>": rng.choice(["$a$", "`b`", "<i>"], 60),
            "y$_{$": rng.choice(["$\\no$", "x"], 60),
        }
    )
    page = document(report_of_table(fitted("y$_{$", frame=frame, max_epochs=2))).html()
    assert "<script>" not in page
    assert "<i>" not in page
    assert re.search(r">\$\\frac\{\$ = ", page)


def test_targets_of_any_size():
    frame = table().select("a", "b", pl.col("y") * 1e148)
    page = document(report_of_table(fitted("y", frame=frame, max_epochs=2))).html()
    assert not re.search(r"\bnan\b|\binf\b", text_of(page))


def test_sections_stand_alone(numeric):
    from chainrule.show.document import Document

    for section in SECTIONS:
        page = Document("one section")
        section(numeric, page)


# -- scores


@pytest.mark.parametrize("which", ["numeric", "classes"])
def test_scores_are_those_of_the_fit(which, request):
    data = request.getfixturevalue(which)
    for name, d in data.predicted.items():
        expected = scores(d, data.judged.y, data.task, data.judged.w)
        found = data.views[0].measures[name]
        assert {k: m.value for k, m in found.items()} == pytest.approx(expected, rel=1e-9)


def test_the_table_of_scores_holds_them(numeric):
    page = document(numeric).html()
    head, *rows = cells_of(page, "* marks the best")
    *measured, last = rows
    assert [r[0] for r in measured] == ["R²", "RMSE", "NLL", "CRPS", "cover 90%"]
    for row in measured:
        for model, cell in zip(head[1:4], row[1:4], strict=True):
            found = numeric.views[0].measures[model][row[0]]
            assert cell.removesuffix(" *") == plus_minus(found.value, found.error).replace("\xa0", " ")
    best = min(numeric.predicted, key=lambda model: numeric.views[0].measures[model]["NLL"].value)
    assert rows[2][head.index(best)].endswith(" *")
    assert last[0] == "NLL above the network's"


def test_standard_errors_agree_with_the_bootstrap():
    values, w = RNG.gamma(2.0, size=400), RNG.integers(1, 4, 400).astype(float)
    draws = RNG.integers(0, 400, (4000, 400))
    means = np.sum(values[draws] * w[draws], axis=1) / np.sum(w[draws], axis=1)
    mean, error = mean_and_error(values, w)
    assert mean == pytest.approx(np.average(values, weights=w))
    assert error == pytest.approx(means.std(), rel=0.06)


def test_error_of_the_rmse_agrees_with_the_bootstrap(numeric):
    view = numeric.views[0]
    found = measures(view.network, view.y, "numeric", np.ones(len(view.y)))
    error = view.network.mean() - view.y
    draws = RNG.integers(0, len(error), (4000, len(error)))
    assert found["RMSE"].error == pytest.approx(np.sqrt(np.mean(error[draws] ** 2, axis=1)).std(), rel=0.15)
    assert found["R²"].error == pytest.approx(2 * found["RMSE"].error * found["RMSE"].value / view.y.var(), rel=1e-9)


def test_models_are_compared_row_by_row(numeric):
    view = numeric.views[0]
    gap, error = difference(view.measures["constant"]["NLL"], view.measures["network"]["NLL"], view.w)
    rows = view.network.logpdf(view.y) - view.predicted["constant"].logpdf(view.y)
    assert gap == pytest.approx(np.average(rows, weights=view.w))
    assert f"{plus_minus(gap, error)}".replace("\xa0", " ") in text_of(document(numeric).html())


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.43478, 0.0601, "0.435 ± 0.060"),
        (1.0, 2e-17, "1 ± 0"),
        (844.2, 60.1, "844 ± 60"),
        (-0.0009, 0.14, "0.00 ± 0.14"),
    ],
)
def test_errors_say_how_many_digits_count(value, error, text):
    assert plus_minus(value, error).replace("\xa0", " ") == text


def test_numbers_are_written_plainly():
    assert [number(v) for v in (3.0, 2.718281, 12345.6, float("nan"), 1e300)] == ["3", "2.718", "12346", "—", "1e+300"]


# -- calibration


def test_pit_and_coverage(numeric):
    from chainrule.outputs.calibration import interval_coverage, pit_histogram

    view = numeric.views[0]
    u = view.network.cdf(view.y)
    share = [np.sum(view.w[(u >= k / 10) & (u < (k + 1) / 10)]) / view.w.sum() for k in range(10)]
    np.testing.assert_allclose(pit_histogram(view.network, view.y, view.w).share, share)
    inside = np.average(np.abs(u - 0.5) <= 0.25, weights=view.w)
    assert interval_coverage(view.network, view.y, view.w, coverages=(0.5,)).observed[0] == pytest.approx(inside)
    rows = cells_of(document(numeric).html(), "Central intervals")
    assert [r[0] for r in rows[1:]] == ["50 %", "80 %", "90 %", "95 %"]
    assert rows[1][1] == f"{100 * inside:.1f} %"


def test_confusion_counts_weights(classes):
    view = classes.views[0]
    predicted = np.argmax(view.network.mean(), axis=1)
    matrix = confusion(view.y.astype(int), predicted, view.w, 3)
    for i in range(3):
        for j in range(3):
            assert matrix[i, j] == view.w[(view.y == i) & (predicted == j)].sum()
    rows = cells_of(document(classes).html(), "Rows by observed and predicted class")
    assert [[float(c) for c in r[1:4]] for r in rows[1:4]] == matrix.tolist()


# -- what matters


def test_importance_is_that_of_shuffling_one_column_at_a_time(numeric):
    found = permutation_importance(numeric, repeats=3, seed=4)
    judged = numeric.judged

    def loss(x):
        return -np.average(numeric.predict(x).logpdf(judged.y[:, 0]), weights=judged.w)

    rng = np.random.default_rng(4)
    orders = [rng.permutation(len(judged)) for _ in range(3)]
    assert found.base == pytest.approx(loss(judged.x))
    for j in range(len(numeric.names)):
        grown = []
        for order in orders:
            x = judged.x.copy()
            x[:, j] = x[order, j]
            grown.append(loss(x) - loss(judged.x))
        assert found.mean[j] == pytest.approx(np.mean(grown), abs=1e-9)
        assert found.std[j] == pytest.approx(np.std(grown, ddof=1), abs=1e-9)


def test_a_useless_column_has_no_importance():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=600), rng.normal(size=600)
    frame = pl.DataFrame({"x": x, "noise": noise, "y": 3.0 * x + rng.normal(size=600)})
    data = report_of_table(fitted("y", frame=frame, max_epochs=60, patience=60))
    useful, useless = permutation_importance(data).mean
    assert useful > 1.0
    assert abs(useless) < 0.05


def test_contributions_are_exact_occlusions(numeric):
    worst, typical = chosen_rows(numeric)
    losses = -numeric.predicted["network"].logpdf(numeric.judged.y[:, 0])
    np.testing.assert_allclose(losses[worst], np.sort(losses)[::-1][:3])
    assert losses[typical] == np.sort(losses)[(len(losses) - 1) // 2]
    story = explain_rows(numeric, [worst[0]])[0]
    row = numeric.judged.x[worst[0]]
    assert story.prediction == pytest.approx(float(numeric.predict(row[None]).mean()[0]))
    known = numeric.known.x
    medians = [np.nanmedian(known[:, j]) for j in (0, 1)]
    commonest = [np.argmax(np.bincount(known[:, j].astype(int))) for j in (2, 3)]
    np.testing.assert_allclose(numeric.typical, [*medians, *commonest])
    for j in range(len(row)):
        other = row.copy()
        other[j] = numeric.typical[j]
        assert story.contributions[j] == pytest.approx(story.prediction - float(numeric.predict(other[None]).mean()[0]))


def test_contributions_to_classes_are_changes_of_the_predicted_class(classes):
    worst, _ = chosen_rows(classes)
    story = explain_rows(classes, [worst[0]])[0]
    row = classes.judged.x[worst[0]]
    p = np.asarray(classes.predict(row[None]).mean())[0]
    assert story.code == np.argmax(p)
    assert story.prediction == pytest.approx(p.max())


def test_rows_are_named_as_in_the_file(numeric):
    frame = table()
    np.testing.assert_array_equal(frame["y"].to_numpy()[numeric.judged.number - 1], numeric.judged.y[:, 0])
    np.testing.assert_array_equal(frame["b"].to_numpy()[numeric.known.number - 1], numeric.known.x[:, 1])
    x = np.arange(40.0).reshape(20, 2)
    cells = Cells(x, x[:, :1], np.ones(20), np.arange(1, 21))
    np.testing.assert_array_equal(cells.take(np.array([3, 5])).number, [4, 6])
    few = cells.some(7)
    assert len(few) == 7
    np.testing.assert_array_equal(few.x, x[few.number - 1])


# -- estimators


def test_report_of_an_estimator():
    X, y = RNG.normal(size=(200, 3)), RNG.integers(0, 3, 200)
    names = np.array(["red", "green", "blue"])
    fit = cr.FeedForwardClassifier((8,), max_iter=5, random_state=0).fit(X[:150], names[y[:150]])
    page = report(fit, X[150:], names[y[150:]], X_train=X[:150], y_train=names[y[:150]]).html()
    said = text_of(page)
    right = np.mean(fit.predict(X[150:]) == names[y[150:]])
    assert f"{100 * right:.1f} % of 50 given rows are predicted right" in said.replace("\xa0", " ")
    assert "most common class" in said
    assert "linear model" in said


def test_report_of_a_loaded_model(tmp_path):
    X = RNG.normal(size=(120, 2))
    fit = cr.FeedForwardRegressor((8,), max_iter=5, random_state=0).fit(X, X @ [1.0, 2.0])
    fit.save(tmp_path / "m.chainrule")
    loaded = cr.load(tmp_path / "m.chainrule")
    said = text_of(report(loaded, X, X @ [1.0, 2.0], np.linspace(0.0, 1.0, 120)).html())
    assert "Health of the network" in said
    with pytest.raises(cr.OptionError, match="y must have 1 columns"):
        report(loaded, X, X)


def test_the_path_that_chose_the_penalty():
    X = RNG.normal(size=(150, 5))
    y = X[:, 1] + 0.1 * RNG.normal(size=150)
    model = cr.PathCV(cr.LinearRegression(), "l1", n_strengths=20, rule="one_se")
    with pytest.raises(cr.OptionError, match="not fitted"):
        report(model, X, y)
    said = text_of(report(model.fit(X, y), X, y).html())
    assert f"chosen by cross-validation: {model.alpha_:.4g} (rule one_se )" in said
    assert all(name in said for name in model.dropped_)
    assert model.dropped_


@pytest.mark.parametrize(("which", "kind"), [("numeric", "numeric"), ("classes", "classes")])
def test_the_path_of_a_linear_model_names_what_enters_first(which, kind, request):
    data = request.getfixturevalue(which)
    found = linear_path(data)
    assert found.entered[0][0] == "a"  # what y and the class were made of
    assert (found.sizes[0] == 0.0).all()
    rows = cells_of(document(data).html(), "in order of entry")
    assert [row[0] for row in rows[1:]] == [name for name, _ in found.entered][:10]


def test_what_enters_the_path_first_correlates_most_whatever_the_network_makes_of_it():
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=400), rng.choice(list("abc"), 400)
    y = 2 * x + (kind == "a") + 0.3 * rng.normal(size=400)
    holes = pl.Series(np.where(rng.random(400) < 0.3, np.nan, rng.normal(size=400))).fill_nan(None)
    frame = pl.DataFrame({"x": x, "kind": kind, "nearly": 3 * y + 1 + 0.001 * rng.normal(size=400), "holes": holes})
    model = cr.FeedForwardRegressor((4,), max_iter=2, n_members=1, random_state=0, embedding="none").fit(frame, y)
    found = linear_path(report_of_estimator(model, frame, y))
    assert found.entered[0][0] == "nearly"  # the other way round in the network's scales, which bend it
    assert "holes is missing" in found.names


def test_no_path_where_there_is_nothing_to_choose():
    X = RNG.normal(size=(40, 1))
    fit = cr.FeedForwardRegressor((4,), max_iter=2, random_state=0).fit(X, X[:, 0])
    assert "Penalty path" not in text_of(report(fit, X, X[:, 0]).html())


def test_unknown_classes_are_refused():
    X = RNG.normal(size=(60, 2))
    fit = cr.FeedForwardClassifier((4,), max_iter=2, random_state=0).fit(X, X[:, 0] > 0)
    with pytest.raises(cr.OptionError, match="class 'purple' did not occur"):
        report(fit, X, ["purple"] * 60)


# -- the command


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "rows.csv"
    table().drop("z", "n", "kind", "p", "q").write_csv(path)
    return path


def test_fit_writes_the_report(csv, tmp_path, capsys, monkeypatch):
    command = ["fit", str(csv), "--target", "y", "--model", str(tmp_path / "m.chainrule"), "--epochs", "3"]
    command += ["--weight", "w", "--report", str(tmp_path / "y.html")]
    monkeypatch.setattr("sys.argv", ["chainrule", *command])
    assert run(command) == 0
    out = capsys.readouterr().out
    said = text_of((tmp_path / "y.html").read_text("utf-8"))
    assert f"report:  {tmp_path / 'y.html'}" in out
    assert hashlib.sha256(csv.read_bytes()).hexdigest() in said
    assert f"chainrule {' '.join(command)} --seed 0" in said
    assert cr.__version__ in said
    pytest.importorskip("igraph")
    assert 'href="y-row.html"' in (tmp_path / "y.html").read_text("utf-8")
    assert (tmp_path / "y-row.html").stat().st_size < 500_000


def test_rows_have_the_same_numbers_as_in_explain(csv, tmp_path, capsys):
    """Also where rows before them have no target."""
    frame = pl.read_csv(csv).with_columns(y=pl.when(pl.int_range(N) % 3 == 0).then(None).otherwise("y"))
    frame.write_csv(csv, null_value="?")
    command = ["fit", str(csv), "--target", "y", "--model", str(tmp_path / "m.chainrule"), "--epochs", "3"]
    assert run([*command, "--drop-missing-target", "--missing", "?", "--report", str(tmp_path / "y.html")]) == 0
    rows = cells_of((tmp_path / "y.html").read_text("utf-8"), "Rows by their number in the data")
    for row, observed, *_ in rows[1:]:
        assert float(observed) == pytest.approx(frame["y"][int(row.split()[0]) - 1], rel=1e-3)


def test_without_a_report_there_is_a_line_about_it(csv, tmp_path, capsys):
    command = ["fit", str(csv), "--target", "y", "--model", str(tmp_path / "m.chainrule"), "--epochs", "2"]
    assert run(command) == 0
    assert "--report page.html writes one" in capsys.readouterr().out


def test_nothing_is_trained_where_the_report_cannot_be_written(csv, tmp_path, capsys, monkeypatch):
    model = tmp_path / "m.chainrule"
    command = ["fit", str(csv), "--target", "y", "--model", str(model), "--report"]
    assert run([*command, str(tmp_path / "nowhere" / "a.html")]) == 1
    assert run([*command, str(csv)]) == 1
    assert run([*command, str(model)]) == 1
    monkeypatch.setattr("chainrule.show.style.find_spec", lambda name: None)
    assert run([*command, str(tmp_path / "a.html")]) == 1
    assert 'pip install "chainrule[show]"' in capsys.readouterr().err
    assert not model.exists()


def test_a_browser_shows_it_without_a_request(numeric, tmp_path):
    from browser import chromium

    path = tmp_path / "r.html"
    document(numeric).write(path)
    with chromium() as browser:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
            asked, said = [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("console", lambda message, said=said: said.append(message.text))
            page.goto(path.as_uri())
            assert asked == [path.as_uri()]
            assert said == []
            # on a phone only tables scroll to the side, not the page
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
            page.click("nav a:last-child")
            assert page.evaluate("location.hash") == "#environment"
