"""Evaluations and cross-validations shared out among workers on Ray."""

from __future__ import annotations

import json

import pytest
from bright_models import write_model
from needed_packages import needs
from synthetic_data import write_config, write_kaggle, write_nnunet

from TumorSegLib.cli import main

pytestmark = [pytest.mark.slow, needs("ray")]


def figures(folder, *words):
    """Evaluate; return what stands in the results, without how long it took."""
    output = folder / f"{len(words)}.json"
    line = ["evaluate", str(folder / "data"), "--layout", "kaggle_3m", "--device", "cpu"]
    assert main([*line, "--model", str(folder / "bright"), "-o", str(output), *words]) == 0
    return without_seconds(json.loads(output.read_text("utf-8")))


def without_seconds(content):
    if isinstance(content, dict):
        kept = {key: one for key, one in content.items() if not key.startswith("seconds")}
        return {key: without_seconds(one) for key, one in kept.items()}
    return [without_seconds(one) for one in content] if isinstance(content, list) else content


def test_workers_measure_what_one_process_does(tmp_path, capsys):
    write_kaggle(tmp_path / "data", 3)
    write_model(tmp_path, "bright")
    alone = figures(tmp_path)
    capsys.readouterr()
    shared = figures(tmp_path, "--workers", "2", "--threads", "1")
    assert shared == alone
    assert "3 of 3 cases measured" in capsys.readouterr().err


def test_a_case_that_cannot_be_read_is_left_out_by_workers_too(tmp_path, capsys):
    data = write_kaggle(tmp_path / "data", 3)
    write_model(tmp_path, "bright")
    picture = next(path for path in sorted(data.rglob("*.tif")) if "mask" not in path.name)
    picture.write_bytes(picture.read_bytes()[:200])
    figures(tmp_path, "--workers", "1")
    said = capsys.readouterr().err
    assert said.count("left out:") == 1
    assert "2 of" in said


def test_without_ray_it_is_said_before_anything_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("TumorSegLib.cohort.ray_cluster.find_spec", lambda _: None)
    words = ["evaluate", str(tmp_path / "none"), "--layout", "kaggle_3m", "--model", "none"]
    assert main([*words, "-o", str(tmp_path / "r.json"), "--workers", "2"]) == 2
    assert "sharing work out needs Ray" in capsys.readouterr().err


def test_folds_are_trained_by_workers(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    config = write_config(tmp_path, write_nnunet(tmp_path / "data", 6), epochs=1)
    line = ["train", str(config), "-o", str(tmp_path / "run"), "--accelerator", "cpu"]
    line += ["--set", "data.folds=2", "--cross-validate"]
    assert main([*line, "--workers", "2", "--threads", "1"]) == 0
    results = tmp_path / "run" / "cross-validation" / "evaluation.json"
    found = json.loads(results.read_text("utf-8"))["models"][0]["cases"]
    assert sorted(row["patient"] for row in found) == [f"BALL_{number:03d}" for number in range(6)]
    capsys.readouterr()
    assert main([*line, "--workers", "2", "--resume"]) == 0
    assert "is trained" not in capsys.readouterr().err


def test_only_folds_are_shared_out(tmp_path, capsys):
    config = write_config(tmp_path, write_nnunet(tmp_path / "data", 2), epochs=1)
    assert main(["train", str(config), "--workers", "2"]) == 2
    assert "need --cross-validate" in capsys.readouterr().err
