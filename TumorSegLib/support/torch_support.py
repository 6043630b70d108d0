"""Which PyTorch there is for this computer, and what that leaves out. Imports no torch."""

from __future__ import annotations

from TumorSegLib.support import system

USUAL = ">=2.4"
INTEL_MAC = ">=2.2"
"""2.2.2 is the last for Macs with Intel processors, and for 3D Slicer on other Macs, which is built
for Intel."""


def torch_requirement() -> str:
    """Return the versions of PyTorch that this computer needs and can have, for pip."""
    return INTEL_MAC if system.is_intel_mac() else USUAL


def why_not_train() -> str | None:
    """Return why models cannot be trained on this computer; nothing if they can."""
    if not system.is_intel_mac():
        return None
    return (
        "training is not supported on this Mac yet: MONAI needs PyTorch 2.4, and the last one for"
        " Intel's processors is 2.2; export the corrected cases and train on another computer"
    )
