from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from panel_bench import destroyed_here
from surroundings import ROOT, Watch, enter, leave

SHARED = ROOT.parent / "shared"
FOLDER = "TUMORSEG_TESTS"
"""Variable that tells the other processes of a run where home and temporary folders lie."""

SLOW = re.compile(r"^pytestmark = (\[\n    )?pytest\.mark\.slow\b", re.MULTILINE)
"""Begins a file that is slow as a whole."""

watch = pytest.StashKey[Watch]()
crashes = pytest.StashKey[int]()
"""Where Python says in which line the process crashed: the errors of pytest itself."""


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[crashes] = os.dup(sys.__stderr__.fileno())
    if hasattr(config, "workerinput"):
        enter(Path(os.environ[FOLDER]), config.workerinput["workerid"])
        return
    before = dict(os.environ)
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="tumorseg-tests-")
    folder = Path(os.environ[FOLDER])
    enter(folder, "temporary")
    config.stash[watch] = Watch(ROOT, folder)
    config.add_cleanup(lambda: leave(folder, before))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave unread what is slow as a whole where only quick tests are asked for."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None  # pytest decides
    return True if SLOW.search(collection_path.read_text("utf-8")) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what starts a worker process, which imports PyTorch, or reads real images."""
    for item in items:
        if {"bench", "peer", "shared"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Have a crash say where it was, and widgets end in the thread that made them."""
    faulthandler.disable()  # forgets that Lightning takes the handlers away
    faulthandler.enable(item.config.stash[crashes])
    with destroyed_here() if "host" in getattr(item, "fixturenames", ()) else nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session):
    yield
    if watch in session.config.stash:
        found = session.config.stash[watch].faults()
        if found:
            reporter = session.config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_sep("=", "the tests left something behind", red=True)
            for line in found:
                reporter.write_line(line)
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="module")
def browser():
    """A browser without a window, for the page of `tumorseg web`."""
    from web_page import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of working data beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the working data in ../shared, which are not published")
    return SHARED


@pytest.fixture(scope="session")
def host():
    """`slicer` of the stand-in, with the module TumorSeg loaded."""
    pytest.importorskip("slicer")
    pytest.importorskip("PySide6")
    from panel_bench import load_host

    return load_host()


@pytest.fixture
def bench(host, tmp_path):
    """A new panel in an empty scene, with models of its own; VTK's complaints fail the test."""
    from panel_bench import Bench, no_vtk_errors

    with no_vtk_errors() as complaints:
        bench = Bench(host, tmp_path)
        bench.complaints = complaints
        yield bench
        bench.close()
        host.mrmlScene.Clear()


@pytest.fixture
def stepping(bench, monkeypatch):
    """A panel with two models, whose worker goes on only when it is told to."""
    from stepping import Stepping

    return Stepping(bench, monkeypatch)


@pytest.fixture
def script_models(tmp_path, monkeypatch):
    """The folder of all models that `TumorSegLogic` knows."""
    folder = tmp_path / "models of scripts"
    folder.mkdir()
    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", tmp_path / "none")
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder))
    return folder


@pytest.fixture
def scripts(host, script_models, monkeypatch):
    """`TumorSegLogic` with a model and a worker within this process."""
    from bright_models import write_model
    from script_bench import scripts_with
    from stepped_worker import SteppedClient
    from stepping import CHANNELS, DIM, INPUT

    write_model(script_models, DIM, default=True, channels=CHANNELS, input=INPUT)
    with scripts_with(host, SteppedClient, monkeypatch) as scripts:
        yield scripts


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model, a volume of three sequences, and nothing else of this machine."""
    from command_line import write_place

    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", tmp_path / "none")
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    write_place(tmp_path)
    return tmp_path


@pytest.fixture
def station(tmp_path, monkeypatch):
    """A DICOM node whose models run in this process, and a PACS that takes its results."""
    pytest.importorskip("pynetdicom")
    pytest.importorskip("highdicom")
    from node_bench import NodeBench, ProcessInside

    monkeypatch.setattr("TumorSegLib.node.service.ModelProcess", ProcessInside)
    monkeypatch.setattr("TumorSegLib.node.service.TURN_SECONDS", 0.02)
    station = NodeBench(tmp_path)
    station.pacs.start()
    yield station
    station.close()


@pytest.fixture
def folder(tmp_path):
    """A folder with voxels in files of their own, for headers that name them."""
    from written_headers import with_data_files

    return with_data_files(tmp_path)
