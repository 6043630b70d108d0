"""`tumorseg segment --server`, and `tumorseg serve` as a process with workers on Ray."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from bright_models import write_ct_model
from made_up_patient import WORDS, betrayed, write_patient
from needed_packages import needs
from server_bench import MODEL, serving
from test_cohort import write_ball
from waiting import wait_until

from TumorSegLib import cli

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.slow, needs("ray", "fastapi", "uvicorn")]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a volume and a server that this user may use."""
    with serving(tmp_path, monkeypatch) as bench:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("TUMORSEG_TOKEN", bench.place.token)
        write_ball(tmp_path / "ct.nii.gz", 0)
        yield bench


def segment(*words):
    return cli.main(["segment", "ct.nii.gz", "--model", MODEL, *words])


def test_a_servers_result_is_the_commands_own_byte_for_byte(desk, capsys):
    assert segment("-o", "here.nii.gz", "--json") == 0
    here = json.loads(capsys.readouterr().out)
    assert segment("-o", "there.nii.gz", "--json", "--server", desk.place.url) == 0
    there = json.loads(capsys.readouterr().out)
    assert Path("here.nii.gz").read_bytes() == Path("there.nii.gz").read_bytes()
    assert sitk.GetArrayFromImage(sitk.ReadImage("there.nii.gz")).any()
    for varying in ("seconds", "output", "outputs", "written"):
        here.pop(varying, None), there.pop(varying, None)
    assert there == here


def test_the_wait_is_shown(desk, capfd):
    assert segment("-o", "out.nii.gz", "--server", desk.place.url) == 0
    assert "wrote out.nii.gz" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--server", "https://gpu.invalid"], "is away"),
        (["--server", "http://127.0.0.1:9"], "is away"),
        (["--server", "http://gpu.hospital.org"], "in the clear"),
        (["--token-file", "x"], "--token-file: has no effect without --server"),
        (["--server", "http://127.0.0.1:9", "--device", "cpu"], "--device: is the server's choice"),
        (["--server", "http://127.0.0.1:9", "--token-file", "x"], "no token for the server"),
    ],
)
def test_what_keeps_a_server_from_being_used_is_one_line(desk, capsys, words, why):
    assert segment("-o", "out.nii.gz", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert ("leave out --server to run here" in line) == ("is away" in line)
    assert not Path("out.nii.gz").exists()


def test_a_server_that_is_none_of_ours_or_too_old_is_one_line(desk, capsys, monkeypatch):
    assert segment("--server", f"{desk.place.url}/elsewhere") == 2
    assert "is no TumorSeg server, or one that is too old" in capsys.readouterr().err
    for number, age in ((0, "too old"), (2, "too new")):
        monkeypatch.setattr("TumorSegLib.server.app.FORMAT", number)
        assert segment("--server", desk.place.url) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"is {age} for this TumorSeg (version " in line
        assert line.endswith("leave out --server to run here")


def test_a_token_never_stands_on_the_command_line(capsys):
    with pytest.raises(SystemExit):
        cli.main(["segment", "--help"])
    assert "--token-file" in (said := capsys.readouterr().out)
    assert "--token " not in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--host", "0.0.0.0"], "would travel in the clear"),
        (["--key", "key.pem"], "is of no use without its certificate"),
        (["--certificate", "none.pem"], "--certificate none.pem: cannot be used"),
        (["--days", "3"], "--days: has no effect without --add-token"),
        (["--host", "no.such.host.invalid", "--in-the-clear"], "--host no.such.host.invalid"),
    ],
)
def test_a_server_that_cannot_be_or_must_not_be_is_one_line(
    tmp_path, monkeypatch, capsys, words, why
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", "--tokens", "tokens.json", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line


class Served:
    """`tumorseg serve` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {
            **os.environ,
            "PYTHONPATH": path,
            "TUMORSEG_MODELS": str(folder / "models"),
            "XDG_DATA_HOME": str(folder / "home"),
        }
        self.environment["TUMORSEG_TOKEN"] = self.command("serve", "--add-token", "ward").strip()
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "TumorSegLib.cli", "serve", "--port", "0", "--replicas", "2"],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline()
        self.url = line.strip().rpartition(" ")[2]
        assert self.url, (folder / "log").read_text()

    def command(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "TumorSegLib.cli", *words],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "TumorSegLib.cli", *words, "--server", self.url],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def replicas(self) -> dict[int, str]:
        """Processes that segment, with what they do: "ray::Replica" or "ray::Replica.run"."""
        titles = {pid: _title(pid) for pid in _descendants(self.process.pid)}
        return {pid: title for pid, title in titles.items() if title.startswith("ray::Replica")}

    def close(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        return status


def _title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _descendants(pid: int) -> list[int]:
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            parents[int(status.parent.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write_ct_model(folder / "models", MODEL, window=(-100, 250), default=True)
    write_ct_model(folder / "models", "slow-ct", window=(-100, 250), width=64, depth=4)
    write_ball(folder / "ct.nii.gz", 0)
    write_patient(folder / "scans" / "scan", 0)
    served = Served(folder)
    yield served
    if served.process.poll() is None:
        served.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_killed_process_costs_a_retry_and_not_the_case(served):
    words = ["segment", "ct.nii.gz", "--model", "slow-ct", "--json"]
    assert served.begin(*words, "-o", "first.nii.gz").wait() == 0
    (replica,) = served.replicas()
    run = served.begin(*words, "-o", "second.nii.gz")
    wait_until(lambda: ".run" in _title(replica) or run.poll() is not None)
    os.kill(replica, signal.SIGKILL)
    output, _ = run.communicate()
    assert run.returncode == 0, output
    first, second = (served.folder / f"{name}.nii.gz" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert replica not in served.replicas()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_orders_at_the_same_time_get_processes_of_their_own(served):
    names = [f"at-once-{number}.nii.gz" for number in range(4)]
    runs = [
        served.begin("segment", "ct.nii.gz", "--model", "slow-ct", "--quiet", "-o", name)
        for name in names
    ]
    wait_until(lambda: len(served.replicas()) == 2 or all(run.poll() is not None for run in runs))
    assert [(run.wait(), run.communicate()[0]) for run in runs] == [(0, "")] * 4
    assert len({(served.folder / name).read_bytes() for name in names}) == 1
    assert len(served.replicas()) == 2


def _ray_folders() -> list[Path]:
    return [
        *Path("/tmp").glob("tumorseg-ray-*"),
        *Path(os.environ["TMPDIR"]).glob("tumorseg-ray-*"),
    ]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_no_word_of_a_patient_is_on_the_server_and_all_of_it_goes_at_its_end(served):
    words = ["segment", "scans/scan", "--model", MODEL, "--quiet", "-o", "patient.nii.gz"]
    run = served.begin(*words)
    assert run.communicate()[0] == ""
    (rays,) = [path for path in _ray_folders() if f"-{served.process.pid}-" in path.name]
    assert any(path.is_file() for path in rays.rglob("*"))
    assert betrayed(rays) == {}
    assert served.close() == 0
    log = (served.folder / "log").read_text()
    assert "of ward: tiny-ct on" in log
    assert not [word for word in WORDS if word in log]
    assert served.environment["TUMORSEG_TOKEN"] not in log
    assert not rays.exists()
    for place in Path("/dev/shm").glob("tumorseg-*"):
        assert f"-{served.process.pid}-" not in place.name
