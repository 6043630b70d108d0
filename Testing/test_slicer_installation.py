"""What is missing is asked for once and installed beside Slicer, which stays usable meanwhile."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from bright_models import write_model
from fake_pip import make_package
from panel_bench import alive
from scenes import add_head
from waiting import wait_until

pytestmark = pytest.mark.slow

FAKE_PIP = Path(__file__).with_name("fake_pip.py")
READY = ("torch", "safetensors", "scipy", "SimpleITK", "filelock")
TRAINING = ("lightning", "monai", "matplotlib", "tensorboard", "rich", "jinja2")


@pytest.fixture
def world(host, monkeypatch, tmp_path):
    """A Slicer whose packages, answers and pip are ours."""
    from TumorSegModule.logic import requirements
    from TumorSegModule.widgets import installation

    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "plan.json").write_text("{}")
    world = SimpleNamespace(
        site=site, asked=[], answer=True, errors=[], went_on=[], installation=installation
    )
    for name in READY:
        make_package(site, name)
    versions, missing = requirements.installed_versions, requirements.missing_packages
    version = requirements.installed_version
    monkeypatch.setattr(requirements, "installed_versions", lambda path=None: versions([str(site)]))
    monkeypatch.setattr(
        requirements,
        "installed_version",
        lambda name, path=None: version(name, path or [str(site)]),
    )
    monkeypatch.setattr(
        requirements,
        "missing_packages",
        lambda *, training=False, pdf=False: missing(training=training, pdf=pdf, path=[str(site)]),
    )
    monkeypatch.setattr(
        installation, "python_command", lambda: [sys.executable, str(FAKE_PIP), str(tmp_path)]
    )
    monkeypatch.setitem(sys.modules, "PyTorchUtils", ModuleType("PyTorchUtils"))

    def confirm(text, **options):
        world.asked.append(text)
        return world.answer

    def plan(**modules):
        (tmp_path / "plan.json").write_text(json.dumps(modules))

    def calls():
        file = tmp_path / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    monkeypatch.setattr(host.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(host.util, "errorDisplay", lambda text, **o: world.errors.append(text))
    world.plan, world.calls = plan, calls
    world.ensure = lambda **options: installation.ensure_installed(
        lambda: world.went_on.append(True), **options
    )
    yield world
    installation.cancel_installation()


def remove(world, *names):
    """Take packages out of the world."""
    for name in names:
        for path in sorted(world.site.rglob("*"), reverse=True):
            if path.relative_to(world.site).parts[0].startswith((f"{name}-", name)):
                path.rmdir() if path.is_dir() else path.unlink()


def test_without_room_for_a_temporary_folder_nothing_is_begun(world, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(world.installation.tempfile, "TemporaryDirectory", full)
    remove(world, "scipy")
    assert not world.ensure()
    (line,) = world.errors
    assert "no temporary folder can be made: No space left on device" in line
    assert world.calls() == []
    assert world.installation._open == []


def dialog_of(world):
    (dialog,) = world.installation._open
    return dialog


def wait(host, condition):
    import qt

    wait_until(condition, turn=lambda: (qt.QApplication.processEvents(), time.sleep(0.005)))


def install(host, world, **options):
    """Click, agree, and wait for the end of the installation."""
    assert not world.ensure(**options)
    wait(host, lambda: not world.installation._open)


def test_nothing_is_asked_where_nothing_is_missing(world):
    assert world.ensure()
    assert not world.asked
    assert not world.calls()


def test_one_question_names_all_how_large_and_where(host, world):
    remove(world, "torch", "safetensors")
    install(host, world)
    (question,) = world.asked
    for words in ("torch, safetensors", "torchvision", "sympy", "GB", "site-packages"):
        assert words in question
    assert world.went_on == [True]


def test_torch_comes_by_light_the_torch_and_never_by_pip(host, world):
    remove(world, "torch", "safetensors")
    install(host, world)
    chooser, torch, others, trying = world.calls()
    assert chooser["module"] == "pip"
    assert chooser["words"][:2] == ["install", "light-the-torch>=0.5"]
    assert torch["module"] == "light_the_torch"
    assert torch["words"][:3] == ["install", "torch>=2.4", "torchvision"]
    assert others["module"] == "pip"
    assert others["words"][1] == "safetensors>=0.4"
    assert trying["words"] == ["-c", "import torch, safetensors"]
    assert not any("torch" in word for word in others["words"][1 : others["words"].index("-c")])


def test_what_only_retraining_needs_is_asked_for_by_retraining(host, world):
    assert world.ensure()
    install(host, world, training=True)
    (question,) = world.asked
    assert question.startswith("To retrain, TumorSeg needs lightning, monai, matplotlib")
    for package in ("torchmetrics", "grpcio", "contourpy"):
        assert package in question
    assert world.went_on == [True]


def test_installing_for_retraining_keeps_torch_and_all_of_slicers_versions(host, world):
    make_package(world.site, "torch", "2.6.0+cu124")
    make_package(world.site, "torchvision", "0.21.0+cu124")
    make_package(world.site, "numpy", "2.0.2")
    make_package(world.site, "vtk", "9.4.2")
    install(host, world, training=True)
    kept = world.calls()[0]["constraints"]
    for line in (
        "torch==2.6.0+cu124",
        "torchvision==0.21.0+cu124",
        "numpy==2.0.2",
        "vtk==9.4.2",
        "simpleitk==99.9",
    ):
        assert line in kept
    assert not any(line.startswith(("monai", "lightning")) for line in kept)


def test_a_torch_just_installed_is_kept_by_what_follows(host, world):
    remove(world, "torch")
    install(host, world, training=True)
    _chooser, torch, others, _trying = world.calls()
    assert "torch==99.9" not in torch["constraints"]
    assert "torch==99.9" in others["constraints"]


def test_without_torch_nothing_that_would_bring_one_is_installed(host, world):
    remove(world, "torch")
    world.plan(light_the_torch={"nothing": True})
    world.ensure(training=True)
    dialog = dialog_of(world)
    wait(host, lambda: dialog.process.state.stage == "failed")
    assert "PyTorch is not there" in dialog.message.text
    assert [call["module"] for call in world.calls()] == ["pip", "light_the_torch"]


@pytest.mark.parametrize(
    ("version", "why"), [("1.13.1+cu117", "too old"), ("2.3.9", "too old"), ("2.4.0", None)]
)
def test_the_version_counts(host, world, version, why):
    make_package(world.site, "torch", version)
    make_package(world.site, "torchvision", "0.14.1")
    make_package(world.site, "numpy", "2.0.2")
    assert world.ensure() is (why is None)
    if why:
        wait(host, lambda: not world.installation._open)
        assert f"torch {version} does not do and is replaced" in world.asked[0]
        kept = world.calls()[1]["constraints"]
        assert "numpy==2.0.2" in kept
        assert not any(line.startswith("torch") for line in kept)


@pytest.mark.parametrize(
    "left",
    [{"record": False}, {"code": None}],
    ids=["files without a record", "a record without files"],
)
@pytest.mark.parametrize("name", ["torch", "safetensors"])
def test_a_half_finished_installation_is_repaired(host, world, name, left):
    remove(world, name)
    make_package(world.site, name, "2.5", **left)
    install(host, world)
    assert f"{name} is there in part only" in world.asked[0]
    again = [call for call in world.calls() if "--force-reinstall" in call["words"]]
    (repair,) = again
    assert "--no-deps" in repair["words"]
    assert repair["module"] == ("light_the_torch" if name == "torch" else "pip")


def test_a_folder_of_that_name_is_no_package(world):
    remove(world, "safetensors")
    (world.site / "safetensors").mkdir()
    world.answer = False
    assert not world.ensure()
    assert world.asked[0].startswith("To segment, TumorSeg needs safetensors.")


def test_packages_of_slicers_own_need_no_record_of_pips(world):
    remove(world, "SimpleITK")
    make_package(world.site, "SimpleITK", record=False)
    assert world.ensure()


def test_no_is_an_answer(world):
    remove(world, "torch")
    world.answer = False
    assert not world.ensure()
    assert not world.calls()
    assert not world.went_on


def test_without_the_extension_a_line_says_what_to_do(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    remove(world, "torch")
    assert not world.ensure()
    assert "Extensions Manager" in world.errors[0]
    assert not world.asked


FAILURES = {
    "no network": (
        "ERROR: Could not find a version that satisfies the requirement torch>=2.4\n"
        "WARNING: Retrying after connection broken: NewConnectionError(': Failed to establish a"
        " new connection: [Errno 11001] getaddrinfo failed')",
        "The internet could not be reached",
    ),
    "proxy": ("ProxyError('Cannot connect to proxy.', OSError('407'))", "HTTPS_PROXY"),
    "certificate": ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'", "PIP_CERT"),
    "disk": ("ERROR: [Errno 28] No space left on device", "The disk is full"),
    "in use": ("PermissionError: [WinError 5] Access is denied: 'torch/lib/c10.dll'", "restart it"),
    "rights": ("ERROR: [Errno 13] Permission denied: '/opt/Slicer/lib'", "may not be written to"),
    "conflict": ("ERROR: ResolutionImpossible: for help visit", "slicer.util.pip_uninstall"),
    "none": ("ERROR: No matching distribution found for torch>=2.4", "newer Slicer"),
    "half": ("error: uninstall-no-record-file: no RECORD file was found for torch.", "by hand"),
    "unknown": ("ERROR: something that nobody foresaw", "try again"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_one_message_with_pips_last_lines_and_what_to_do(host, world, kind):
    import qt

    printed, todo = FAILURES[kind]
    remove(world, "torch")
    world.plan(light_the_torch={"print": printed, "status": 1})
    assert not world.ensure()
    dialog = dialog_of(world)
    wait(host, lambda: dialog.process.state.stage == "failed")
    dialog.poll()
    text = dialog.message.text
    assert text.startswith("Installing PyTorch: failed.")
    assert printed.splitlines()[-1][:80] in text
    assert todo in text
    dialog.copy_button.click()
    copied = qt.QApplication.clipboard().text()
    assert text in copied
    assert "pip at work" in copied  # what went well before is among the details
    assert not dialog.bar.visible
    dialog.close_button.click()
    assert not world.installation._open
    assert not world.went_on


def test_packages_that_cannot_be_loaded_are_told_before_the_first_run(host, world):
    remove(world, "torch")
    world.plan(python={"print": "ImportError: DLL load failed while importing _C", "status": 1})
    world.ensure()
    dialog = dialog_of(world)
    wait(host, lambda: dialog.process.state.stage == "failed")
    dialog.poll()
    assert "Visual C++ Redistributable" in dialog.message.text


def test_a_python_that_cannot_be_started_is_a_message(host, world, monkeypatch):
    remove(world, "torch")
    monkeypatch.setattr(world.installation, "python_command", lambda: ["/nowhere/PythonSlicer"])
    world.ensure()
    dialog = dialog_of(world)
    dialog.poll()
    assert "/nowhere/PythonSlicer" in dialog.message.text


def test_cancel_ends_pip_and_leaves_the_panel_as_it_was(host, world):
    remove(world, "torch")
    world.plan(light_the_torch={"seconds": 300})
    world.ensure()
    dialog = dialog_of(world)
    wait(host, lambda: len(world.calls()) == 2)
    pid = dialog.process._process.pid
    dialog.cancel_button.click()
    assert not world.installation._open
    wait(host, lambda: not alive(pid))
    assert not world.went_on
    assert not world.errors


def test_a_mac_gets_the_last_torch_that_there_is_for_it(host, world, monkeypatch):
    from TumorSegLib.support import system

    monkeypatch.setattr(system, "is_intel_mac", lambda: True)
    make_package(world.site, "torch", "2.2.2")
    assert world.ensure()
    remove(world, "torch")
    install(host, world)
    assert world.calls()[1]["words"][:2] == ["install", "torch>=2.2"]


def test_a_mac_that_cannot_train_hears_it_before_anything_is_downloaded(world, monkeypatch):
    from TumorSegLib.support import system

    monkeypatch.setattr(system, "is_intel_mac", lambda: True)
    assert not world.ensure(training=True)
    assert "not supported on this Mac yet" in world.errors[0]
    assert not world.asked
    assert not world.calls()


def test_a_second_click_starts_no_second_installation(host, world):
    remove(world, "torch")
    world.plan(pip={"seconds": 300})
    world.ensure()
    assert not world.ensure()
    assert len(world.asked) == 1
    assert len(world.installation._open) == 1


def test_the_bar_shows_the_download_and_runs_to_and_fro_without_one(host, world):
    remove(world, "torch")
    lines = (
        "Collecting torch\n  Downloading torch-2.6.0.whl (2.3 GB)\nProgress 600000000 of 2400000000"
    )
    world.plan(light_the_torch={"print": lines, "seconds": 300})
    world.ensure()
    dialog = dialog_of(world)
    assert dialog.bar.maximum == 0
    wait(host, lambda: dialog.process.state.total)
    dialog.poll()
    assert (dialog.bar.value, dialog.bar.maximum) == (250, 1000)
    assert "600 of 2400 MB" in dialog.message.text
    assert "Progress" not in dialog.output.plainText
    assert "Downloading torch-2.6.0.whl" in dialog.output.plainText


def test_pip_that_installs_nothing_is_told(host, world):
    remove(world, "safetensors")
    world.plan(pip={"nothing": True})
    install(host, world)
    assert "installed, but not found" in world.errors[0]
    assert not world.went_on


def test_the_click_goes_on_by_itself_after_the_installation(bench, world):
    write_model(bench.models, "tiny")
    bench.open()
    bench.parameters.volume, _ = add_head(bench.slicer)
    bench.turn()
    remove(world, "safetensors")
    bench.click()
    assert not bench.panel.session.busy
    assert bench.panel.ui.segmentButton.text == "Segment"
    bench.until(lambda: bench.parameters.target is not None)
    assert bench.parameters.target.GetSegmentation().GetNumberOfSegments() == 1
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("ImportError: DLL load failed while importing _C: %1", "Visual C++ Redistributable"),
        ("OSError: [WinError 126] The specified module could not be found", "Visual C++"),
        ("ImportError: libcudart.so.12: cannot open shared object file", "PyTorch Utils"),
        ("ModuleNotFoundError: No module named 'torch._C'", "PyTorch Utils"),
    ],
)
def test_a_worker_that_cannot_load_torch_says_what_to_do(host, last, words):
    from TumorSegModule.logic.install_advice import explain_import_failure

    line = explain_import_failure("the segmentation failed", f"Traceback:\n  in x\n{last}\n")
    assert words in line
    assert last.partition(": ")[2][:40] in line


def test_other_failures_of_the_worker_are_left_as_they_are(host):
    from TumorSegModule.logic.install_advice import explain_import_failure

    assert explain_import_failure("it failed", "Traceback\nValueError: bad") == "it failed"
    assert explain_import_failure("it failed", "") == "it failed"


def test_requirements_are_ranges_and_without_torch(host):
    from TumorSegModule.logic.requirements import requirement_lines

    lines = requirement_lines(training=True)
    assert {line.partition(">=")[0] for line in lines} == {*READY, *TRAINING} - {"torch"}
    assert all(">=" in line and "==" not in line for line in lines)


def test_the_question_knows_all_that_the_packages_need(host):
    """What is installed here says what the packages need in turn."""
    from packaging.requirements import Requirement

    from TumorSegModule.logic.requirements import DEPENDENCIES, normalised

    def needed(name):
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                yield normalised(requirement.name)

    named = {normalised(name) for name in (*READY, *TRAINING, "numpy")}
    named |= {name for names in DEPENDENCIES.values() for name in names.split()}
    waiting, seen = [*READY, *TRAINING], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name.startswith(("nvidia-", "cuda-", "triton")):
            continue
        seen.add(name)
        assert normalised(name) in named, name
        waiting += needed(name)


@pytest.fixture
def dicom(world, monkeypatch, tmp_path):
    """`world`, where the packages for DICOM are looked for in its own folders alone."""
    from TumorSegModule.logic import dicom_packages

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(
        dicom_packages, "sys", SimpleNamespace(path=[str(world.site)], version_info=(3, 12))
    )
    world.packages = dicom_packages
    world.ensure_dicom = lambda: world.installation.ensure_dicom_packages(
        lambda: world.went_on.append(True)
    )
    return world


def test_a_slicer_that_brings_what_writes_dicom_is_asked_nothing(dicom):
    make_package(dicom.site, "highdicom", "0.28.0")
    assert dicom.ensure_dicom()
    assert not dicom.asked
    assert dicom.packages.search_path() == []


def test_what_writes_dicom_goes_beside_slicers_own_packages(host, dicom):
    """Slicer 5.10 has pydicom 2.4, for which there is no highdicom that runs with NumPy 2."""
    make_package(dicom.site, "pydicom", "2.4.4")
    assert not dicom.ensure_dicom()
    wait(host, lambda: not dicom.installation._open)
    (question,) = dicom.asked
    folder = dicom.packages.own_folder()
    assert "highdicom, pydicom, pyjpegls, typing-extensions" in question
    assert str(folder) in question
    assert dicom.went_on == [True]
    assert not dicom.errors
    (call,) = dicom.calls()
    assert "--no-deps" in call["words"]
    names = {path.name.partition("-")[0] for path in folder.iterdir()}
    assert names == {"highdicom", "pydicom", "pyjpegls", "typing"}
    assert (dicom.site / "pydicom-2.4.4.dist-info").is_dir()
    assert dicom.ensure_dicom()
    assert dicom.packages.search_path() == [str(folder)]


def test_a_no_to_what_writes_dicom_installs_nothing(dicom):
    dicom.answer = False
    assert not dicom.ensure_dicom()
    assert dicom.calls() == []
    assert not dicom.went_on


def test_nothing_is_imported_from_the_folder_that_a_process_is_started_in(tmp_path):
    from TumorSegModule.logic.install_process import InstallProcess, Step
    from TumorSegModule.logic.worker_client import library_environment

    command = [sys.executable, "-m", "site"]  # prints where it looks
    environment = library_environment()
    told = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    process = InstallProcess([Step("", lambda: ["env", "-C", str(tmp_path), *command])])
    process.start()
    while process.busy:
        process.poll()
    assert process.state.stage == "done"
    for text in (told.stdout, "\n".join(process.lines)):
        assert "sys.path = [" in text
        assert repr(str(tmp_path)) not in text


def test_a_worker_looks_into_the_folder_beside_slicer_first(tmp_path):
    from TumorSegModule.logic.worker_client import library_environment

    paths = library_environment([str(tmp_path)])["PYTHONPATH"].split(os.pathsep)
    assert paths[0] == str(tmp_path)
    assert str(tmp_path) not in library_environment()["PYTHONPATH"]
