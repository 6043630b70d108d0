"""`tumorseg cohort` from its inputs to its page, on Ray's workers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bright_models import write_ct_model, write_model
from made_up_patient import betrayed, write_patient
from needed_packages import needs
from synthetic_data import ball_case
from waiting import wait_until

from TumorSegLib import cli
from TumorSegLib.cohort.case_folder import sha256_of
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk

pytestmark = [pytest.mark.slow, needs("ray", "pyarrow")]

SHAPE = (6, 48, 48)
GRID = Grid(SHAPE, (4.0, 4.0, 6.0), (-10.0, 20.0, 5.0))
BAD = {
    "bad_text": "not a NIfTI file",
    "bad_cut": "",
    "bad_flat": "every voxel is 7",
    "bad_unknown": "says neither CT nor MRI",
    "bad_segmentation": "a segmentation made by 3D Slicer",
}
GOOD = ("a", "b", "c", "deep_d", "P1")


def write_ball(path, seed, *, add=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels, _ = ball_case(seed, SHAPE)
    sitk.WriteImage(to_sitk(voxels + np.int16(add), GRID), str(path))


def write_inputs(folder):
    """Write good cases in several forms, and bad ones of each kind."""
    for seed, name in enumerate(("a.nii.gz", "b.nrrd", "c.mha", "deep/d.nii")):
        write_ball(folder / name, seed)
    for seed, name in enumerate(("flair", "t1", "t1c")):
        write_ball(folder / "P1" / f"{name}.nii.gz", seed, add=1000)
    (folder / "bad_text.nii.gz").write_text("no image")
    whole = (folder / "b.nrrd").read_bytes()
    (folder / "bad_cut.nrrd").write_bytes(whole[: len(whole) // 2])
    flat = np.full(SHAPE, 7, np.int16)
    sitk.WriteImage(to_sitk(flat, GRID), str(folder / "bad_flat.nii.gz"))
    write_ball(folder / "bad_unknown.nii.gz", 9, add=1000)
    image = to_sitk(np.ones(SHAPE, np.uint8), GRID)
    image.SetMetaData("Segment0_ID", "1")
    image.SetMetaData("Segment0_Name", "x")
    sitk.WriteImage(image, str(folder / "bad_segmentation.nrrd"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with models and inputs, and the current one."""
    folder = tmp_path_factory.mktemp("cohort")
    write_ct_model(folder / "models", "tiny-ct", window=(-100, 250), default=True)
    write_model(folder / "models", "tiny-mr", default=True)
    write_inputs(folder / "in")
    for seed in range(2):
        write_patient(folder / "in" / f"Quendelbaum{seed}", seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUMORSEG_MODELS", str(folder / "models"))
        patch.setenv("XDG_DATA_HOME", str(folder / "home"))
        patch.setattr("TumorSegLib.model.catalogue.SHIPPED", folder / "none")
        patch.chdir(folder)
        yield folder


def run(*words):
    """Run a cohort; return its status and what --json prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = cli.main(["cohort", "in", "-o", "out", "--ending", ".nii.gz", "--json", *words])
    return status, json.loads(out.getvalue())


MORE = ["--report", *(["--dicom-seg", "--sr"] if find_spec("highdicom") else [])]


@pytest.fixture(scope="module")
def first(desk):
    """The status of a first run in that folder, and what it printed."""
    return run("--workers", "2", *MORE)


def places(folder):
    """What is the same for a case's folder as long as nobody writes it anew."""
    return {path.name: path.stat().st_ino for path in (folder / "out" / "cases").iterdir()}


def test_every_good_case_is_whole_and_every_bad_one_is_named(desk, first):
    status, said = first
    assert status == 2
    names = set(said["segmented"])
    hidden = {name for name in names if name.startswith("case_")}
    assert names - hidden == set(GOOD)
    assert len(hidden) == 1  # both series are of one study
    reasons = {one["case"]: one["reason"] for one in said["failed"]}
    assert reasons.keys() == BAD.keys()
    for name, reason in BAD.items():
        assert reason in reasons[name]
        assert "unexpected" not in reasons[name]
        assert "\n" not in reasons[name]
    for name in names:
        files = {path.name for path in (desk / "out" / "cases" / name).iterdir()}
        wanted = {"segmentation.nii.gz", "result.json", "record.json", "thumbnail.png", "report"}
        if "--sr" in MORE and name in hidden:
            wanted |= {"segmentation.dcm", "measurements.dcm"}
        assert files == wanted
        record = json.loads((desk / "out" / "cases" / name / "record.json").read_text("utf-8"))
        written = desk / "out" / "cases" / name / "segmentation.nii.gz"
        assert record["segmentation"] == {"file": written.name, "sha256": sha256_of(written)}
    assert names == places(desk).keys()


@pytest.mark.usefixtures("first")
def test_label_maps_are_byte_for_byte_those_of_the_command(desk, tmp_path):
    inputs = {"a": "a.nii.gz", "b": "b.nrrd", "c": "c.mha", "deep_d": "deep/d.nii"}
    for name, path in inputs.items():
        out = tmp_path / f"{name}.nii.gz"
        assert cli.main(["segment", str(desk / "in" / path), "-o", str(out)]) == 0
        there = desk / "out" / "cases" / name / "segmentation.nii.gz"
        assert there.read_bytes() == out.read_bytes()
    out = tmp_path / "P1.nii.gz"
    words = ["segment", str(desk / "in" / "P1" / "flair.nii.gz"), "-o", str(out)]
    words += [f"--channel={name}={desk / 'in' / 'P1' / name}.nii.gz" for name in ("t1", "t1c")]
    assert cli.main(words) == 0
    there = desk / "out" / "cases" / "P1" / "segmentation.nii.gz"
    assert there.read_bytes() == out.read_bytes()
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out))).any()


