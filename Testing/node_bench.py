"""A node, a PACS that takes what it sends, and senders of made-up series, on this computer."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from bright_models import write_ct_model
from dicom_writing import write_slices
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.presentation import PresentationContext
from waiting import wait_until

from TumorSegLib.cohort.case_run import CaseRunner
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.node.journal import Journal
from TumorSegLib.node.service import Node
from TumorSegLib.node.settings import NodeSettings
from TumorSegLib.support.schema import from_dict

PATIENT = "GEHEIM^ANNA"
SECRETS = ("GEHEIM", "ANNA", "P4711", "19610203", "20250607", "BEFUND")
"""Words of headers that no line, page or table may hold."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def write_series(folder: Path, count: int = 6, **header: Any) -> list[Path]:
    """Write a CT series of an invented patient, with something bright in its middle."""
    random = np.random.default_rng(count)
    slices = random.integers(-100, 60, (count, 32, 32)).astype(np.int16)
    slices[count // 3 : -(count // 3), 10:20, 10:20] = 200
    study = header.pop("StudyInstanceUID", None) or generate_uid()
    named = {
        "Modality": "CT",
        "StudyInstanceUID": study,
        "FrameOfReferenceUID": generate_uid(),
        "PatientName": PATIENT,
        "PatientID": "P4711",
        "PatientBirthDate": "19610203",
        "StudyDate": "20250607",
        "StudyTime": "101112",
        "StudyID": "1",
        "AccessionNumber": "A1",
        "SeriesDescription": "BEFUND portal",
        "BodyPartExamined": "ABDOMEN",
        "SeriesNumber": 2,
        "Manufacturer": "none",
        "PatientSex": "F",
        "ReferringPhysicianName": "",
        **header,
    }
    where = [(0, 0, 3.0 * index) for index in range(count)]
    return write_slices(
        folder, slices, where, series=generate_uid(), orientation=(1, 0, 0, 0, 1, 0), **named
    )


class Pacs:
    """An application entity that keeps what it is sent, when it is up."""

    def __init__(self) -> None:
        self.port = free_port()
        self.objects: list[pydicom.Dataset] = []
        self.status = 0x0000
        self.asked = 0
        self.takes = [str(one.abstract_syntax) for one in AllStoragePresentationContexts]
        self._server: Any = None

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        entity = AE("PACS")
        for kind in self.takes:
            entity.add_supported_context(kind)
        self._server = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
            ssl_context=tls,
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: Any) -> int:
        self.asked += 1
        if self.status == 0x0000:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.objects.append(dataset)
        return self.status

    @property
    def modalities(self) -> list[str]:
        return [str(one.Modality) for one in self.objects]


