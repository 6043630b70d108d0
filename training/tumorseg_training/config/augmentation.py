"""Random changes of slices: `[augmentation]` of a config."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; 0 switches one off.

    Attributes:
        rotate: degrees to either side.
        scale: part of the size by which it grows or shrinks.
        shear: ratio.
        shift: up, down and to the sides; part of the slice's height.
        elastic: largest displacement, part of the slice's height.
        crop: rows and columns of the part, anywhere, that is shown of a slice; smaller slices are
            padded with air. 0: the whole slice, which asks for cases of one size.
        flip: mirror left and right.
        gain: part of the intensity, drawn for each sequence.
        bias: added to intensities in [0, 1], likewise.
        gamma: how far the exponent is from 1.
        noise: standard deviation, intensities being in [0, 1].
        blur: standard deviation in pixels.
        bias_field: largest coefficient of its polynomial.
        drop_channels: probability that a sequence is missing.
        lesions: probability that lesions are painted into the organ of a CT slice.
        mimics: probability that what looks like a lesion (gallbladder, bowel) is painted beside
            the organ of a CT slice, as background.
        organ_shift: Hounsfield units by which a CT slice's organ gets brighter or darker, in a
            third of the slices.
        oblique: degrees by which a plane is turned out of the axial one.
        oblique_share: of the slices drawn, those along oblique planes.
        context_step: slices by which neighbours lie apart at most, in half of the axial slices; 0
            of them shows the slice itself as its neighbours, as if nothing went on in the next.
    """

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    crop: int = 0
    flip: bool = False
    gain: float = 0.0
    bias: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    bias_field: float = 0.0
    drop_channels: float = 0.0
    lesions: float = 0.0
    mimics: float = 0.0
    organ_shift: float = 0.0
    oblique: float = 0.0
    oblique_share: float = 0.2
    context_step: int = 0

    def __post_init__(self) -> None:
        if self.crop < 0 or self.crop % 32:
            raise ValueError(f"crop {self.crop} is not 0 or a multiple of 32 pixels")
        for name, largest in LARGEST_CHANGES.items():
            value = getattr(self, name)
            if not 0 <= value <= largest:
                raise ValueError(f"{name} {value:g} is not within 0 and {largest:g}")


LARGEST_CHANGES = {
    "rotate": 180.0,
    "scale": 0.9,
    "shear": 1.0,
    "shift": 0.5,
    "elastic": 0.2,
    "gain": 1.0,
    "bias": 1.0,
    "gamma": 0.95,
    "noise": 1.0,
    "blur": 20.0,
    "bias_field": 5.0,
    "drop_channels": 1.0,
    "lesions": 1.0,
    "mimics": 1.0,
    "organ_shift": 200.0,
    "oblique": 60.0,
    "oblique_share": 1.0,
    "context_step": 20,
}
