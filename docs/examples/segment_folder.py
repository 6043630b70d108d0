"""Segments every volume of a folder, each on its own, without a window.

    Slicer --no-main-window --python-script segment_folder.py FOLDER RESULTS

Writes NAME.seg.nrrd for every volume. A file that cannot be read, segmented or saved is named with
the reason, and the others go on; the exit status is the number of those that failed, at most 255.
"""

from __future__ import annotations

import sys
from pathlib import Path

import slicer

from TumorSeg import TumorSegLogic
from TumorSegLib.errors import TumorSegError

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def segment_folder(folder: Path, results: Path) -> int:
    """Segment the volumes in `folder` into `results`; return how many failed."""
    results.mkdir(parents=True, exist_ok=True)
    logic, failed, names = TumorSegLogic(), 0, set()
    for path in sorted(folder.iterdir()):
        name = without_ending(path.name)
        if name in names:  # scan.nii after scan.mha
            name = path.name
        names.add(name)
        target = results / f"{name}.seg.nrrd"
        try:
            segmentationNode = logic.segment(slicer.util.loadVolume(str(path)))
            if not slicer.util.saveNode(segmentationNode, str(target)):
                raise RuntimeError(f"{target} cannot be written")
        except (TumorSegError, RuntimeError) as error:  # loadVolume's is a RuntimeError
            print(f"{path.name}: {error}", file=sys.stderr)
            failed += 1
        slicer.mrmlScene.Clear()
    logic.endWorker()
    return failed


def without_ending(name: str) -> str:
    """Return a file's name without what tells its format; other dots stay: scan.1.nii.gz."""
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


if __name__ == "__main__":
    slicer.util.exit(min(segment_folder(Path(sys.argv[1]), Path(sys.argv[2])), 255))
