"""Every command that a page shows is one that the command takes; those of the README are run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_models import brain_specification, ct_specification, write_tiny_bundle

from TumorSegLib import cli
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CARDS = sorted((ROOT / "Resources" / "Models").glob("*/README.md"))


def commands_of(page):
    """The words of every `tumorseg ...` line in a page's code blocks, without comments."""
    text = page.read_text("utf-8")
    fenced = "\n".join(re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    indented = "\n".join(re.findall(r"^ {4}(.*(?:\\\n.*)*)$", text, re.MULTILINE))
    lines = re.sub(r"\\\n\s*", " ", f"{fenced}\n{indented}").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("tumorseg ")]
    return [words[1:] for words in found]


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_understood(page):
    commands = cli.all_commands()
    for words in commands_of(page):
        words = words[: words.index(">")] if ">" in words else words
        words = [word for word in words if word != "..."]
        if "-h" in words or "--help" in words or "--version" in words:
            continue
        assert cli.command_parser(commands, commands).parse_args(words).command == words[0]


def test_commands_are_found():
    assert len(commands_of(ROOT / "README.md")) >= 3
    assert sum(len(commands_of(page)) for page in PAGES) > 30


RUN_ELSEWHERE = {"README.md", "library.md", "scripting.md"}
"""Pages whose Python is run as it stands: test_api.py, test_slicer_scripting.py."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_on_a_page_is_run_or_says_that_no_test_runs_it(page):
    before = re.findall(r"(.*?)^```python$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    if page.name not in RUN_ELSEWHERE:
        assert all("no test runs this" in text.rstrip().split("\n\n")[-1] for text in before)


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """A folder with what the README's commands read, and small models for both modalities."""
    pytest.importorskip("pydicom")
    from dicom_writing import write_slices

    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", tmp_path / "none")
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "models", brain_specification(default=True))
    write_tiny_bundle(tmp_path / "models", ct_specification(default=True))
    for name, volume in brain_phantom(shape=(6, 64, 64), spacing=(3.6, 3.6, 20.0))[0].items():
        sitk.WriteImage(to_sitk(volume.voxels, volume.grid), f"{name}.nii.gz")
    ct, _ = abdomen_phantom(shape=(8, 128, 128), spacing=(3.0, 3.0, 25.0))
    where = [(0.0, 0.0, 25.0 * index) for index in range(8)]
    write_slices(
        Path("dicom-folder"), ct.voxels.astype(np.int16), where, spacing=(3.0, 3.0), Modality="CT"
    )
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_stand(newcomer, capsys):
    for words in commands_of(ROOT / "README.md"):
        assert cli.main(words) == 0, capsys.readouterr().err
    assert {"tumour.seg.nrrd", "liver.nii.gz", "report"} <= {
        path.name for path in newcomer.iterdir()
    }
