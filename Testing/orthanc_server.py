"""Orthanc as the PACS of tests, with its plug-in DICOMweb."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from waiting import wait_until

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PROGRAM = shutil.which("Orthanc") or "/usr/sbin/Orthanc"


def why_not() -> str:
    """Return what is missing; "" if nothing is."""
    if not Path(PROGRAM).is_file():
        return "Orthanc is not installed (Debian: orthanc)"
    if not PLUGIN.exists():
        return "Orthanc's plug-in DICOMweb is not installed (Debian: orthanc-dicomweb)"
    if shutil.which("storescu") is None:
        return "storescu is not installed (Debian: dcmtk)"
    return ""


class Orthanc:
    """A server with its data in a folder; it can be stopped and started again."""

    def __init__(self, folder: Path, *, port: int, web: int, node: int, script: str = "") -> None:
        self.folder, self.port, self.web = folder, port, web
        folder.mkdir()
        (folder / "script.lua").write_text(script, "utf-8")
        settings = {
            "Name": "PACS",
            "StorageDirectory": str(folder / "data"),
            "IndexDirectory": str(folder / "data"),
            "Plugins": [str(PLUGIN)],
            "LuaScripts": [str(folder / "script.lua")] if script else [],
            "DicomAet": "ORTHANC",
            "DicomPort": port,
            "HttpPort": web,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomCheckCalledAet": False,
            "DicomModalities": {"tumorseg": ["TUMORSEG", "127.0.0.1", node]},
            "StableAge": 1,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings), "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [PROGRAM, str(self.folder / "orthanc.json")], stdout=self._log, stderr=self._log
        )
        wait_until(self._answers, state=lambda: (self.folder / "log").read_text("utf-8")[-2000:])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._log.close()
            self._process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}") as answer:
            return json.loads(answer.read() or b"[]")

    def modalities(self, study: str) -> list[str]:
        """Of the series of a study, as QIDO-RS tells them."""
        found = self.get(f"/dicom-web/studies/{study}/series")
        return sorted(one["00080060"]["Value"][0] for one in found)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text("utf-8")
        try:
            self.get("/system")
        except OSError:
            return False
        return True


def storescu(port: int, folder: Path, *, called: str = "TUMORSEG") -> subprocess.Popen[str]:
    """Start to send the files of a folder, as a modality would."""
    titles = ["-aet", "SENDER", "-aec", called]
    return subprocess.Popen(
        ["storescu", "-v", "-nh", *titles, "+sd", "127.0.0.1", str(port), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sent(port: int, folder: Path, *, called: str = "TUMORSEG") -> str:
    """Send the files of a folder; return what was said about it."""
    process = storescu(port, folder, called=called)
    return process.communicate()[0]
