"""Targets: what is JSON or TOML by itself: worker's messages, side files, configs of training."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from fuzz.changes import Files, in_one_file
from fuzz.target import Arrays, Target
from fuzz.text_changes import header_lines, number_changed
from fuzz.tree_changes import tree_changed


def message_seeds() -> list[Files]:
    """Return lines of all kinds that the panel sends."""
    from TumorSegLib.image.correction import Changes, SegmentChange
    from TumorSegLib.inference.run_options import RunOptions
    from TumorSegLib.worker import dicom_protocol, protocol, report_protocol, shared_voxels

    volume = shared_voxels.SharedVolume(
        "fuzz-1", "int16", (2, 3, 4), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), "CT",
    )  # fmt: skip
    mask = shared_voxels.SharedMask(
        "fuzz-2", "uint8", (2, 3, 4), "S1", "Liver", 1, tuple(float(n) for n in range(16)), "m 1"
    )
    messages = (
        protocol.Share("fuzz-1", 48),
        protocol.Forget("fuzz-1"),
        protocol.Segment(
            1, "no/model", {"ct": volume}, "fuzz-2", "fuzz-3", RunOptions(slices=(0, 2))
        ),
        protocol.Export(
            2, "no/Dataset501_x", "no/model", {"ct": volume}, (mask,), {"Liver": "Liver"}
        ),
        dicom_protocol.SaveDicom(
            3,
            volume,
            tuple(float(n) for n in range(16)),
            (dicom_protocol.DicomMask(mask, "~a^b^c~d^e^f~^^~~^^~^^", (1, 2, 3), "0-0"),),
            ("no/1.dcm",),
            ("no/seg.dcm", "no/sr.dcm"),
            "Liver",
        ),
        report_protocol.WriteReport(
            4,
            volume,
            "CT",
            (report_protocol.ReportMask(mask, (1, 2, 3), True),),
            "no/report.html",
            "no/model",
            "1",
            report_protocol.ReportedRun("cpu", "fp32", 1.0, RunOptions(), ("FLAIR",)),
            (0.5, 1.0),
            ("a warning",),
            {"name": "Doe^Jane"},
            Changes((SegmentChange("Liver", 1, 0.5, 0.9),), SegmentChange("", 1, 0.5, 0.9), (1,)),
        ),
        protocol.Threshold(1, 0.5),
        protocol.Cancel(1),
    )
    return [{"line.json": protocol.to_line(message)} for message in messages]


def read_message(folder: Path) -> Arrays:
    """Hand a line to the worker as its inbox would get it, and answer what is a command."""
    from TumorSegLib.worker.process import Worker

    line = b"".join(path.read_bytes() for path in folder.iterdir()).partition(b"\n")[0]
    sent: list[bytes] = []
    bench = Worker(_Inbox(line), _Outbox(sent))
    with suppress(_End):
        bench.serve()
    for event in sent:
        said = json.loads(event)
        assert said["kind"] == "failed", said
        details = str(said.get("details", ""))
        expected = ("KeyError", "ValueError", "TypeError", "IndexError", "BufferError")
        assert not details or any(name in details for name in expected), details
        assert said["message"].isprintable(), said
    return [line.split(b'"job"')[0][:20], len(sent)]


class _End(BaseException):
    """There are no more commands."""


class _Inbox:
    """Gives the worker what one line asks for, and no block of shared memory."""

    def __init__(self, line: bytes) -> None:
        from TumorSegLib.worker.inbox import Blocks

        self.blocks = Blocks()
        self._next = [self._parsed(line)]

    def _parsed(self, line: bytes):
        from TumorSegLib.worker.inbox import garbled
        from TumorSegLib.worker.protocol import from_line

        try:
            return from_line(line)
        except Exception as error:
            return garbled(line, error)

    def next(self):
        while self._next:
            command = self._next.pop()
            if type(command).__name__ not in ("Share", "Cancel"):
                return command
        raise _End

    def is_cancelled(self, _job: int) -> bool:
        return False


class _Outbox:
    def __init__(self, sent: list[bytes]) -> None:
        self.write = sent.append

    def flush(self) -> None: ...


def config_seeds() -> list[Files]:
    """Return the configs of the published models, each with what its family shares."""
    from tumorseg_training.places import configs

    shared = {
        f"families/{path.name}": path.read_bytes()
        for path in sorted((configs() / "families").glob("*.toml"))
    }
    return [{"run.toml": path.read_bytes(), **shared} for path in sorted(configs().glob("*.toml"))]


def read_run(folder: Path) -> Arrays:
    """Read a config as `tumorseg train` does."""
    from tumorseg_training.config import read_config, read_ensemble, read_recipe

    path = folder / "run.toml"
    return [read_ensemble(path) or read_recipe(path) or read_config(path)]


def side_file_seeds() -> list[Files]:
    """Return files that TumorSeg writes or reads beside images and models."""
    record = {
        "case": "case_0123456789ab", "patient": "patient_0123456789ab", "patient_known": True,
        "labels_of": "tiny 1", "software": "tumorseg 1", "reviewed": True,
        "labels": {"Liver": {"value": 1, "voxels": 12}, "Liver tumour": {"value": 2, "voxels": 0}},
        "drawn_by": ["tiny 1"], "corrected": True, "replaced": {"t1": "flair"},
        "correction": {"slices": 2, "millilitres": 1.5, "dice": 0.9}, "format": 1,
    }  # fmt: skip
    contents = {
        "record.json": record,
        "defaults.json": {"MR segmentation": "tiny-brain", "CT segmentation": "tiny-ct"},
        "folds.json": {"fold0": ["a", "b"], "fold1": ["c"]},
        "volumes.json": {"a": {"fold": 0, "group": 1}, "c": {"fold": 1}},
        "patients.json": {"a": "A", "b": "A", "c": "C"},
        "results.json": {"models": [{"summary": {"Dice": 0.9}}]},
    }
    files = {name: json.dumps(content).encode() for name, content in contents.items()}
    return [{name: content} for name, content in files.items()]


def read_side_file(folder: Path) -> Arrays:
    from tumorseg_training.commands.evaluate import read_patients as patients_to_measure
    from tumorseg_training.datasets import read_patients
    from tumorseg_training.patient_folds import folds_of
    from tumorseg_training.publishing import figures_of
    from TumorSegLib.export.case_metadata import read_record
    from TumorSegLib.model.default_models import read_defaults

    readers: dict[str, Callable[[Path], object]] = {
        "record": read_record,
        "defaults": lambda path: read_defaults(path.parent),
        "folds": lambda path: folds_of(str(path), ("a", "b", "c")),
        "volumes": lambda path: folds_of(str(path), ("1", "c")),
        "patients": lambda path: (read_patients(path), patients_to_measure(path, None)),
        "results": figures_of,
    }
    return [readers[path.stem](path) for path in sorted(folder.iterdir()) if path.stem in readers]


def invalid_text(rng: Random, content: bytes) -> bytes:
    """Put bytes in that are no UTF-8."""
    place = rng.randrange(len(content) + 1)
    return (
        content[:place]
        + rng.choice((b"\xff\xfe", b"\xc3", b"\0", b"\xed\xa0\x80"))
        + content[place:]
    )


def import_worker() -> None:
    import TumorSegLib.inference.segmenter
    import TumorSegLib.worker.export_command
    import TumorSegLib.worker.process  # noqa: F401


def import_training() -> None:
    import tumorseg_training.commands.evaluate
    import tumorseg_training.config
    import tumorseg_training.publishing  # noqa: F401


trees = in_one_file(tree_changed)
garbled = in_one_file(invalid_text)
toml = in_one_file(header_lines(b"\0"))

TARGETS = (
    Target(
        "worker message",
        message_seeds,
        read_message,
        (trees, trees, garbled),
        import_worker,
    ),
    Target(
        "training config",
        config_seeds,
        read_run,
        (toml, toml, in_one_file(number_changed), garbled),
        import_training,
    ),
    Target(
        "side file",
        side_file_seeds,
        read_side_file,
        (trees, trees, garbled),
        import_training,
    ),
)
