"""Segments every volume of a folder, each on its own, without a window.

    Slicer --no-main-window --python-script segment_folder.py FOLDER RESULTS

Writes NAME.seg.nrrd for every volume. A volume that cannot be segmented is named with the reason,
and the others go on; the exit status is the number of those that failed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import slicer

from TumorSeg import TumorSegLogic
from TumorSegLib.errors import TumorSegError


def segment_folder(folder: Path, results: Path) -> int:
    """Segment the volumes in `folder` into `results`; return how many failed."""
    results.mkdir(parents=True, exist_ok=True)
    logic, failed = TumorSegLogic(), 0
    for path in sorted(folder.iterdir()):
        volumeNode = slicer.util.loadVolume(str(path))
        try:
            segmentationNode = logic.segment(volumeNode)
        except TumorSegError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed += 1
        else:
            name = path.name.partition(".")[0]
            slicer.util.saveNode(segmentationNode, str(results / f"{name}.seg.nrrd"))
        slicer.mrmlScene.Clear()
    logic.endWorker()
    return failed


if __name__ == "__main__":
    slicer.util.exit(segment_folder(Path(sys.argv[1]), Path(sys.argv[2])))
