"""What a run keeps only while it works is gone when it fails, and after a kill by the next run."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bright_models import write_model
from results import names_in
from rich.console import Console
from synthetic_data import write_config, write_nnunet
from test_export_command import Desk
from tiny_models import ct_specification

from tumorseg_training.config import read_config
from tumorseg_training.datasets import select_cases
from tumorseg_training.preview import write_preview
from tumorseg_training.retraining import draft_folder, remove_checkpoints
from tumorseg_training.slice_cache import clear_cache, fill_cache
from tumorseg_training.train import Devices, quiet_log_thread, train
from tumorseg_training.versions import reserved_version
from TumorSegLib.commands import demo
from TumorSegLib.errors import OutputError
from TumorSegLib.model import model_import
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.phantom import brain_phantom
from TumorSegLib.support import atomic_write
from TumorSegLib.support.leftovers import owner
from TumorSegLib.worker.shared_memory import PREFIX, SharedBlock, remove_orphans

pytestmark = pytest.mark.slow

GONE = ("-c", "from TumorSegLib.support.leftovers import owner; print(owner(), end='')")


@pytest.fixture(scope="module")
def gone() -> str:
    """The name of a process that is gone."""
    return subprocess.run(
        [sys.executable, *GONE], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A config for four balls."""
    return write_config(tmp_path, write_nnunet(tmp_path / "data", 4), epochs=1)


def reserve(models: Path, **more):
    return reserved_version(ct_specification(id="ball"), models, set, **more)


def test_a_version_that_came_to_nothing_leaves_no_lock(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), reserve(tmp_path) as version:
        assert f".{version[0]}.lock" in names_in(tmp_path)
        raise KeyboardInterrupt
    assert names_in(tmp_path) == [".lock"]


