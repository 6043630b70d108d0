"""Finds TumorSegLib in a checkout, without making importable what else lies there."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

MODULE_FOLDER = Path(__file__).resolve().parent.parent


def find_library(module_folder: Path = MODULE_FOLDER) -> None:
    """Make TumorSegLib importable.

    An installed extension has it beside the module, where Slicer looks. In a checkout it lies one
    folder higher, beside `training`, `Testing` and `docs`: a path to that folder would make these
    importable for every module in Slicer, so the package alone is made known.

    Args:
        module_folder: in which TumorSeg.py lies.
    """
    package = module_folder.parent / "TumorSegLib"
    if "TumorSegLib" in sys.modules or not (package / "__init__.py").is_file():
        return
    spec = spec_from_file_location(
        "TumorSegLib", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["TumorSegLib"] = module
    spec.loader.exec_module(module)
