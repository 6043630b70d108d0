"""Stands in for `tumorseg retrain`: writes its lines, waits, stops when asked to."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

arguments = sys.argv[1:]
folder = Path(arguments[arguments.index("-o") + 1])
resumed = "--resume" in arguments
behaviour = os.environ.get("FAKE_RETRAIN", "better")


def write(**entry: object) -> None:
    with (folder / "progress.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")


if behaviour == "refuse":
    sys.exit("tumorseg: data: found 1 patient, expected two or more")
epochs = 4
(folder / "plan.json").write_text("{}")
if not resumed:
    write(event="planned")
    write(event="epoch", epoch=0, epochs=epochs, validation_loss=0.5, dice=0.5)
for epoch in range(2 if resumed else 1, epochs + 1):
    for step in (1, 2):
        write(event="step", epoch=epoch, epochs=epochs, step=step, steps=2)
    while behaviour == "wait" and epoch == 2 and not resumed:
        time.sleep(0.02)
        if (folder / "stop").exists():
            write(event="stopped", resumable=True)
            sys.exit(130)
    figures = {"loss": 0.5 / epoch, "validation_loss": 0.4, "dice": 0.5 + 0.1 * epoch}
    write(event="epoch", epoch=epoch, epochs=epochs, seconds_left=30.0, **figures)
    (folder / "last.ckpt").touch()
write(event="measuring", model="tiny", done=1, cases=2)
better = behaviour != "worse"
row = {
    "cases": "new",
    "structure": "Tumour",
    "patients": 1,
    "base": 0.7,
    "retrained": 0.8 if better else 0.6,
    "difference": {"mean": 0.1 if better else -0.1},
}
write(
    event="done",
    id=f"{arguments[arguments.index('--base') + 1]}-1.1.0",
    version="1.1.0",
    better=better,
    reason="better on held-out cases" if better else "not better on held-out cases",
    rows=[row],
    page=str(folder / "comparison.html"),
)
(folder / "last.ckpt").unlink()
