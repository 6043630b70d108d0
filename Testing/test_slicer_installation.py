"""What is missing is asked for once, and nothing of Slicer's own is handed to pip."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import pytest
from host_fixtures import host  # noqa: F401


@pytest.fixture
def installation(host, monkeypatch):  # noqa: F811
    """The installation with a Slicer whose packages, answers and installers are ours."""
    from TumorSegModule import installation

    world = SimpleNamespace(missing=set(), asked=[], answer=True, pip=[], torch=[], errors=[])
    real = importlib.util.find_spec

    def find_spec(name, *rest):
        if name == "slicer.packaging":
            return True
        return None if name in world.missing else real(name, *rest)

    def ensure(requirements, **options):
        world.pip.append((requirements, options))
        world.missing -= set(requirements)

    def install_torch(**options):
        world.torch.append(options)
        world.missing.discard("torch")
        return object()

    packaging = ModuleType("slicer.packaging")
    packaging.pip_ensure = ensure
    packaging.load_requirements = lambda path: ["safetensors", "scipy", "SimpleITK"]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    utils = ModuleType("PyTorchUtils")
    utils.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=install_torch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", utils)
    monkeypatch.setattr(installation.importlib.util, "find_spec", find_spec)

    def confirm(text, **options):
        world.asked.append(text)
        return world.answer

    monkeypatch.setattr(host.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(host.util, "errorDisplay", lambda text, **o: world.errors.append(text))
    world.ensure_installed = installation.ensure_installed
    world.missing_packages = installation.missing_packages
    return world


def test_nothing_is_asked_where_nothing_is_missing(installation):
    assert installation.ensure_installed()
    assert not installation.asked


def test_one_question_says_what_how_large_and_where(installation):
    installation.missing = {"torch", "safetensors"}
    assert installation.ensure_installed()
    (question,) = installation.asked
    assert "torch, safetensors" in question
    assert "GB" in question
    assert "site-packages" in question
    assert len(installation.torch) == len(installation.pip) == 1
    assert installation.torch[0]["torchVersionRequirement"].startswith(">=")
    assert installation.pip[0][1]["requester"] == "TumorSeg"


def test_what_only_retraining_needs_is_asked_for_by_retraining(installation):
    installation.missing = {"lightning", "monai"}
    assert installation.ensure_installed()
    assert not installation.asked
    installation.ensure_installed(training=True)
    (question,) = installation.asked
    assert question.startswith("To retrain, TumorSeg needs lightning, monai")
    assert len(installation.pip) == 2


def test_torch_never_comes_through_pip(installation):
    installation.missing = {"torch"}
    assert installation.ensure_installed()
    assert installation.torch
    assert not installation.pip


def test_no_is_an_answer(installation):
    installation.missing, installation.answer = {"torch"}, False
    assert not installation.ensure_installed()
    assert not installation.torch


def test_without_the_extension_a_line_says_what_to_do(installation, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    installation.missing = {"torch"}
    assert not installation.ensure_installed()
    assert "Extensions Manager" in installation.errors[0]


def test_requirements_are_ranges_and_without_torch(host):  # noqa: F811
    from TumorSegModule.installation import REQUIREMENTS, TRAINING_REQUIREMENTS

    lines = [*REQUIREMENTS.read_text().split(), *TRAINING_REQUIREMENTS.read_text().split()]
    assert all(">=" in line and "==" not in line for line in lines)
    assert not [line for line in lines if line.startswith("torch")]