class Heard(Journal):
    """Keeps the node's lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def about(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]


class ProcessInside:
    """Stands for the process of models, where what is tested is not that process."""

    def __init__(self, *given: Any) -> None:
        self._given, self._runner = given, None
        self.tasks: list[Any] = []
        self.go = threading.Event()
        self.go.set()
        ProcessInside.last = self

    def run(self, task: Any) -> Any:
        from TumorSegLib.node.model_process import StoppedError

        self.tasks.append(task)
        self.go.wait()
        if self._stopped:
            raise StoppedError
        results, models, settings, threads = self._given
        self._runner = self._runner or CaseRunner(results, models, settings, threads=threads)
        return self._runner.run(task)

    _stopped = False

    def end(self) -> None:
        self._runner = None

    def stop(self) -> None:
        self._stopped = True
        self.go.set()


class NodeBench:
    """Starts and ends nodes on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / "models"
        if not self.models.exists():
            write_ct_model(self.models, "tiny-ct", default=True)
        self.pacs = Pacs()
        self.port = free_port()
        self.node: Node | None = None
        self.told: dict[str, Any] = {}
        self._thread: threading.Thread | None = None

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {
            "folder": str(self.folder / "node"),
            "receive": {
                "callers": ["SENDER"],
                "port": self.port,
                "quiet_seconds": 0.0,
                "study_quiet_seconds": 0.0,
                **self.told,
            },
            "send": {
                "kind": "c-store",
                "host": "127.0.0.1",
                "port": self.pacs.port,
                "ae_title": "PACS",
            },
            "rule": [{"model": "tiny-ct"}],
            "run": {"device": "cpu", "threads": 1},
            "reserve_mb": 0.0,
            "page_port": 0,
            **changes,
        }

    def start(self, **changes: Any) -> Node:
        self.heard = Heard()
        settings = from_dict(NodeSettings, self.settings(**changes))
        self.node = Node(settings, Catalogue.of([self.models]), self.heard)
        self.fault: list[BaseException] = []

        def work() -> None:
            try:
                self.node.run()
            except BaseException as error:
                self.fault.append(error)

        self._thread = threading.Thread(target=work)
        self._thread.start()
        wait_until(lambda: self.fault or self.heard.about("ready"))
        return self.node

    def stop(self) -> None:
        if self.node is not None:
            self.node.end()
            self._thread.join()
            self.node = None
        assert not self.fault, self.fault

    def close(self) -> None:
        if self.node is not None:
            self.node.end()
            self._thread.join()
        self.pacs.stop()

    def wait_for(self, text: str, count: int = 1) -> list[str]:
        """Wait until the node has said so."""
        wait_until(lambda: len(self.heard.about(text)) >= count, state=lambda: self.heard.lines)
        return self.heard.about(text)

    def series(self) -> list[Any]:
        return self.node._queue.tables.series("1")

    def count_turns(self) -> Callable[[], int]:
        """Tell how often the node has looked for series that are complete, from now on."""
        queue, counted = self.node._queue, []
        quiet = queue.quiet
        queue.quiet = lambda seconds: (counted.append(1), quiet(seconds))[1]
        return lambda: len(counted)

    def tries(self) -> int:
        """Tell how often results that wait were tried to be sent."""
        return int(self.node._queue.tables.rows("SELECT SUM(tries) FROM result")[0][0] or 0)

    def wait_idle(self) -> None:
        """Wait until nothing is under way, and no image or result is on the disk."""
        places = [self.folder / "node" / name for name in ("images", "cases")]
        wait_until(
            lambda: (
                all(one.state in ("done", "passed over", "failed") for one in self.series())
                and not any(any(place.iterdir()) for place in places)
            ),
            state=lambda: (self.series(), self.heard.lines),
        )


@contextmanager
def connected(
    port: int,
    *,
    calling: str = "SENDER",
    called: str = "TUMORSEG",
    tls: ssl.SSLContext | None = None,
    contexts: Sequence[PresentationContext] = (),
):
    """An association with the node, for images and results if no other contexts are given."""
    entity = AE(calling)
    entity.requested_contexts = contexts or [
        context
        for context in AllStoragePresentationContexts
        if context.abstract_syntax
        in (
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.5.1.4.1.1.4",
            "1.2.840.10008.5.1.4.1.1.66.4",
            "1.2.840.10008.5.1.4.1.1.88.34",
            "1.2.840.10008.5.1.4.1.1.7",
        )
    ]
    tls_args = None if tls is None else (tls, "127.0.0.1")
    association = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls_args)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port: int, paths: Sequence[Path], **options: Any) -> list[int]:
    """Send files in one association; return the status of each."""
    with connected(port, **options) as association:
        assert association.is_established
        return [int(association.send_c_store(pydicom.dcmread(path)).Status) for path in paths]


def send_broken(port: int, paths: Sequence[Path]) -> list[int]:
    """Send files, and have the connection go without a word."""
    with connected(port) as association:
        found = [int(association.send_c_store(pydicom.dcmread(path)).Status) for path in paths]
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: not association.is_established, turn=lambda: time.sleep(0.01))
        return found


def write_sequence(folder: Path, study: str, frame: str, sequence: str) -> list[Path]:
    """Write one sequence of an MRI study."""
    times = {"flair": (120, 9000, 2500), "t1": (4, 600, None)}[sequence]
    echo, repetition, inversion = times
    return write_series(
        folder,
        Modality="MR",
        StudyInstanceUID=study,
        FrameOfReferenceUID=frame,
        SeriesDescription=sequence.upper(),
        BodyPartExamined="HEAD",
        EchoTime=echo,
        RepetitionTime=repetition,
        InversionTime=inversion,
    )


def make_certificate(folder: Path) -> dict[str, str]:
    """Make a certificate for this computer that signs itself, with openssl."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    return {"certificate": str(certificate), "key": str(key)}
