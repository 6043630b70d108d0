"""How runs are to be made, wherever that is kept: in the panel's node or by the page. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from TumorSegModule.logic.parameters import Parameters


@dataclass(frozen=True)
class Settings:
    """The settings of a series of runs as they were when it began.

    Attributes are those of `TumorSegModule.logic.parameters.Parameters`.
    """

    model: str = ""
    device: str = "auto"
    precision: str = "auto"
    ensemble: bool = False
    onlyDetected: bool = False
    flips: str = "auto"
    keepModel: bool = True

    @classmethod
    def of(cls, parameters: Parameters) -> Settings:
        """Return what `parameters` say now."""
        return cls(**{field.name: getattr(parameters, field.name) for field in fields(cls)})
