"""One model that cannot be used keeps no other one, and no command, from working."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_models import brain_specification, write_tiny_bundle

from TumorSegLib.cli import main
from TumorSegLib.errors import ModelError
from TumorSegLib.model.bundle import load_network, read_bundle
from TumorSegLib.model.catalogue import Catalogue

DEEP = 100_000


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The user's folder, with a sound model and a folder for a broken one."""
    folder = tmp_path / "models"
    write_tiny_bundle(folder, brain_specification())
    (folder / "broken").mkdir()
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder))
    return folder


def sound(models):
    return json.loads((models / "tiny-brain" / "model.json").read_text()) | {"id": "broken"}


def changed(**changes):
    return lambda models: json.dumps(sound(models) | changes)


BROKEN = {
    "deep lists": lambda _: "[" * DEEP + "]" * DEEP,
    "deep mappings": lambda _: '{"training":' * DEEP + "1" + "}" * DEEP,
    "deep provenance": lambda models: json.dumps(sound(models)).replace(
        '"further": {}', '"further": {"a": ' + "[" * 500 + "]" * 500 + "}"
    ),
    "many digits": lambda models: json.dumps(sound(models)).replace(
        '"smoothing": 0.0', '"smoothing": ' + "9" * 5000
    ),
    "large number": lambda models: json.dumps(sound(models)).replace(
        '"smoothing": 0.0', '"smoothing": ' + "9" * 4000
    ),
    "no mapping": lambda _: "[1, 2]",
    "no text": lambda _: b"\xff\xfe\x00",
    "kind is a list": changed(postprocessing=[{"kind": ["keep_largest"], "label": 1}]),
    "labels are a number": changed(labels=3),
    "network is a text": changed(network="U-Net"),
    "member elsewhere": changed(network=None, weights=None, members=["../../elsewhere"]),
    "id elsewhere": changed(id="../../elsewhere"),
    "empty": lambda _: "",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_one_warning(models, tmp_path, monkeypatch, capsys, kind):
    content = BROKEN[kind](models)
    path = models / "broken" / "model.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (line,) = Catalogue.of([models]).broken
    assert line.startswith(str(path))
    assert len(line) < 1000
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["broken"] == [line]
    voxels = np.random.default_rng(0).integers(0, 900, (3, 32, 32)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "head.nrrd"))
    monkeypatch.chdir(tmp_path)
    assert main(["segment", "head.nrrd", "--model", "tiny-brain", "--device", "cpu"]) == 0
    said = capsys.readouterr().err
    assert said.count("unusable model:") == 1
    assert "Traceback" not in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_not_read(models, name, target):
    path = models / "tiny-brain" / name
    path.unlink()
    os.mkfifo(models / "pipe")
    path.symlink_to(models / "pipe" if target == "pipe" else target)
    with pytest.raises(ModelError, match=f"{name}: is no file, expected a model's"):
        load_network(read_bundle(models / "tiny-brain"))


def test_a_package_that_is_missing_is_one_line(models, monkeypatch, capsys):
    def missing(_):
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    monkeypatch.setattr("TumorSegLib.commands.models.run", missing)
    assert main(["models"]) == 2
    said = capsys.readouterr().err
    assert "the package torch is not installed; install it with:" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator:"
            " can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("could not create a primitive"),  # oneDNN, under `ulimit -v 1200000`
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),  # 800000
    ],
)
def test_memory_that_torch_lacks_is_one_line(models, monkeypatch, capsys, error):
    def full(_):
        raise error

    monkeypatch.setattr("TumorSegLib.commands.models.run", full)
    assert main(["models"]) == 2
    assert "there is not enough memory" in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_of_models_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "models").write_text("a file")
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    assert main(["models"]) == 0
    assert "expected a folder of models, it is a file" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [".", "private"])
def test_a_model_that_only_another_user_may_read_is_told(tmp_path, monkeypatch, capsys, closed):
    (tmp_path / "private").mkdir()
    (tmp_path / ".under-way").mkdir()
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path))
    folder = tmp_path / closed
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != folder)
    assert main(["models"]) == 0
    said = capsys.readouterr().err
    assert f"{folder}: cannot be read by this user; have its owner allow it" in " ".join(
        said.split()
    )
    assert "under-way" not in said
    assert main(["doctor"]) == 2
    assert "cannot be read by this user" in capsys.readouterr().out
