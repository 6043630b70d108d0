"""A model on disk: a folder with `model.json`, `weights.safetensors` and a model card.

Nothing here imports torch before weights are asked for, so that models can be listed quickly.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from TumorSegLib.errors import ModelError
from TumorSegLib.model.bundle_folder import (
    CARD_FILE,
    FOREST_FILE,
    LARGEST,
    SPECIFICATION_FILE,
    WEIGHTS_FILE,
    replacing_bundle,
)
from TumorSegLib.model.postprocessing import FalsePositiveFilter
from TumorSegLib.model.schema_1 import upgraded
from TumorSegLib.model.specification import ModelSpecification, StoredType, Weights
from TumorSegLib.support.schema import SchemaError, from_dict, parsed, to_dict

if TYPE_CHECKING:
    from torch import nn

    from TumorSegLib.model.forest import Forest


@dataclass(frozen=True)
class Bundle:
    """A model bundle whose `model.json` has been read and understood."""

    folder: Path
    specification: ModelSpecification

    @property
    def id(self) -> str:
        """The model's id."""
        return self.specification.id

    def absolute(self) -> Bundle:
        """Return the bundle for a process that works in another folder."""
        return Bundle(self.folder.absolute(), self.specification)

    @property
    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when a file of the bundle does: its path, time of change and size.

        A file that is missing has neither.
        """
        return tuple(
            _stamp(self.folder / name) for name in (SPECIFICATION_FILE, WEIGHTS_FILE, FOREST_FILE)
        )


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), status.st_mtime_ns, status.st_size


def read_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """Read the specification of the model in `folder`; the weights are not touched.

    Raises:
        ModelError: there is no usable `model.json`.
    """
    folder = Path(folder)
    path = folder / SPECIFICATION_FILE
    try:
        content = parsed(_read(path).decode())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; expected a folder with a model") from None
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}") from None
    try:
        return Bundle(folder, from_dict(ModelSpecification, upgraded(content)))
    except SchemaError as error:
        raise ModelError(f"{path}: {error}") from None


def load_network(bundle: Bundle) -> nn.Module:
    """Build the bundle's network in fp32 and fill it with its weights, for evaluation.

    Only safetensors files are read, never pickles: loading a model cannot run code.

    Raises:
        ModelError: the weights are missing, not those that `model.json` was written for, or do not
            fit the network.
    """
    from TumorSegLib.model.stored_weights import from_bytes
    from TumorSegLib.networks import shapes_alone

    specification = bundle.specification
    if specification.network is None or specification.weights is None:
        raise ModelError(f"model {bundle.id}: has members instead of weights of its own")
    path = bundle.folder / WEIGHTS_FILE
    content = _read_checked(path, specification.weights.sha256)
    tensors = from_bytes(content, specification.weights.dtype, path)
    network = shapes_alone(specification.network.name, specification.network.arguments)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    stored_shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name, shape in shapes.items():
        if name not in stored_shapes:
            raise ModelError(f"{path}: tensor {name} is missing")
        if stored_shapes[name] != shape:
            raise ModelError(
                f"{path}: tensor {name} has shape {stored_shapes[name]}, expected {shape}"
            )
    if surplus := sorted(stored_shapes.keys() - shapes.keys()):
        raise ModelError(
            f"{path}: tensor {surplus[0]} does not belong to {specification.network.name}"
        )
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def check_files(bundle: Bundle) -> None:
    """Refuse a bundle whose weights or forest are not those that `model.json` was written for.

    Nothing is computed and no torch is imported.

    Raises:
        ModelError: a file is missing or damaged.
    """
    weights, forest = bundle.specification.weights, bundle.specification.candidates
    if weights is not None:
        _read_checked(bundle.folder / WEIGHTS_FILE, weights.sha256)
    if forest is not None:
        _read_checked(bundle.folder / FOREST_FILE, forest.sha256)


def load_forest(bundle: Bundle) -> Forest | None:
    """Read the forest that judges the bundle's candidates, if it has one.

    Raises:
        ModelError: the forest is missing, damaged, or looks at other features.
    """
    from TumorSegLib.model.candidate_features import FEATURES
    from TumorSegLib.model.forest import Forest

    candidate_filter = bundle.specification.candidates
    if candidate_filter is None:
        return None
    path = bundle.folder / FOREST_FILE
    if candidate_filter.features != FEATURES:
        raise ModelError(f"{path}: judges by other features than this version; update TumorSeg")
    try:
        return Forest.from_bytes(_read_checked(path, candidate_filter.sha256), len(FEATURES))
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None


def write_bundle(
    folder: Path,
    specification: ModelSpecification,
    network: nn.Module | None,
    *,
    dtype: StoredType = "float16",
    float16: Collection[str] = (),
    forest: Forest | None = None,
    card: str,
) -> Bundle:
    """Write a bundle to `folder`, whole or not at all; what is there stays until then.

    Args:
        folder: of the bundle.
        specification: without `weights`, which are filled in.
        network: whose weights are stored; none for an ensemble, which has none of its own.
        dtype: in which floating-point tensors are stored.
        float16: names of tensors that stay float16 where the others become int8.
        forest: that judges candidates; without one the specification's `candidates` is left out.
        card: the model card, Markdown.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = None
    if network is not None:
        content, weights = _stored(network, dtype, float16)
        specification = replace(specification, weights=weights)
    forest_content = None if forest is None else forest.to_bytes()
    stored_filter = _with_checksum(specification.candidates, forest_content)
    specification = replace(specification, candidates=stored_filter)
    text = _as_json(specification)
    with replacing_bundle(folder) as new:
        new.mkdir(parents=True)
        if content is not None:
            (new / WEIGHTS_FILE).write_bytes(content)
        if forest_content is not None:
            (new / FOREST_FILE).write_bytes(forest_content)
        (new / SPECIFICATION_FILE).write_text(text, encoding="utf-8")
        (new / CARD_FILE).write_text(card, encoding="utf-8")
    return Bundle(folder, specification)


