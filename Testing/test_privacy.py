"""Nothing that tells of the patient is in anything that is written, and no network is used."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import test_worker
from bright_models import write_ct_model
from made_up_patient import ATTRIBUTES, NUMBER, ROOT_UID, WORDS, betrayed, told, write_patient
from PIL import Image, PngImagePlugin
from synthetic_data import CONFIG as BALLS
from test_export_training import TWO_LABELS
from test_worker import Peer, block, segment
from watched_process import removed, sockets, watching

from TumorSegLib.export.identity import export_key, key_file
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.worker.protocol import Done, Failed
from TumorSegLib.worker.shared_memory import SharedBlock

ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".mrb")

ASKED_FOR = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientComments"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "AdditionalPatientHistory"),
    "FrameOfReferenceUID",
)
"""Attributes of DICOM's modules on the patient and the study, which all images of a study share."""

CONFIG = (
    BALLS.replace('"ball"', '"liver"')
    .replace("out_channels = 1", "out_channels = 2")
    .replace('name = "Ball"', 'name = "Liver"\nincludes = [2]')
    .replace("[data]\n", TWO_LABELS.replace('"Core"', '"Liver tumour"').lstrip())
    .format(data="Dataset501_l", cache="cache", epochs=1)
)

SCRIPT = """
import json, sys
from TumorSegLib.cli import main
for words in json.loads(sys.argv[1]):
    print(f"$ {words[0]}", flush=True)
    if main(words) != 0:
        sys.exit(1)
"""


