"""Target: scenes of 3D Slicer, as archives and as what is in them."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from random import Random

from fuzz.changes import BYTES, Files, exchanged, in_one_file
from fuzz.children import memory_now, memory_peak
from fuzz.target import Arrays, Target
from fuzz.text_changes import attribute_changed, element_changed, header_lines, number_changed
from fuzz.zip_changes import archive_of, entries_changed, entries_of, within_entry

NAME = "case.mrb"
SECONDS = 8.0
"""A reader may take."""
MEGABYTES = 500
GREEDY = 99
"""Status of a reader that took more."""


def scene_seeds() -> list[Files]:
    """Return a scene with a volume and its segmentation, and one with a transform besides."""
    from results import result_of, two_structures
    from tiny_models import ct_specification

    from TumorSegLib.writing import write_segmentation

    result = result_of(two_structures(), ct_specification(anatomy="liver"))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / NAME
        write_segmentation(result, path)
        entries = entries_of(path.read_bytes())
    files = {entry.filename: content for entry, content in entries if not entry.is_dir()}
    plain = {name: content for name, content in files.items() if not name.endswith(".png")}
    return [{NAME: archive_of(plain)}, {NAME: archive_of({**plain, "x/Data/more.nhdr": b"NRRD"})}]


def read(folder: Path) -> Arrays:
    """Read the cases of the scene in `folder`, in a fork instead of a process begun anew."""
    from TumorSegLib.slicer_io import scene_reading as scene

    scene.run_reader = forked_reader

    found: list[object] = []
    for case in scene.read_scene(folder / NAME):
        found += [case.name, case.patient, case.reviewed, case.correction, case.volume.grid]
        found += [case.volume.voxels, *(other.voxels for other in case.others)]
        for mask in case.masks:
            found += [mask.id, mask.name, mask.value, mask.model, mask.affine, mask.labelmap]
    return found


def forked_reader(description: Path, folder: Path) -> int:
    """Do as `run_reader` does, a hundred times as fast."""
    from TumorSegLib.slicer_io.scene_process import main

    process = os.fork()
    if process == 0:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        os.chdir(folder)
        before = memory_now()
        main(str(description), str(folder))
        os._exit(GREEDY if memory_peak() - before > MEGABYTES << 10 else 0)
    _, status = os.waitpid(process, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended not in (GREEDY, -signal.SIGALRM), "the reader of scenes took too much or too long"
    return ended


def import_scene() -> None:
    import slicer  # noqa: F401


def exchanged_within(rng: Random, files: Files) -> Files:
    """Take entries away, empty them, or give them each other's content."""
    if NAME not in files:
        return files
    inner = {entry.filename: content for entry, content in entries_of(files[NAME])}
    return {**files, NAME: archive_of(exchanged(rng, inner))} if inner else files


xml = within_entry(attribute_changed, attribute_changed, element_changed, *BYTES, ending=".mrml")
headers = within_entry(header_lines(b"\n\n"), number_changed, *BYTES, ending=".nrrd")

TARGETS = (
    Target(
        "scene",
        scene_seeds,
        read,
        (
            in_one_file(xml),
            in_one_file(xml),
            in_one_file(headers),
            in_one_file(entries_changed),
            exchanged_within,
        ),
        import_scene,
        batch=40,
        seconds=20,
        megabytes=MEGABYTES,
    ),
)
