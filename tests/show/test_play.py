"""The playground: steps are those of training, the past is kept exactly, and only its own page may talk to it."""

import http.client
import json
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import chromium

import chainrule as cr
from chainrule.models.model import load_model
from chainrule.show.play.data import CLASSES, NUMBERS, made_up, of_table
from chainrule.show.play.server import Playground, address, page, serve
from chainrule.show.play.session import OPTIMIZERS, OUTPUTS_OF, PENALTIES, Session, Settings

PENGUINS = Path(cr.__file__).parent / "data" / "penguins.csv"


def session(name="circles", **settings):
    data = made_up(name)
    return Session(data, Settings.of(settings, data))


@pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
def test_every_made_up_set_is_learned_and_shown(name):
    one = session(name)
    first = one.training.loss(one.training.rows)
    for _ in range(30):
        one.epoch()
    assert one.message == ""
    assert one.training.loss(one.training.rows) < first
    state = one.state()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert state["picture"]["kind"] == ("classes" if name in CLASSES else "density")
    assert len(state["losses"]["training"]) == 30
    assert [len(layer) for layer in state["units"]] == [8, 8]


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_single_batches_make_an_epoch(optimizer, penalty):
    whole, stepped = (session(optimizer=optimizer, penalty=penalty, learning_rate=0.01) for _ in range(2))
    whole.epoch()
    for k in range(stepped.n_batches):
        assert stepped.batch == k
        stepped.step()
    assert (stepped.training.epoch, stepped.batch) == (1, 0)
    np.testing.assert_allclose(stepped.training.theta, whole.training.theta, rtol=2e-4, atol=2e-6)
    stepped.step()
    stepped.epoch()  # finishes the epoch that was begun
    assert (stepped.training.epoch, stepped.batch) == (2, 0)


def test_going_back_is_exact_and_training_goes_on_as_before():
    one = session()
    for _ in range(3):
        one.epoch()
    at_three = one.training.theta.copy()
    for _ in range(4):
        one.epoch()
    after = one.training.theta.copy()
    one.back(3)
    assert one.training.epoch == 3
    assert len(one.training.curves.training) == 3
    np.testing.assert_array_equal(one.training.theta, at_three)
    for _ in range(4):
        one.epoch()
    np.testing.assert_array_equal(one.training.theta, after)


def test_the_past_is_bounded():
    one = session(layers=[2])
    for _ in range(900):
        one.epoch()
    assert 60 < one.state()["past"] <= 240
    one.back(0)
    assert one.training.epoch == 0


def test_divergence_stops_with_words_and_the_last_good_state():
    one = session("sine", optimizer="gradient descent", learning_rate=1e3, penalty="L2", strength=1e3)
    for _ in range(5):
        one.epoch()
    assert "diverged" in one.message
    assert np.isfinite(one.training.theta).all()
    one.state()


def test_a_table_of_the_users(tmp_path):
    data = of_table(PENGUINS, ("species",))
    assert len(data.axes) == 2
    assert np.isfinite(data.shown).all()
    one = Session(data, Settings.of({}, data))
    for _ in range(20):
        one.epoch()
    p = np.asarray(one.model().distribution([data.X]).mean())
    assert np.mean(np.argmax(p, axis=1) == data.y[:, 0]) > 0.9
    assert len(one.state()["picture"]["planes"]) == 3
    numeric = of_table(PENGUINS, ("body_mass_g",), ("flipper_length_mm",))
    assert [numeric.inputs.columns[k] for k in numeric.axes] == ["flipper_length_mm"]
    with pytest.raises(cr.OptionError, match="no input column 'wings'"):
        of_table(PENGUINS, ("species",), ("wings",))


def test_settings_are_checked():
    data = made_up("sine")
    assert Settings.of({"output": "bernoulli"}, data).output == OUTPUTS_OF["numeric"][0]
    for wrong, words in (
        ({"layers": [0]}, "layers"),
        ({"layers": [600]}, "layers"),
        ({"layers": "many"}, "numbers"),
        ({"unit": "none"}, "unit"),
        ({"learning_rate": -1}, "learning rate"),
        ({"batch_size": 0}, "batch size"),
    ):
        with pytest.raises(cr.OptionError, match=words):
            Settings.of(wrong, data)


def test_the_code_runs_and_the_file_loads(tmp_path):
    one = session("inverse problem", output="mixture:3", penalty="L1", optimizer="momentum", learning_rate=0.001)
    for _ in range(40):
        one.epoch()
    names = {}
    exec(compile(one.code(), "playground.py", "exec"), names)
    assert names["model"].n_iter_ == 40
    members = names["model"].model_.members
    assert [len(m.theta) for m in members] == [one.training.layout.size]  # one network, the same
    playground = Playground()
    playground.do("epoch")
    (tmp_path / "m.chainrule").write_bytes(playground.model_file())
    loaded = load_model(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(loaded.members[0].theta, playground.session.training.theta)


def test_the_code_reads_a_table_by_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PENGUINS, "penguins.csv")
    data = of_table("penguins.csv", ("sex",))
    one = Session(data, Settings.of({"layers": [5]}, data))
    one.epoch()
    names = {}
    exec(compile(one.code(), "playground.py", "exec"), names)
    assert [len(m.theta) for m in names["model"].model_.members] == [one.training.layout.size]
    assert len(names["y"]) == len(data.y) == 333  # without the birds of unknown sex
    assert 0.0 < float(capsys.readouterr().out) <= 1.0


