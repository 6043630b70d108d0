"""Results to the PACS: by C-STORE or STOW-RS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from TumorSegLib.errors import InputError
from TumorSegLib.node.settings import NodeSettings, SendByStore, SendByWeb
from TumorSegLib.node.tls import client_context
from TumorSegLib.reading.dicom_header import read_whole

if TYPE_CHECKING:
    import pydicom

TIMEOUT_SECONDS = 60

BOUNDARY = uuid4().hex
MULTIPART = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
BEFORE_OBJECT = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
AFTER_OBJECT = f"\r\n--{BOUNDARY}--\r\n".encode()


class UnreachableError(Exception):
    """The PACS is away, or takes nothing now."""


class RefusedError(Exception):
    """The PACS does not take this object."""


class DamagedError(Exception):
    """The file is not what was written any more."""


def send(path: Path, settings: NodeSettings) -> None:
    """Send an object; when this returns, the PACS has it.

    Sent twice, it is the same object by its SOPInstanceUID.

    Raises:
        UnreachableError: the PACS cannot be reached.
        RefusedError: it does not take the object.
        DamagedError: the file holds no whole object.
        OSError: the file cannot be read.
    """
    dataset = _read(path)
    if isinstance(settings.send, SendByStore):
        receive = settings.receive
        title = settings.send.calling or (receive.ae_title if receive else "TUMORSEG")
        _store(dataset, settings.send, title)
    else:
        _stow(path, str(dataset.SOPInstanceUID), settings.send)


def _read(path: Path) -> pydicom.Dataset:
    try:
        dataset = read_whole(path)
        if dataset.SOPClassUID and dataset.file_meta.TransferSyntaxUID:
            return dataset
    except OSError:
        raise
    except Exception as error:  # pydicom raises whatever its parts raise
        raise DamagedError(f"it is damaged on the disk ({type(error).__name__})") from None
    raise DamagedError("it is damaged on the disk")


def _store(dataset: pydicom.Dataset, to: SendByStore, calling: str) -> None:
    from pynetdicom import AE

    entity = AE(calling)
    for name in ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout"):
        setattr(entity, name, TIMEOUT_SECONDS)
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    try:
        context = client_context(to.tls)
    except InputError as error:
        raise UnreachableError(str(error)) from None
    tls: Any = None if context is None else (context, to.host)
    association = entity.associate(to.host, to.port, ae_title=to.ae_title, tls_args=tls)
    if association.is_rejected:
        raise UnreachableError(f"{to} does not accept calls of {calling}")
    if association.rejected_contexts:  # the call was taken, and then ended by pynetdicom
        raise RefusedError(f"takes no objects of this kind ({dataset.SOPClassUID.name})")
    if not association.is_established:
        raise UnreachableError(f"{to} does not answer")
    try:
        status = association.send_c_store(dataset)
    except (RuntimeError, ValueError) as error:
        kind = type(error).__name__
        raise RefusedError(f"does not take this object ({kind})") from None
    finally:
        association.release()
    if "Status" not in status:
        raise UnreachableError(f"{to} broke the connection")
    code = int(status.Status)
    if code >> 8 == 0xA7:
        raise UnreachableError(f"{to} has no room (status {code:04X})")
    if code != 0x0000 and code >> 12 != 0xB:
        raise RefusedError(f"does not take it (status {code:04X})")


def _stow(path: Path, uid: str, to: SendByWeb) -> None:
    """Send a file by STOW-RS; what is no clear word of the service that it has it, is none."""
    import requests

    from TumorSegLib.node.store_answer import store_answer
    from TumorSegLib.node.web_client import web_session

    body = BEFORE_OBJECT + path.read_bytes() + AFTER_OBJECT
    try:
        with web_session(to) as session:
            # a redirect would make a GET of the POST, or take the object where nobody told it to go
            response = session.post(
                f"{to.url.rstrip('/')}/studies",
                data=body,
                headers={"Content-Type": MULTIPART},
                allow_redirects=False,
            )
    except (requests.RequestException, OSError) as error:
        raise UnreachableError(f"{to} does not answer ({type(error).__name__})") from None
    code = response.status_code
    if 300 <= code < 400:
        raise UnreachableError(f"{to} leads elsewhere (status {code}); name that address as url")
    if code >= 500 or code in (401, 403, 408, 429):
        raise UnreachableError(f"{to} answers with status {code}")
    answer = store_answer(response.headers.get("Content-Type") or "", response.content)
    if answer is not None and answer.failures:
        _refuse(answer.failures[0], to)
    if code >= 400:
        raise RefusedError(f"does not take it (status {code})")
    if answer is None:
        raise UnreachableError(f"{to} gives no answer of DICOMweb (status {code}); look at url")
    if uid not in answer.stored and (answer.stored or code != 200):
        raise RefusedError(f"does not say that it has it (status {code})")


def _refuse(reason: int, to: SendByWeb) -> None:
    """Raise what a FailureReason means (PS3.18, table 10.5.3-1)."""
    if reason >> 8 == 0xA7:
        raise UnreachableError(f"{to} has no room (reason {reason:04X})")
    raise RefusedError(f"does not take it (reason {reason:04X})")