def test_locks_of_killed_runs_go_and_those_of_others_stay(tmp_path):
    (tmp_path / ".ball-3.1.0.lock").touch()
    with reserve(tmp_path) as one, reserve(tmp_path) as other:
        assert [one[0], other[0]] == ["ball-1.1.0", "ball-1.2.0"]
        assert names_in(tmp_path) == [".ball-1.1.0.lock", ".ball-1.2.0.lock", ".lock"]
    assert names_in(tmp_path) == [".lock"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_killed_run_holds_no_version(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from test_swept_leftovers import reserve\n"
        "with reserve(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parent, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert ".ball-1.1.0.lock" in names_in(tmp_path)
    with reserve(tmp_path) as version:
        assert version[0] == "ball-1.1.0"
    assert names_in(tmp_path) == [".lock"]


def test_half_imported_and_half_removed_models_go(tmp_path, gone):
    own = tmp_path / "own"
    names = [f".import-{gone}-abc", f".removed-{gone}-abc", f".import-{owner()}-abc"]
    for name in names:
        (own / name).mkdir(parents=True)
    source = write_model(tmp_path, "tiny")
    with model_import.unpacked_models(source, own) as bundles:
        model_import.add_models(bundles, Catalogue.of([own]), own)
    assert names_in(own) == [names[2], "tiny"]
    catalogue = Catalogue.of([own])
    (own / names[1]).mkdir()
    model_import.remove_model(catalogue.find("tiny"), catalogue, own)
    assert names_in(own) == [names[2]]


def test_a_model_that_is_removed_is_no_default_even_if_that_is_cut_short(tmp_path, monkeypatch):
    from TumorSegLib.model.default_models import make_default, read_defaults

    catalogue = Catalogue.of([write_model(tmp_path, "tiny").parent])
    make_default(catalogue.find("tiny").specification, tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model_import, "temporary_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        model_import.remove_model(catalogue.find("tiny"), catalogue, tmp_path)
    assert read_defaults(tmp_path) == {}


@pytest.fixture
def named():
    """Makes names of shared memory, which are gone after the test."""
    made = []

    def name(whose):
        made.append(Path("/dev/shm", f"{PREFIX}{whose}-abc123"))
        made[-1].touch()
        return made[-1]

    yield name
    for path in made:
        path.unlink(missing_ok=True)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="names are listed on Linux only")
def test_names_of_shared_memory_of_killed_processes_go_and_those_of_others_stay(named, gone):
    elsewhere = f"{'0' * 8}-{gone.partition('-')[2]}"  # a container that shares the memory
    left, own, others = named(gone), named(owner()), named(elsewhere)
    remove_orphans()
    assert [path.exists() for path in (left, own, others)] == [False, True, True]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user"
)
def test_names_of_shared_memory_that_another_user_left_end_no_run(named, gone):
    left = named(gone)
    os.seteuid(65534)
    try:
        remove_orphans()
    finally:
        os.seteuid(0)
    assert left.exists()


def test_names_of_shared_memory_are_not_too_long_for_a_mac():
    block = SharedBlock.create(1)
    block.unlink()
    name = f"/{block.name}".replace(f"-{os.getpid()}-", "-99998-")  # the highest process there
    assert len(name) <= 31


def test_half_decoded_cases_of_killed_runs_go_at_once(tmp_path, data, gone):
    config = read_config(data)
    cache = tmp_path / "cache"
    names = [f"BALL_000-{'0' * 16}.{name}-abc.partial" for name in (gone, owner())]
    for name in names:
        (cache / name).mkdir(parents=True)
    fill_cache(select_cases(config).training, config.model.input, cache)
    assert [name for name in names_in(cache) if name.endswith(".partial")] == [names[1]]
    clear_cache(cache)
    assert names_in(cache) == []


def test_a_list_of_cases_that_cannot_be_written_leaves_the_old_one_alone(
    tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    desk = Desk(tmp_path, capfd)
    options = ("--channel", desk.image, "--quiet", "--replace")
    assert desk.export(desk.segmentation, *options)[0] == 0
    before, names = (desk.dataset / "dataset.json").read_bytes(), names_in(desk.dataset)

    def full(_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_write, "flush", full)
    status, _, err = desk.export(desk.segmentation, *options)
    assert status == 2
    assert "No space left on device" in err
    assert (desk.dataset / "dataset.json").read_bytes() == before
    assert names_in(desk.dataset) == names


def test_what_a_log_cannot_write_is_no_traceback_of_its_thread(monkeypatch):
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: shown.append(failure.exc_type))

    def fails(error):
        raise error

    with quiet_log_thread():
        for error in (OSError(errno.ENOSPC, "full"), ValueError("ours")):
            thread = threading.Thread(target=fails, args=(error,))
            thread.start()
            thread.join()
    assert shown == [ValueError]


def test_a_draft_without_room_is_told_in_a_line(tmp_path):
    with (
        pytest.raises(OutputError, match="absent: No such file"),
        draft_folder(tmp_path / "absent"),
    ):
        pass


def test_checkpoints_that_stay_are_told_and_do_not_undo_a_finished_run(tmp_path, monkeypatch):
    for name in ("best.ckpt", "last.ckpt"):
        (tmp_path / name).write_text("")

    def busy(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", busy)
    said = []
    remove_checkpoints(tmp_path, said.append)
    assert len(said) == 2
    assert all("cannot be removed (Permission denied)" in line for line in said)


def test_the_loader_needs_no_files_of_its_own(tmp_path, data, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(multiprocessing.util, "get_temp_dir", full)
    config = read_config(data, ["optimisation.workers=1"])
    train(
        config,
        tmp_path / "run",
        devices=Devices(accelerator="cpu"),
        report=lambda _: None,
        progress=False,
    )
    assert (tmp_path / "run" / "last.ckpt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on a file's size")
@pytest.mark.parametrize("what", ["demo", "preview"])
def test_pictures_and_phantoms_are_whole_or_absent(tmp_path, data, what):
    folder = tmp_path / "out"
    folder.mkdir()
    config = read_config(data)
    fill_cache(select_cases(config).training, config.model.input, tmp_path / "cache")
    brain_phantom()  # imports what must not be compiled on a full disk
    write = {
        "demo": lambda: demo._phantom(folder, Console(quiet=True)),
        "preview": lambda: write_preview(config, folder / "preview.png", lambda _: None),
    }[what]
    with pytest.raises(OutputError), no_room():
        write()
    assert names_in(folder) == []


@contextlib.contextmanager
def no_room():
    """Let no file become longer than 2,000 bytes."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
