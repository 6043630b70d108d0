"""Targets: model bundles in folders and archives, which are loaded and run."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from random import Random

import numpy as np

from fuzz.binary_changes import safetensors_changed
from fuzz.changes import BYTES, Files, FilesChange, in_one_file
from fuzz.target import Arrays, Target
from fuzz.tree_changes import tree_changed
from fuzz.zip_changes import archive_of, entries_changed, within_entry

SUMS = {"weights.safetensors": "weights", "candidates.safetensors": "candidates"}
SHAPE = (3, 24, 24)


def bundle_seeds() -> list[Files]:
    """Return bundles of a network, of int8 weights and with a forest, and an ensemble."""
    from dataclasses import replace

    from tiny_models import (
        brain_specification,
        build_network,
        ct_specification,
        stump,
        write_bundle,
        write_tiny_bundle,
    )

    from TumorSegLib.inference.candidates import FEATURES
    from TumorSegLib.model.postprocessing import CANDIDATES_WINDOW, FalsePositiveFilter

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_tiny_bundle(folder, brain_specification())
        judged = ct_specification()
        judged = replace(
            judged,
            id="judged",
            input=replace(judged.input, normalisation=CANDIDATES_WINDOW),
            candidates=FalsePositiveFilter(2, 1, features=FEATURES),
        )
        network = build_network(judged.network.name, judged.network.arguments)
        forest = stump(FEATURES[0], 1.0)
        write_bundle(folder / "judged", judged, network, dtype="int8", forest=forest, card="# x\n")
        ensemble = brain_specification(
            id="both", network=None, members=("tiny-brain", "tiny-brain")
        )
        write_bundle(folder / "both", ensemble, None, card="# Both\n")
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    one = {name: content for name, content in files.items() if name.startswith("judged/")}
    two = {name: content for name, content in files.items() if not name.startswith("judged/")}
    return [one, two]


def archive_seeds() -> list[Files]:
    """Return the same bundles as .zip files."""
    return [{"models.zip": archive_of(files)} for files in bundle_seeds()]


def sealed(change: FilesChange) -> FilesChange:
    """Return a change whose new weights have the checksum that `model.json` tells."""

    def apply(rng: Random, files: Files) -> Files:
        files = change(rng, files)
        for name in [name for name in files if name.endswith("model.json")]:
            files = {**files, name: _with_sums(files, name)}
        return files

    return apply


def _with_sums(files: Files, name: str) -> bytes:
    try:
        content = json.loads(files[name])
    except ValueError:
        return files[name]
    for file, key in SUMS.items():
        path = name.replace("model.json", file)
        if path in files and isinstance(content, dict) and isinstance(content.get(key), dict):
            content[key]["sha256"] = hashlib.sha256(files[path]).hexdigest()
    return json.dumps(content).encode()


def read_bundles(folder: Path) -> Arrays:
    """List the models in `folder`, load each one and segment a small volume with it."""
    from TumorSegLib.errors import TumorSegError
    from TumorSegLib.model.catalogue import Catalogue

    catalogue = Catalogue.of([folder])
    assert all(line.isprintable() for line in catalogue.broken)
    found: list[object] = [catalogue.broken]
    first: TumorSegError | None = None
    for bundle in catalogue.bundles:
        try:
            found += _run(bundle, catalogue)
        except TumorSegError as error:
            first = first or error
    if first is not None:
        raise first
    if not catalogue.bundles:
        raise TumorSegError(catalogue.broken[0] if catalogue.broken else "no models")
    return found


def _run(bundle, catalogue) -> list[object]:
    from TumorSegLib.image.grid import Grid
    from TumorSegLib.image.volume import Volume
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.model.bundle import check_files, load_forest

    check_files(bundle)
    forest = load_forest(bundle)
    segmenter = Segmenter(bundle, catalogue=catalogue, device="cpu", precision="fp32")
    voxels = np.random.default_rng(0).integers(-100, 300, SHAPE).astype(np.int16)
    grid = Grid(SHAPE, (3.0, 3.0, 5.0))
    specification = bundle.specification
    first = specification.input.channels[0].name
    volume = Volume(voxels, grid, modality=specification.modality, name="a volume")
    result = segmenter.segment({first: volume})
    values = [] if forest is None else [getattr(forest, name) for name in ("value", "threshold")]
    return [specification.id, result.labelmap, result.warnings, *values]


def read_archive(folder: Path) -> Arrays:
    """Import the models in an archive, and list them."""
    from TumorSegLib.model.catalogue import Catalogue
    from TumorSegLib.model.model_import import add_models, unpacked_models

    with tempfile.TemporaryDirectory() as place:
        own = Path(place) / "own"
        own.mkdir()
        with unpacked_models(folder / "models.zip", own) as bundles:
            added = add_models(bundles, Catalogue.of([own]), own)
        ids = [bundle.id for bundle in added]
        assert {path.name for path in own.iterdir()} == set(ids)
        assert not Catalogue.of([own]).broken
        assert [path.name for path in Path(place).iterdir()] == ["own"]
    return ids


def import_archives() -> None:
    import TumorSegLib.model.model_import  # noqa: F401


def import_models() -> None:
    import torch
    import torch._dynamo

    import TumorSegLib.inference.segmenter  # noqa: F401

    torch.set_num_threads(1)


specifications = in_one_file(tree_changed, "model.json")
weights = in_one_file(safetensors_changed, ".safetensors")

TARGETS = (
    Target(
        "model archive",
        archive_seeds,
        read_archive,
        (
            in_one_file(entries_changed, ".zip"),
            in_one_file(within_entry(tree_changed, *BYTES, ending="model.json"), ".zip"),
        ),
        import_archives,
    ),
    Target(
        "model bundle",
        bundle_seeds,
        read_bundles,
        (specifications, sealed(weights), sealed(specifications)),
        import_models,
        batch=50,
        seconds=20,
        megabytes=600,
    ),
)
