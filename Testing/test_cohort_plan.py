"""What is left to do, and how results lie on disk."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from bright_models import write_ct_model, write_model

from TumorSegLib.cohort.case import Case, Refused, Source
from TumorSegLib.cohort.case_folder import FORMAT, RECORD, THUMBNAIL, Results, sha256_of
from TumorSegLib.cohort.lists import write_lists, write_sources
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.overview import Line, page_of
from TumorSegLib.cohort.plan import Plan, fingerprint_of, plan_cases
from TumorSegLib.cohort.ray_pool import share_of
from TumorSegLib.cohort.settings import Settings, WorkSharing
from TumorSegLib.cohort.table import COLUMNS, rows_of, write_tables
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.catalogue import Catalogue


@pytest.fixture
def models(tmp_path):
    write_ct_model(tmp_path / "models", "tiny-ct", default=True)
    return Models(Catalogue.of([tmp_path / "models"]))


@pytest.fixture
def case(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"voxels")
    return Case("a", {"": Source(path, files=(path,))})


def test_input_model_and_settings_decide_and_nothing_else(tmp_path, models, case):
    first = fingerprint_of(case, models, Settings())
    path = tmp_path / "a.nii.gz"
    times = path.stat()
    assert fingerprint_of(replace(case, name="b", chosen="why"), models, Settings()) == first
    for settings in (
        Settings(ending=".nii.gz"),
        Settings(report=True),
        Settings(options=RunOptions(precision="fp32")),
    ):
        assert fingerprint_of(case, models, settings) != first
    other = replace(case, sources={"flair": case.sources[""]})
    assert fingerprint_of(other, models, Settings()) != first
    path.write_bytes(b"others")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint_of(case, models, Settings()) == first  # same size, same time
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert fingerprint_of(case, models, Settings()) != first


def test_by_content_only_bytes_count(tmp_path, models, case):
    first = fingerprint_of(case, models, Settings(), by_content=True)
    path = tmp_path / "a.nii.gz"
    os.utime(path, ns=(1, 1))
    assert fingerprint_of(case, models, Settings(), by_content=True) == first
    path.write_bytes(b"others")
    os.utime(path, ns=(1, 1))
    assert fingerprint_of(case, models, Settings(), by_content=True) != first


def test_other_weights_are_another_model_and_so_is_another_default(tmp_path, models, case):
    first = fingerprint_of(case, models, Settings())
    write_ct_model(tmp_path / "other", "tiny-ct", default=True, width=6)
    others = Models(Catalogue.of([tmp_path / "other"]))
    assert fingerprint_of(case, others, Settings()) != first
    write_model(tmp_path / "models", "tiny-mr", default=True)
    both = Models(Catalogue.of([tmp_path / "models"]))
    assert fingerprint_of(case, both, Settings()) != first  # it might be MRI
    known = replace(case, modality="CT")
    assert fingerprint_of(known, both, Settings()) == fingerprint_of(known, models, Settings())


def done(results, name, fingerprint):
    with results.writing(name) as folder:
        text = f'{{"format": {FORMAT}, "case": "{name}", "fingerprint": "{fingerprint}"}}'
        (folder / RECORD).write_text(text)


def test_a_corrected_segmentation_is_not_replaced(tmp_path, models, case):
    results = Results(tmp_path / "out")
    for name in ("as written", "corrected"):
        with results.opened(), results.writing(name) as folder:
            segmentation = folder / "segmentation.nii"
            segmentation.write_bytes(b"drawn")
            written = {"file": segmentation.name, "sha256": sha256_of(segmentation)}
            record = {"format": FORMAT, "fingerprint": "old", "segmentation": written}
            (folder / RECORD).write_text(json.dumps(record))
    (results.of("corrected") / "segmentation.nii").write_bytes(b"drawn by hand")
    cases = [replace(case, name=name) for name in ("as written", "corrected")]
    plan = plan_cases(cases, results, models, Settings())
    assert [task.case.name for task in plan.tasks] == ["as written"]
    assert [one.name for one in plan.refused] == ["corrected"]
    assert "move its folder away" in plan.refused[0].reason


def test_what_was_there_stays_where_the_new_cannot_take_its_place(tmp_path, monkeypatch):
    results = Results(tmp_path / "out")
    with results.opened():
        done(results, "a", "old")
        rename = Path.rename

        def refused(path, target):
            if path.suffix == ".partial":
                raise PermissionError(13, "in use")
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", refused)
        with pytest.raises(OutputError, match="in use"):
            done(results, "a", "new")
    assert results.fingerprint("a") == "old"
    assert [path.name for path in results.cases.iterdir()] == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="processes are killed by signals")
def test_a_kill_while_a_case_is_replaced_leaves_the_old_one(tmp_path):
    results = Results(tmp_path / "out")
    with results.opened():
        done(results, "a", "old")
    process = os.fork()
    if process == 0:
        rename = Path.rename

        def killed(path, target):
            if path.suffix == ".partial":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(path, target)

        Path.rename = killed
        done(results, "a", "new")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert results.fingerprint("a") is None
    with results.opened():
        assert results.fingerprint("a") == "old"
    assert [path.name for path in results.cases.iterdir()] == ["a"]


def test_only_what_is_missing_changed_or_asked_for_is_planned(tmp_path, models, case):
    results = Results(tmp_path / "out")
    print_now = fingerprint_of(case, models, Settings())
    gone = replace(case, name="gone", sources={"": Source(tmp_path / "x", None, (tmp_path / "x",))})
    cases = [replace(case, name=name) for name in ("new", "done", "old", "failed", "other")]
    cases += [gone, Refused("none", "why")]
    with results.opened():
        done(results, "done", print_now)
        done(results, "old", "of another model")
        results.note_failure("failed", print_now, "why")
        results.note_failure("other", "of another input", "why")
        plan = plan_cases(cases, results, models, Settings())
        again = plan_cases(cases, results, models, Settings(), retry_failed=True)
    assert [task.case.name for task in plan.tasks] == ["new", "old", "other"]
    assert (plan.done, plan.failed) == (("done",), ("failed",))
    assert [one.name for one in plan.refused] == ["gone", "none"]
    assert [task.case.name for task in again.tasks] == ["new", "old", "failed", "other"]


def test_a_case_is_whole_or_absent(tmp_path):
    results = Results(tmp_path / "out")
    with results.opened():
        done(results, "a", "1")
        with pytest.raises(OutputError, match="cannot be written"), results.writing("a") as folder:
            (folder / "absent" / RECORD).write_text("half")
        assert results.fingerprint("a") == "1"
        done(results, "a", "2")
        assert results.fingerprint("a") == "2"
        assert [path.name for path in results.cases.iterdir()] == ["a"]


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    results = Results(tmp_path / "out")
    with results.opened():
        pass
    from TumorSegLib.support.leftovers import owner

    machine = owner().partition("-")[0]
    left = results.cases / f".a.{machine}-999999999-abc.partial"
    left.mkdir()
    with results.opened():
        assert list(results.cases.iterdir()) == []


def test_two_runs_do_not_work_in_one_folder(tmp_path):
    one, other = Results(tmp_path).opened(), Results(tmp_path).opened()
    with one, pytest.raises(OutputError, match="another run is at work there"):
        other.__enter__()


def test_a_failure_leaves_an_older_result_and_is_listed_until_that_is_wanted_again(tmp_path):
    pytest.importorskip("pyarrow")
    results = Results(tmp_path)
    with results.opened(), results.writing("a") as folder:
        content = record("a") | {"format": FORMAT, "fingerprint": "1"}
        (folder / RECORD).write_text(json.dumps(content))
        (folder / THUMBNAIL).touch()
    results.note_failure("a", "2", "is empty")
    assert (results.fingerprint("a"), results.failed_with("a")) == ("1", "2")
    assert write_lists(Plan((), (), ("a",), ()), results) == {"a": "is empty"}
    assert write_lists(Plan((), ("a",), (), ()), results) == {}
    results.note_done("a")
    assert results.failed_with("a") is None


def test_a_reason_that_is_no_unicode_is_listed(tmp_path):
    pytest.importorskip("pyarrow")
    results = Results(tmp_path)
    with results.opened():
        results.note_failure("a", "1", "M\udcfcller.nii.gz: is empty")
    assert write_lists(Plan((), (), ("a",), ()), results) == {"a": r"M\udcfcller.nii.gz: is empty"}


def record(name, **changes):
    segment = {"segment": "Liver", "label": 1, "is_lesion": False, "volume_ml": 12.5}
    values = {"case": name, "chosen": "", "model": "m", "model_version": "1", "warnings": []}
    return {**values, "uncertainty": 0.5, "correction_mm2": 3.0, "segments": [segment], **changes}


def test_no_name_or_reason_in_the_table_is_a_formula(tmp_path):
    pytest.importorskip("pyarrow")
    rows = rows_of([record("=cmd|'/C calc'!A0")], {"+bad": '=HYPERLINK("http://x")'})
    csv_path, parquet_path = write_tables(rows, tmp_path)
    text = csv_path.read_text("utf-8-sig")
    assert "'=cmd" in text
    assert "'+bad" in text
    assert "\"'=HYPERLINK" in text
    from pyarrow import parquet

    table = parquet.read_table(parquet_path)
    assert table.column_names == list(COLUMNS)
    assert table.column("case").to_pylist() == ["+bad", "=cmd|'/C calc'!A0"]
    assert table.column("volume_ml").to_pylist() == [None, 12.5]


def test_no_name_in_the_list_of_sources_is_a_formula(tmp_path):
    path = tmp_path / "=1+1.nii.gz"
    case = Case("=cmd|'_C calc'!A0", {"+t1": Source(path, "@SUM(A1)")})
    write_sources([case], Results(tmp_path))
    (row,) = csv.DictReader((tmp_path / "sources.csv").read_text("utf-8-sig").splitlines())
    assert row == {
        "case": "'=cmd|'_C calc'!A0",
        "channel": "'+t1",
        "path": str(path),
        "series": "'@SUM(A1)",
    }


def test_nothing_in_the_overview_is_markup_or_comes_from_elsewhere():
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y>\x1b[2J\u202e"
    lines = [
        Line(evil, reason=evil),
        Line(
            evil, None, "p.png", {"figures": "cases/a"}, (evil,), 1.0, 0.5, 2.0, (evil,), evil, evil
        ),
    ]
    page = page_of(lines)
    assert page.count("<script>") == 1
    assert "<img src=x" not in page
    assert "onerror=y>" not in page
    assert "\x1b" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert "default-src 'none'" in page
    assert "unsafe" not in page


@pytest.mark.parametrize(
    ("nodes", "work", "share"),
    [
        ([{"CPU": 8}], {}, (1, 8, 0, 3)),
        ([{"CPU": 8}], {"workers": 4}, (4, 2, 0, 3)),
        ([{"CPU": 2}], {"workers": 2}, (2, 1, 0, 1)),
        ([{"CPU": 2}], {"workers": 5}, (5, 1, 0, 1)),
        ([{"CPU": 16, "GPU": 2}], {}, (2, 8, 1, 3)),
        ([{"CPU": 16, "GPU": 1}], {"gpu": 0.25}, (4, 4, 0.25, 3)),
        ([{"CPU": 4}, {"CPU": 8}], {"workers": 4}, (4, 2, 0, 3)),
        ([{"CPU": 8}], {"threads": 2, "workers": 3}, (3, 2, 0, 3)),
    ],
)
def test_cores_and_gpus_are_shared_out(nodes, work, share):
    found = share_of(Cluster(nodes), WorkSharing(address="auto", **work), at_once=3)
    assert (found.workers, found.threads, found.gpu, found.at_once) == share


def test_more_than_there_is_is_refused():
    with pytest.raises(InputError, match="the largest computer has 8 cores"):
        share_of(Cluster([{"CPU": 8}]), WorkSharing(address="auto", threads=9))
    with pytest.raises(InputError, match="found 0 GPUs"):
        share_of(Cluster([{"CPU": 8}]), WorkSharing(address="auto", gpu=0.5))


class Cluster:
    """What Ray says of computers."""

    def __init__(self, nodes):
        self._nodes = nodes

    def nodes(self):
        return [{"Alive": True, "Resources": resources} for resources in self._nodes]