def add_forest(bundle: Bundle, forest: Forest, candidate_filter: FalsePositiveFilter) -> Bundle:
    """Let `forest` judge the candidates of a bundle that is there; an earlier one is replaced.

    The bundle is replaced as a whole: a forest and the checksum of another one are no model.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = forest.to_bytes()
    stored_filter = _with_checksum(candidate_filter, content)
    specification = replace(bundle.specification, candidates=stored_filter)
    with replacing_bundle(bundle.folder) as new:
        shutil.copytree(bundle.folder, new)
        (new / FOREST_FILE).write_bytes(content)
        (new / SPECIFICATION_FILE).write_text(_as_json(specification), encoding="utf-8")
    return Bundle(bundle.folder, specification)


def _as_json(specification: ModelSpecification) -> str:
    return json.dumps(to_dict(specification), indent=2, ensure_ascii=False) + "\n"


def _with_checksum(
    candidate_filter: FalsePositiveFilter | None, forest: bytes | None
) -> FalsePositiveFilter | None:
    from TumorSegLib.model.candidate_features import FEATURES

    if candidate_filter is None or forest is None:
        return None
    return replace(candidate_filter, features=FEATURES, sha256=hashlib.sha256(forest).hexdigest())


def _stored(
    network: nn.Module, dtype: StoredType, float16: Collection[str]
) -> tuple[bytes, Weights]:
    from TumorSegLib.model.stored_weights import to_bytes

    content = to_bytes(network, dtype, float16=float16)
    return content, Weights(
        sha256=hashlib.sha256(content).hexdigest(),
        dtype=dtype,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        content = _read(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; install the model again") from None
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != sha256:
        raise ModelError(
            f"{path}: SHA-256 is {checksum[:12]}..., model.json says {sha256[:12]}...;"
            " the file is damaged or not this model's, install it again"
        )
    return content


def _read(path: Path) -> bytes:
    """Return a file's content, if it is a file and no larger than a model's."""
    status, largest = path.stat(), LARGEST[path.name]
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path}: is no file, expected a model's")
    if status.st_size > largest:
        raise ModelError(f"{path}: larger than {largest} bytes, not a model")
    return path.read_bytes()