class Desk:
    """A folder in which a user works, watched.

    Attributes:
        folder: with `home`, `tmp` and everything that is written.
        scans: DICOM folders, the only place where the patient's words may be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.scans, self.watch = folder, folder / "scans", folder / "watch"
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        environment = watching(self.watch)
        for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            environment.pop(name, None)
        self.environment = environment | {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "TUMORSEG_MODELS": str(folder / "models"),
            "OMP_NUM_THREADS": "1",
        }
        self.said = b""

    def run(self, *commands: list[str]) -> None:
        """Do commands in one process; what it says is kept as a file, too."""
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(commands)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        with (self.folder / "said").open("ab") as file:
            file.write(done.stdout)

    @property
    def betrayed(self) -> dict[str, list[str]]:
        """What tells of the patient, but for the scans and what is DICOM again."""
        found = betrayed(self.folder, without=self.scans)
        found.pop("named.dcm", None)
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Results, exports and a data set of one patient's scans, as five patients."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    for seed in range(4):
        write_patient(desk.scans / f"scan{seed}", seed)
    write_ct_model(desk.folder / "models", "tiny-ct", window=(-100, 250))
    endings = [ending for ending in ENDINGS if ending != ".mrb" or _has_slicer()]
    segmenting = [
        ["segment", "scans/scan0", "--model", "tiny-ct", "-o", f"out{ending}", "--json"]
        for ending in endings
    ]
    segmenting[0] += ["--report", "report"]
    if find_spec("highdicom") is not None:
        segmenting.append(["segment", "scans/scan0", "--model", "tiny-ct", "-o", "named.dcm"])
    segmenting.append(["segment", "scans/scan1", "--model", "tiny-ct"])
    segmenting.append(["detect", "scans/scan0", "--model", "tiny-ct"])
    exporting = []
    for seed in range(4):
        out = f"case{seed}.seg.nrrd"
        segmenting.append(["segment", f"scans/scan{seed}", "--model", "tiny-ct", "-o", out])
        words = ["export", out, "--channel", f"ct=scans/scan{seed}", "--dataset", "Dataset501_l"]
        words += ["--model", "tiny-ct", "--patient", f"{NUMBER}{seed}", "--reviewed"]
        exporting.append(words)
    if ".mrb" in endings:
        words = [
            "export",
            "out.mrb",
            "--dataset",
            "Dataset501_l",
            "--model",
            "tiny-ct",
            "--reviewed",
        ]
        exporting.append([*words, "--replace", "--json"])
    desk.run(*segmenting, *exporting)
    return desk


def _copied(desk: Desk, folder: Path) -> Desk:
    """Return a desk in another folder with the same data set and model, the key included."""
    copy = Desk(folder)
    for name in ("Dataset501_l", "models", "home"):
        shutil.copytree(desk.folder / name, folder / name, dirs_exist_ok=True)
    return copy


def _has_slicer() -> bool:
    try:
        import slicer  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.slow
def test_the_scans_tell_of_the_patient(desk: Desk) -> None:
    for path in (desk.scans / "scan0").iterdir():
        assert not set(WORDS[:-3]) - set(told(path.read_bytes()))
    assert len(WORDS) >= 32


@pytest.mark.slow
def test_no_result_report_or_export_tells_of_the_patient(desk: Desk) -> None:
    written = {path.name for path in desk.folder.rglob("*") if path.is_file()}
    assert {"out.seg.nrrd", "out.nii.gz", "out.mha", "report.png", "dataset.json"} <= written
    assert len(list((desk.folder / "Dataset501_l" / "labelsTr").iterdir())) == 4
    assert any(removed(desk.watch).iterdir()), "nothing temporary was seen"
    assert desk.betrayed == {}


@pytest.mark.slow
def test_a_dicom_result_tells_what_its_standard_asks_for_and_no_more(desk: Desk) -> None:
    pytest.importorskip("highdicom")
    found = told((desk.folder / "named.dcm").read_bytes())
    assert {NUMBER, "Quendelbaum", ROOT_UID} <= set(found)
    asked = re.split(r"[\^ ]", " ".join(ATTRIBUTES[name] for name in ASKED_FOR))
    assert set(found) - set(asked) == {ROOT_UID}


@pytest.mark.slow
def test_segmenting_and_exporting_open_no_socket(desk: Desk) -> None:
    assert sockets(desk.watch) == []


@pytest.mark.slow
def test_no_evaluation_training_or_retraining_tells_of_the_patient(
    desk: Desk, tmp_path: Path
) -> None:
    desk = _copied(desk, tmp_path)
    (desk.folder / "train.toml").write_text(CONFIG)
    evaluating = ["evaluate", "Dataset501_l", "--layout", "nnunet", "--model", "tiny-ct"]
    retraining = ["retrain", "Dataset501_l", "--base", "tiny-ct", "--epochs", "1"]
    desk.run(
        [*evaluating, "-o", "results.json"],
        ["train", "train.toml", "-o", "run", "--accelerator", "cpu"],
        [*retraining, "-o", "again", "--accelerator", "cpu"],
    )
    assert (desk.folder / "run" / "liver" / "README.md").exists()
    assert (desk.folder / "again" / "comparison.html").exists()
    assert desk.betrayed == {}
    assert sockets(desk.watch) == []


@pytest.mark.slow
def test_a_model_does_not_record_names_that_users_gave_their_files(
    desk: Desk, tmp_path: Path
) -> None:
    desk = _copied(desk, tmp_path)
    data = desk.folder / "Dataset501_l"
    shutil.rmtree(data / "cases")
    content = json.loads((data / "dataset.json").read_text())
    for number, case in enumerate(sorted(content["dataset"])):
        for path in (*data.glob(f"*/{case}.nii.gz"), *data.glob(f"*/{case}_0000.nii.gz")):
            path.rename(path.with_name(path.name.replace(case, f"Quendelbaum_{number}")))
    del content["dataset"]
    (data / "dataset.json").write_text(json.dumps(content))
    (desk.folder / "train.toml").write_text(CONFIG)
    desk.run(["train", "train.toml", "-o", "run", "--accelerator", "cpu"])
    model = json.loads((desk.folder / "run" / "liver" / "model.json").read_text())
    assert sum(map(len, model["provenance"]["split"].values())) == 4
    assert betrayed(desk.folder / "run" / "liver") == {}


@pytest.mark.slow
def test_the_worker_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in watching(tmp_path / "watch").items():
        monkeypatch.setenv(name, value)
    peer = Peer()
    try:
        segment(peer, test_worker.write_model(tmp_path, "tiny"), block())
        assert isinstance(peer.until(Done, Failed)[-1], Done)
    finally:
        os.killpg(peer.process.pid, signal.SIGKILL)
        peer.process.communicate()
    assert sockets(tmp_path / "watch") == []


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
def test_what_is_temporary_or_secret_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    export_key()
    places = [key_file()]
    with atomic_write(tmp_path / "out.nrrd") as new:
        new.touch()
        places.append(new.parent)
        modes = [place.stat().st_mode & 0o077 for place in places]
    block = SharedBlock.create(10)
    try:
        if (path := Path("/dev/shm", block.name)).exists():
            modes.append(path.stat().st_mode & 0o077)
    finally:
        block.unlink()
    assert not any(modes)


def test_a_watched_process_is_seen_to_open_a_socket_and_to_remove_a_file(tmp_path: Path) -> None:
    script = "import os, socket; socket.socket().close(); open('a', 'w').write('b'); os.remove('a')"
    environment = watching(tmp_path / "watch")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert any(line.startswith("socket.__new__") for line in sockets(tmp_path / "watch"))
    assert [path.read_text() for path in removed(tmp_path / "watch").iterdir()] == ["b"]


def _planted(path: Path, word: str) -> None:
    """Hide a word in a file as its format may hide it."""
    text = f"name: {word}, {'never lived ' * 50}".encode()
    if path.suffix == ".nrrd":
        path.write_bytes(b"NRRD0005\nencoding: gzip\n\n" + gzip.compress(text))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".mrb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/b.nii.gz", gzip.compress(text))
    elif path.suffix == ".png":
        note = PngImagePlugin.PngInfo()
        note.add_text("Comment", word, zip=True)
        Image.new("L", (4, 4)).save(path, pnginfo=note)
    elif path.suffix == ".mha":
        image = sitk.GetImageFromArray(np.frombuffer(text, np.uint8)[None, None])
        sitk.WriteImage(image, str(path), useCompression=True)
    else:
        path.write_bytes(word.upper().encode("utf-16-le"))


@pytest.mark.parametrize("ending", [".nrrd", ".gz", ".mrb", ".png", ".mha", ".json"])
def test_words_are_found_wherever_they_hide(tmp_path: Path, ending: str) -> None:
    word = "Quendelbaum"
    _planted(tmp_path / f"file{ending}", word)
    if ending != ".json":
        assert word.encode() not in (tmp_path / f"file{ending}").read_bytes()
    assert betrayed(tmp_path) == {f"file{ending}": [word]}


def test_words_are_found_in_names(tmp_path: Path) -> None:
    (tmp_path / "ottokarius.txt").write_text("")
    assert betrayed(tmp_path) == {"ottokarius.txt": ["Ottokarius"]}
