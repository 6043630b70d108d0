"""A cohort on a cluster of Ray of which a computer goes in the middle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bright_models import write_ct_model
from needed_packages import needs
from test_cohort import write_ball
from waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    needs("ray", "pyarrow"),
    pytest.mark.skipif(os.name == "nt", reason="Ray makes no clusters on Windows"),
]

CLUSTER = """
import os, sys

os.environ["TMPDIR"] = sys.argv[1]
os.mkdir(os.path.join(sys.argv[1], "ray"))  # where Ray writes the address down
from ray.cluster_utils import Cluster

head = {"num_cpus": 2, "include_dashboard": False, "temp_dir": sys.argv[1]}
cluster = Cluster(initialize_head=True, head_node_args=head)
other = cluster.add_node(num_cpus=2)
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(other, allow_graceful=False)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
ROOT = Path(__file__).resolve().parent.parent
GOOD = 24


@pytest.fixture
def environment(tmp_path):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    variables["TUMORSEG_MODELS"] = str(tmp_path / "models")
    return {name: value for name, value in variables.items() if not name.startswith("RAY_AUTH")}


@pytest.fixture
def cluster(environment):
    """The process that holds a cluster of two computers; `address` is the cluster's."""
    folder = Path(tempfile.mkdtemp(prefix="ts-", dir="/tmp"))  # Ray's sockets need a short path
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(folder)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while (line := process.stdout.readline()) and ":" not in line:
        pass
    process.address = line.strip().rpartition(" ")[2]
    yield process
    process.communicate("\n\n")
    shutil.rmtree(folder, ignore_errors=True)


def test_when_a_computer_goes_every_good_case_is_done_once_and_every_bad_one_named(
    tmp_path, cluster, environment
):
    assert cluster.address, "the cluster does not start"
    write_ct_model(tmp_path / "models", "tiny-ct", window=(-100, 250), default=True)
    for seed in range(GOOD):
        write_ball(tmp_path / "in" / f"m{seed:02}.nii.gz", seed)
    for number in range(3):
        (tmp_path / "in" / f"bad{number}.nii.gz").write_text("no image")
    words = ["cohort", "in", "-o", "out", "--json", "--model", "tiny-ct", "--ending", ".nii.gz"]
    run = subprocess.Popen(
        [sys.executable, "-m", "TumorSegLib.cli", *words, "--address", cluster.address],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    cases = tmp_path / "out" / "cases"
    wait_until(lambda: run.poll() is not None or len(list(cases.glob("m*"))) >= 4)
    before = {path: path.stat().st_ino for path in cases.glob("m*")}
    assert run.poll() is None, run.communicate()
    cluster.stdin.write("\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline().strip() == "removed"
    output, error = run.communicate()
    assert run.returncode == 2, error
    said = json.loads(output)
    assert sorted(said["segmented"]) == [f"m{seed:02}" for seed in range(GOOD)]
    assert sorted(one["case"] for one in said["failed"]) == ["bad0", "bad1", "bad2"]
    assert {path: path.stat().st_ino for path in before} == before
    for name in ("m00", "m23"):
        out = tmp_path / f"{name}.nii.gz"
        given = str(tmp_path / "in" / f"{name}.nii.gz")
        alone = ["segment", given, "--model", "tiny-ct", "-o", str(out), "--quiet"]
        subprocess.run(
            [sys.executable, "-m", "TumorSegLib.cli", *alone], env=environment, check=True
        )
        there = cases / name / "segmentation.nii.gz"
        assert there.read_bytes() == out.read_bytes()