@pytest.mark.usefixtures("first")
def test_tables_and_page_have_every_case_once(desk):
    from pyarrow import parquet

    rows = parquet.read_table(desk / "out" / "measurements.parquet").to_pylist()
    segments = {(row["case"], row["segment"]) for row in rows}
    assert len(segments) == len(rows)
    assert {row["case"] for row in rows if row["state"] == "failed"} == BAD.keys()
    assert {row["segment"] for row in rows if row["case"] == "a"} == {"Liver", "Liver tumour"}
    assert all(row["volume_ml"] is not None for row in rows if row["state"] == "done")
    lines = (desk / "out" / "measurements.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 1 + len(rows)
    page = (desk / "out" / "index.html").read_text("utf-8")
    assert page.count("<tr data-name=") == len({row["case"] for row in rows})


@pytest.mark.usefixtures("first")
def test_nothing_but_the_list_of_sources_and_dicom_tells_of_the_patient(desk):
    found = betrayed(desk / "out")
    assert list(found.pop("sources.csv")) != []
    assert {Path(name).suffix for name in found} <= {".dcm"}
    if os.name != "nt":
        assert (desk / "out" / "sources.csv").stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("first")
def test_again_only_what_is_missing_changed_or_asked_for_is_done(desk, tmp_path, monkeypatch):
    for name in ("in", "out"):
        shutil.copytree(desk / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    before = places(tmp_path)

    def refuse(*_):
        raise AssertionError("nothing is left to do")

    with monkeypatch.context() as patch:
        patch.setattr("TumorSegLib.cohort.ray_pool.connected", refuse)
        status, said = run(*MORE)
    assert (status, said["segmented"]) == (2, [])
    assert places(tmp_path) == before
    assert {one["case"] for one in said["failed"]} == BAD.keys()

    write_ball(tmp_path / "in" / "a.nii.gz", 33)
    write_ball(tmp_path / "in" / "bad_text.nii.gz", 34)
    status, said = run("--retry-failed", *MORE)
    assert set(said["segmented"]) == {"a", "bad_text"}
    after = places(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"a"}
    assert {one["case"] for one in said["failed"]} == BAD.keys() - {"bad_text"}


def command(desk, *words, **variables):
    """Start a cohort in a process of its own."""
    script = (
        "import sys; from pathlib import Path; import TumorSegLib.model.catalogue as catalogue;"
        "catalogue.SHIPPED = Path('none'); from TumorSegLib import cli; sys.exit(cli.main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script, "cohort", *words],
        cwd=desk,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


@pytest.fixture
def many(desk):
    """A folder with twelve cases of the same kind."""
    for seed in range(12):
        write_ball(desk / "many" / f"m{seed}.nii.gz", seed)
    return desk / "many"


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_was_ended_is_gone_on_with_and_nothing_is_repeated(desk, many, number):
    out = desk / f"out-{number.name}"
    cases = out / "cases"
    process = command(desk, "many", "-o", str(out))
    wait_until(lambda: process.poll() is not None or len(list(cases.glob("m*"))) >= 2)
    group = number != signal.SIGTERM  # which is sent to the command alone, Ctrl-C to all
    (os.killpg if group else os.kill)(process.pid, number)
    said = process.communicate()
    if number != signal.SIGKILL:
        assert process.returncode in (0, 130), said
        assert "Traceback" not in said[1]
        assert [path for path in cases.iterdir() if path.name.startswith(".")] == []
        assert (out / "index.html").exists()
    before = {path: path.stat().st_ino for path in cases.glob("m*")}
    assert len(before) >= 2
    process = command(desk, "many", "-o", str(out), "--json")
    output, error = process.communicate()
    assert process.returncode == 0, error
    said = json.loads(output)  # workers of a killed run may have finished what they had in hand
    assert len(said["segmented"]) + len(said["unchanged"]) == 12
    assert {path.name for path in before} <= set(said["unchanged"])
    assert len(list(cases.iterdir())) == 12
    for path, number_of_folder in before.items():
        assert path.stat().st_ino == number_of_folder


CRASH = """
import os, signal, sys

def _watch(event, arguments):
    if event == "open" and "poison" in str(arguments[0]) and "default_worker" in sys.orig_argv[1]:
        with open(os.environ["POISON_LOG"], "a") as log:
            log.write(f"{os.getpid()}\\n")
        os.kill(os.getpid(), signal.SIGKILL)

if len(sys.orig_argv) > 1:
    sys.addaudithook(_watch)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_a_case_that_ends_its_process_is_tried_twice_and_named(desk, many, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    write_ball(many / "m5-poison.nii.gz", 5)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    log = tmp_path / "log"
    process = command(
        desk,
        *("many", "-o", "out-crash", "--json", "--workers", "1", "--threads", "2"),
        PYTHONPATH=path,
        POISON_LOG=str(log),
    )
    output, error = process.communicate()
    (many / "m5-poison.nii.gz").unlink()
    assert process.returncode == 2, error
    said = json.loads(output)
    assert len(said["segmented"]) == 12
    (failed,) = said["failed"]
    assert failed["case"] == "m5-poison"
    assert "ended twice" in failed["reason"]
    assert len(set(log.read_text().split())) == 2
    assert len(error.splitlines()) == 1


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks into /proc")
def test_a_cohort_of_its_own_is_reached_from_this_computer_alone(desk, many):
    process = command(desk, "many", "-o", "out-sockets", "--json")
    cases = desk / "out-sockets" / "cases"
    wait_until(lambda: process.poll() is not None or any(cases.glob("m*")))
    seen = listening(process.pid)
    process.communicate()
    assert seen, "Ray listens somewhere"
    assert {address for address in seen if not address.startswith(("127.", "::1"))} == set()


def listening(process):
    """The addresses at which a process and those below it listen."""
    inodes = set()
    for one in family(process):
        for descriptor in Path(f"/proc/{one}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.add(address_of(words[1].partition(":")[0]))
    return found


def address_of(text):
    raw = bytes.fromhex(text)
    parts = [raw[index : index + 4][::-1] for index in range(0, len(raw), 4)]
    import ipaddress

    address = ipaddress.ip_address(b"".join(parts))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def family(process):
    """A process and all that it started."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text()
            parent = int(text.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = [], [process]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found
