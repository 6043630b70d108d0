"""A node that is killed at a chosen step, as by a power cut: run by `test_node_kill.py`.

    python node_killed.py FOLDER PORT PACS-PORT STEP before|after

STEP is a method of the queue or its outbox, or "" for a node that lives on.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.node import image_store, model_process, outbox, queue, sender, service, settings
from TumorSegLib.support.schema import from_dict

STEPS = {
    "image written": (image_store.ImageStore, "write"),
    "image noted": (queue.Queue, "note_image"),
    "complete": (queue.Queue, "note_complete"),
    "begun": (queue.Queue, "begin"),
    "segmented": (model_process.ModelProcess, "run"),
    "made": (queue.Queue, "note_made"),
    "sent": (sender, "send"),
    "noted as sent": (outbox.Outbox, "note_sent"),
    "noted as removed": (queue.Queue, "note_removed"),
    "removed": (image_store.ImageStore, "remove"),
}


def kill_at(step: str, when: str) -> None:
    holder, name = STEPS[step]
    action = getattr(holder, name)

    def killed(*arguments, **options):
        if when == "after":
            action(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(holder, name, killed)


def main(folder: str, port: str, pacs: str, step: str, when: str) -> None:
    place = Path(folder)
    told = {
        "folder": str(place / "node"),
        "receive": {"callers": ["SENDER"], "port": int(port), "quiet_seconds": 0.0},
        "send": {"kind": "c-store", "host": "127.0.0.1", "port": int(pacs), "ae_title": "PACS"},
        "rule": [{"model": "tiny-ct"}],
        "run": {"device": "cpu", "threads": 1},
        "reserve_mb": 0.0,
        "page_port": 0,
    }
    service.TURN_SECONDS = 0.02
    if step:
        kill_at(step, when)
    node = service.Node(from_dict(settings.NodeSettings, told), Catalogue.of([place / "models"]))
    try:
        node.run()
    except KeyboardInterrupt:
        node.end()


if __name__ == "__main__":
    from TumorSegLib.support.signals import ended_as_by_ctrl_c

    with ended_as_by_ctrl_c():
        main(*sys.argv[1:])
