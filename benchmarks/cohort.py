"""A cohort of many small cases on a cluster that loses a computer, and two workers beside one.

    python benchmarks/cohort.py [--cases 200] [--write docs/scale.md]

The first part runs a cohort of mixed cases, ten of them bad, on two nodes of a Ray cluster on this
computer, one of which is killed in the middle, and runs the same line again. The second part
segments phantoms with a model that is shipped, by one worker of one thread and by two. If a
good case is missing or a bad one is not named, the status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

import SimpleITK as sitk  # noqa: E402
from bright_models import write_ct_model, write_model  # noqa: E402
from dicom_writing import write_slices  # noqa: E402
from synthetic_data import ball_case  # noqa: E402
from test_cohort import family, write_ball  # noqa: E402
from test_cohort_cluster import CLUSTER  # noqa: E402

from TumorSegLib.image.itk import to_sitk  # noqa: E402
from TumorSegLib.phantom import brain_phantom  # noqa: E402

BAD = 10
ENDINGS = (".nii.gz", ".nrrd", ".mha", ".nii")
SHIPPED_MODEL = "brain-lgg-linknet"
PHANTOM = (16, 192, 192)
PHANTOMS = 10
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")


@dataclass(frozen=True)
class Done:
    """A run of the command.

    Attributes:
        said: what --json printed.
        seconds: from the first case that was done to the last.
        all_seconds: of the command.
    """

    said: dict[str, list[object]]
    seconds: float
    all_seconds: float

    @property
    def an_hour(self) -> float:
        """Cases done in an hour, without the start."""
        return (len(self.said["segmented"]) - 1) / self.seconds * 3600 if self.seconds else 0.0


def main() -> int:
    """Run both parts; print or write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200, help="of the first part")
    parser.add_argument("--part", choices=("cluster", "workers"), help="one of the two alone")
    parser.add_argument("--write", type=Path, help="page in which the figures are replaced")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tumorseg-cohort-") as folder:
        lines, is_whole = [], True
        if arguments.part != "workers":
            lines, is_whole = on_a_cluster(Path(folder) / "many", arguments.cases)
        if arguments.part != "cluster":
            lines += side_by_side(Path(folder) / "phantoms")
    load = os.getloadavg()[0]
    lines.append(f"| load of the machine at the end ({os.cpu_count()} cores) | {load:.1f} |")
    table = "\n".join(["| | |", "|---|--:|", *lines])
    print(table)
    if arguments.write is not None:
        replace_between(arguments.write, MARKS, table)
    return 0 if is_whole else 1


