"""Small bundles with random weights, for tests that care about everything but accuracy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from TumorSegLib.image.in_plane import FieldOfView, PixelSpacing
from TumorSegLib.image.normalisation import ForegroundRange, Window
from TumorSegLib.model.bundle import Bundle, write_bundle
from TumorSegLib.model.candidate_features import FEATURES
from TumorSegLib.model.forest import Forest
from TumorSegLib.model.specification import (
    Channel,
    CodedConcept,
    Input,
    Label,
    ModelSpecification,
    Network,
)
from TumorSegLib.networks import build_network

ALTERED = CodedConcept("SCT", "49755003", "Morphologically Altered Structure")
MASS = CodedConcept("SCT", "4147007", "Mass")
ORGAN = CodedConcept("SCT", "123037004", "Anatomical Structure")
LIVER = CodedConcept("SCT", "10200004", "Liver")

TUMOUR = Label(1, "Tumour", (255, 196, 0), ALTERED, MASS)

BRAIN_INPUT = Input(
    channels=(
        Channel("flair", "FLAIR"),
        Channel("t1", "T1", "flair"),
        Channel("t1c", "T1 after contrast", "flair"),
    ),
    in_plane=FieldOfView(64),
    normalisation=ForegroundRange(),
)
CT_INPUT = Input(
    channels=(Channel("ct", "CT"),), in_plane=PixelSpacing(3.0), normalisation=Window(-40, 160)
)


def brain_specification(**changes: object) -> ModelSpecification:
    """A U-Net of width 4 for FLAIR, T1 and T1c."""
    base = ModelSpecification(
        id="tiny-brain",
        title="Tiny brain model",
        version="1",
        description="for tests",
        modality="MR",
        input=BRAIN_INPUT,
        labels=(TUMOUR,),
        network=Network("U-Net", {"in_channels": 3, "out_channels": 1, "width": 4, "depth": 2}),
    )
    return replace(base, **changes)


def ct_specification(**changes: object) -> ModelSpecification:
    """A U-Net of width 4 for liver and its tumours, with softmax."""
    base = ModelSpecification(
        id="tiny-ct",
        title="Tiny CT model",
        version="1",
        description="for tests",
        modality="CT",
        input=CT_INPUT,
        labels=(
            Label(1, "Liver", (221, 130, 101), ORGAN, LIVER, includes=(2,)),
            Label(2, "Liver tumour", (144, 238, 144), ALTERED, MASS, LIVER),
        ),
        activation="softmax",
        network=Network("U-Net", {"in_channels": 1, "out_channels": 3, "width": 4, "depth": 2}),
    )
    return replace(base, **changes)


def write_tiny_bundle(folder: Path, specification: ModelSpecification, *, seed: int = 0) -> Bundle:
    """Write a bundle with random weights whose answers are neither empty nor full."""
    torch.manual_seed(seed)
    assert specification.network is not None
    network = build_network(specification.network.name, specification.network.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return write_bundle(
        folder / specification.id, specification, network, dtype="float32", card="# Tiny\n"
    )


def write_blind_detector(folder: Path) -> Bundle:
    """Write a detector for brain MRI that never finds anything."""
    network = Network("ResNet-50", {"in_channels": 3, "out_channels": 1, "width": 4})
    built = build_network(network.name, network.arguments)
    torch.nn.init.constant_(built.head[-1].bias, -50.0)
    specification = brain_specification(id="blind", task="detection", network=network)
    return write_bundle(folder / "blind", specification, built, dtype="float32", card="# Blind\n")


def stump(feature: str, threshold: float) -> Forest:
    """A forest of one tree: certain above a feature's threshold, a tenth below."""
    index = FEATURES.index(feature)
    return Forest(
        roots=np.array([0], np.int32),
        feature=np.array([index, 0, 0], np.int32),
        threshold=np.array([threshold, 0, 0], np.float32),
        left=np.array([1, 1, 2], np.int32),
        right=np.array([2, 1, 2], np.int32),
        value=np.array([0, 0.1, 1], np.float32),
    )
