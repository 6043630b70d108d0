"""Runs of the panel on a server."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bright_models import write_model
from needed_packages import needs
from scenes import add_head, segment_mask
from server_bench import serving

pytestmark = needs("fastapi", "uvicorn")


@pytest.fixture(autouse=True)
def own_settings(host, tmp_path, monkeypatch):
    """Where to run, and the token, of this test alone."""
    from TumorSegModule.logic import server_choice

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    yield
    for key in (server_choice.WHERE, server_choice.ADDRESS):
        host.app.userSettings().remove(key)


@pytest.fixture
def ready(bench, tmp_path, monkeypatch):
    """A panel with a head chosen, and a server with the same model."""
    write_model(bench.models, "tiny")
    with serving(tmp_path, monkeypatch) as bench.server:
        bench.open()
        bench.volume, bench.mask = add_head(bench.slicer)
        bench.parameters.volume = bench.volume
        bench.here = []
        bench.panel._run_here = lambda line: bench.here.append(line) or bench.answers.pop(0)
        bench.turn()
        yield bench


def choose_server(bench, address=None, token=None):
    """Choose the server in the panel as a user does."""
    ui = bench.panel.ui
    ui.serverAddress.text = address or bench.server.place.url
    ui.serverAddress.editingFinished.emit()
    ui.serverToken.text = token or bench.server.place.token
    ui.serverToken.editingFinished.emit()
    ui.whereSelector.currentIndex = ui.whereSelector.findData("server")


def found(bench):
    return segment_mask(bench.slicer, bench.parameters.target, bench.volume)


def test_a_server_segments_what_this_computer_would(ready):
    assert not ready.run().failed
    here = found(ready)
    ready.parameters.target = None
    choose_server(ready)
    status = ready.run()
    assert not status.failed, status.line
    assert len(ready.server.replicas.runs) == 1
    assert here.any()
    assert np.array_equal(found(ready), here)
    assert f"cpu: {ready.server.place.url}: " in status.device


def test_sensitivity_is_adjusted_here_after_a_run_on_a_server(ready):
    choose_server(ready)
    ready.run()
    before = found(ready).sum()
    assert ready.panel.session.can_adjust(ready.parameters.target)
    ready.panel.adjust(100.0)
    ready.until(lambda: not ready.panel.session.pending)
    assert found(ready).sum() > before
    assert len(ready.server.replicas.runs) == 1


def test_the_place_in_the_queue_is_shown_and_a_click_gives_it_up(ready):
    from test_server import Run

    choose_server(ready)
    ready.run()  # the worker has loaded what it needs
    ready.server.replicas.free.clear()
    first = Run(ready.server, model="tiny")
    ready.until(lambda: ready.server.queue.running == 1)
    ready.click()
    ui = ready.panel.ui
    ready.until(lambda: ui.progressBar.format == "Waiting for the server, place 1")
    assert "Others are before you" in ui.statusLabel.text
    ready.click()
    assert "Cancelled" in ready.panel.session.status.line
    ready.until(lambda: ready.server.queue.waiting == 0)
    ready.server.replicas.free.set()
    assert first.ended().error is None
    assert not ready.run().failed


def test_where_a_server_is_away_the_user_may_run_here(ready):
    choose_server(ready, address="http://127.0.0.1:9")
    ready.answers = [False, True]
    status = ready.run()
    assert status.failed
    assert "server http://127.0.0.1:9: is away" in status.line
    assert not ready.segmentations
    ready.click()
    ready.until(lambda: len(ready.here) == 2 and not ready.panel.session.busy)
    assert not ready.panel.session.status.failed
    assert found(ready).any()
    assert ready.here[0] == status.line


def test_a_token_that_is_not_known_is_told_in_a_line(ready):
    choose_server(ready, token="x" * 43)
    ready.answers = [False]
    assert "does not know this token" in ready.run().line


def test_what_is_wrong_with_the_volume_offers_no_other_place(ready):
    choose_server(ready)
    model = ready.models / "tiny" / "model.json"
    content = json.loads(model.read_text())
    model.write_text(json.dumps(content | {"network": {"name": "no such", "arguments": {}}}))
    assert ready.run().failed
    assert not ready.here


def test_address_and_token_are_kept_for_the_user_and_not_in_the_scene(ready):
    from TumorSegLib.remote.credentials import default_token_file

    ui = ready.panel.ui
    assert not ui.serverAddress.visible
    choose_server(ready)
    assert ui.serverToken.text == ""
    assert default_token_file().read_text().strip() == ready.server.place.token
    assert not ui.deviceSelector.enabled
    node = ready.parameters.parameterNode
    stored = [node.GetParameter(name) for name in node.GetParameterNames()]
    assert not [text for text in stored if "127.0.0.1" in text or "server" in text]
    ui.serverToken.text = "no token"
    ui.serverToken.editingFinished.emit()
    assert "no token" in ui.serverNote.text


def test_a_server_without_an_address_is_asked_for(ready):
    choose_server(ready)
    ready.panel.ui.serverAddress.text = ""
    ready.panel.ui.serverAddress.editingFinished.emit()
    assert "Enter the address" in ready.panel.ui.serverNote.text
    assert "Enter the server's address" in ready.run().line
    assert not ready.segmentations