@pytest.fixture
def served():
    playground = Playground()
    server = serve(playground)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield playground, server
    playground.close()
    server.shutdown()
    server.server_close()
    thread.join()


def request(server, method, path, body=None, host=None):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_address[1]}")
    connection.putheader("Content-Length", str(len(body or b"")))
    connection.endheaders(body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_only_its_own_page_may_talk_to_it(served):
    playground, server = served
    assert server.server_address[0] == "127.0.0.1"
    key = f"?key={playground.secret}"
    assert request(server, "GET", f"/state{key}")[0] == 200
    for path in ("/", "/state", "/about", "/model", "/state?key=", "/state?key=x"):
        assert request(server, "GET", path)[0] == 403
    assert request(server, "GET", f"/state{key}", host="evil.example:80")[0] == 403
    assert request(server, "POST", "/do", b'{"action": "epoch"}')[0] == 403
    assert playground.session.training.epoch == 0
    assert request(server, "GET", f"/../../etc/passwd{key}")[0] == 404


def test_bad_requests_are_answered_and_change_nothing(served):
    playground, server = served
    key, before = f"?key={playground.secret}", playground.session
    for path, body in (
        ("/set", b"not json"),
        ("/set", b"[]"),
        ("/set", b'{"layers": [0]}'),
        ("/set", b'{"data": "none"}'),
        ("/do", b'{"action": "explode"}'),
    ):
        status, text = request(server, "POST", path + key, body)
        assert status == 400
        assert json.loads(text)["error"]
    assert playground.session is before
    assert request(server, "POST", f"/set{key}", b'{"data": "xor", "layers": [4]}')[0] == 200
    assert playground.session.data.name == "xor"


def test_the_page_asks_nobody_else():
    assert not re.search(r"https?://", page())
    assert "default-src 'none'" in page()


def until(tab, condition):
    """Wait for a condition; the page lets no text be run as a script later on, so it is asked again and again."""
    for _ in range(400):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(25)
    pytest.fail(condition)


def test_in_a_browser(served):
    playground, server = served
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 1300, "height": 820})
        errors, requests = [], []
        tab.on("pageerror", lambda e: errors.append(str(e)))
        tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        tab.on("request", lambda r: requests.append(urlsplit(r.url).hostname))
        tab.goto(address(server, playground))

        until(tab, "Boolean(window.ready)")
        tab.click("#step")
        until(tab, "document.querySelector('#moment').value.includes('batch 1 of')")
        tab.click("#epoch")
        until(tab, "document.querySelector('#moment').value === 'epoch 1'")
        assert float(tab.inner_text("#validation")) == pytest.approx(
            playground.session.training.curves.validation[0], rel=1e-3
        )
        tab.keyboard.press("Tab")
        tab.select_option("[name=data]", "sine")
        until(tab, "document.querySelector('#facts').textContent.startsWith('y')")
        tab.select_option("[name=output]", "laplace")
        until(tab, "document.querySelector('[name=output]').value === 'laplace'")
        tab.click("#run")
        until(tab, "Number(document.querySelector('#past').max) > 5")
        tab.click("#run")
        until(tab, "document.querySelector('#run').textContent === 'Run'")
        tab.fill("[name=layers]", "0")
        tab.keyboard.press("Tab")
        until(tab, "document.querySelector('#message').textContent.includes('layers')")
        # something was drawn: the canvas is not of one colour
        drawn = "new Set(document.querySelector('#picture').getContext('2d').getImageData(200,200,200,200).data).size"
        assert tab.evaluate(drawn) > 20
        assert set(requests) == {"127.0.0.1"}
        nameless = tab.evaluate("""() => {
            const text = (e) => e.ariaLabel || e.textContent.trim() || [...(e.labels ?? [])].map(text).join("");
            const all = document.querySelectorAll("button, input, select, #units canvas, #weights canvas");
            return [...all].filter((e) => !text(e)).map((e) => e.outerHTML);
        }""")
        assert nameless == []
        assert tab.get_attribute("[name=learning_rate]", "aria-valuetext") == tab.inner_text("#eta")
        offered = tab.evaluate("[...document.querySelector('[name=unit]').options].map((o) => o.value)")
        assert {"silu", "sigmoid"} <= set(offered)
        assert not {"swish", "logistic"} & set(offered)  # other names of the same
        assert [e for e in errors if "400" not in e] == []


def test_on_a_phone_the_picture_comes_first(served):
    playground, server = served
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.goto(address(server, playground))
        until(tab, "window.ready === true && document.querySelector('#moment').value")
        tops = {each: tab.locator(each).bounding_box()["y"] for each in ("#picture", "#losses", "#settings", "#units")}
        assert sorted(tops, key=tops.get) == list(tops)
        assert tops["#picture"] < 400
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert "press Run" in tab.inner_text("#begin")
        tab.click("#epoch")
        until(tab, "document.querySelector('#moment').value === 'epoch 1'")
        assert not tab.is_visible("#begin")
        tab.click("#reset")
        until(tab, "!document.querySelector('#begin').hidden")