def replace_between(page: Path, marks: tuple[str, str], table: str) -> None:
    """Replace what stands between two marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(marks[0])
    after = rest.partition(marks[1])[2]
    page.write_text(f"{before}{marks[0]}\n{table}\n{marks[1]}{after}", "utf-8")


def on_a_cluster(folder: Path, count: int) -> tuple[list[str], bool]:
    """Run mixed cases on two nodes, one of which is killed; then again."""
    write_ct_model(folder / "models", "tiny-ct", window=(-100, 250), default=True)
    write_model(folder / "models", "tiny-mr", default=True)
    good = count - BAD
    write_mixed(folder / "in", good)
    environment = variables(folder)
    with tempfile.TemporaryDirectory(prefix="ts-", dir="/tmp") as own:
        cluster = subprocess.Popen(
            [sys.executable, "-c", CLUSTER, own],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        cases = folder / "out" / "cases"
        began = time.perf_counter()
        run = start(folder, environment, "--address", address)
        while run.poll() is None and len(list(cases.glob("[a-z]*"))) < good // 2:
            time.sleep(0.1)
        assert run.poll() is None, run.communicate()
        cluster.stdin.write("\n")
        cluster.stdin.flush()
        cluster.stdout.readline()
        done = finished(run, folder, began)
        before = inodes(cases)
        began = time.perf_counter()
        again = finished(start(folder, environment, "--address", address), folder, began)
        cluster.communicate("\n\n")
    is_whole = len(done.said["segmented"]) == good and len(done.said["failed"]) == BAD
    is_whole = is_whole and inodes(cases) == before and not again.said["segmented"]
    return [
        f"| mixed small cases, of which bad | {count}, {BAD} |",
        f"| good cases done once, one of two nodes killed after {good // 2} |"
        f" {len(done.said['segmented'])} |",
        f"| bad cases named | {len(done.said['failed'])} |",
        f"| seconds, the start included | {done.all_seconds:.0f} |",
        f"| cases repeated by a second run | {len(again.said['segmented'])} |",
        f"| seconds of a second run | {again.all_seconds:.1f} |",
    ], is_whole


def write_mixed(folder: Path, good: int) -> None:
    """Write cases as files of four formats and as DICOM, and ten bad ones."""
    for seed in range(good):
        if seed % 5 < 4:
            write_ball(folder / f"f{seed % 7}" / f"c{seed:03}{ENDINGS[seed % 5]}", seed)
            continue
        image, _ = ball_case(seed, (6, 48, 48))
        where = [(0.0, 0.0, 6.0 * index) for index in range(len(image))]
        uid = f"1.2.9.{seed}"
        write_slices(
            folder / "dicom" / str(seed),
            list(image),
            where,
            series=f"{uid}.1",
            spacing=(4.0, 4.0),
            StudyInstanceUID=uid,
        )
    for number in range(BAD):
        whole = folder / "f0" / f"bad{number}.nii.gz"
        write_ball(whole, number)
        whole.write_bytes(whole.read_bytes()[: 100 * (number + 1)])


def side_by_side(folder: Path) -> list[str]:
    """Segment phantoms by one worker of one thread, and by two."""
    for number in range(PHANTOMS):
        volumes, _ = brain_phantom(number, shape=PHANTOM, spacing=(1.2, 1.2, 7.0))
        for name, volume in volumes.items():
            path = folder / "in" / f"p{number:02}" / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(to_sitk(volume.voxels, volume.grid), str(path))
    environment = variables(folder)
    rates, costs = [], []
    for workers in (1, 2):
        words = ["--workers", str(workers), "--threads", "1", "--model", SHIPPED_MODEL]
        began = time.perf_counter()
        run = start(folder, environment, *words, out=f"out{workers}")
        costs.append(processor_seconds(run, folder / f"out{workers}" / "cases"))
        done = finished(run, folder, began, out=f"out{workers}")
        assert len(done.said["segmented"]) == PHANTOMS, done.said
        rates.append(done.an_hour)
    slices = " x ".join(map(str, PHANTOM))
    return [
        f"| phantoms of {slices}, three sequences, {SHIPPED_MODEL}: cases an hour by one worker"
        f" of one thread | {rates[0]:,.0f} |",
        f"| by two workers of one thread | {rates[1]:,.0f} |",
        f"| times as many, by the clock | {rates[1] / rates[0]:.2f} |",
        f"| processor seconds a case, one worker; two | {costs[0]:.2f}; {costs[1]:.2f} |",
        f"| times as many, if both have a core to themselves | {2 * costs[0] / costs[1]:.2f} |",
    ]


def processor_seconds(run: subprocess.Popen[str], cases: Path) -> float:
    """Return what a case takes of the workers' processor time, which other programs do not change.

    Counted from the fourth case on, when all workers are up.
    """
    first = last = (0, 0.0)
    while run.poll() is None:
        seconds = 0.0
        for pid in family(run.pid):
            with contextlib.suppress(OSError):
                if b"ray::_Actor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    seconds += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        count = len(list(cases.glob("*/record.json")))
        if seconds and count >= 4:
            first = first if first[0] else (count, seconds)
            last = (count, seconds) if count > last[0] else last
        time.sleep(0.05)
    return (last[1] - first[1]) / max(1, last[0] - first[0])


def variables(folder: Path) -> dict[str, str]:
    """Return the environment of runs with models of their own."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "XDG_DATA_HOME": str(folder / "home")}
    more = {"TUMORSEG_MODELS": str(folder / "models"), "RAY_USAGE_STATS_ENABLED": "0"}
    more["RAY_worker_niceness"] = "0"  # other programs would take turns before them
    return {**os.environ, **own, **more}


def start(
    folder: Path, environment: dict[str, str], *words: str, out: str = "out"
) -> subprocess.Popen[str]:
    """Start a cohort."""
    if "--model" not in words:
        words = (*words, "--model", "tiny-ct")
    return subprocess.Popen(
        [sys.executable, "-m", "TumorSegLib.cli", "cohort", "in", "-o", out, "--json", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(run: subprocess.Popen[str], folder: Path, began: float, out: str = "out") -> Done:
    """Wait for a run."""
    output, error = run.communicate()
    assert output, error
    took = time.perf_counter() - began
    times = [path.stat().st_mtime for path in (folder / out / "cases").glob("*/record.json")]
    return Done(json.loads(output), max(times) - min(times), took)


def inodes(cases: Path) -> dict[str, int]:
    """What is the same for a case's folder as long as nobody writes it anew."""
    return {path.name: path.stat().st_ino for path in cases.iterdir()}


if __name__ == "__main__":
    sys.exit(main())
