"""What Slicer's public interfaces are, as facts: names and parameters of 5.10 and 5.12.

`slicer_facts.json` holds those that the module and the stand-in use. Made from the full list:

    python Testing/host/slicer_facts.py FULL_LIST.json

CTK's DICOM classes, which that list leaves out, are in `ctk_dicom_facts.json`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

VERSIONS = ("5.10", "5.12")
FILE = Path(__file__).with_name("slicer_facts.json")
DICOM_FILE = Path(__file__).with_name("ctk_dicom_facts.json")

PYTHON = ("ScriptedLoadableModule", "i18n", "util", "SampleData", "packaging", "PyTorchUtils",
          "parameterNodeWrapper.wrapper")  # fmt: skip
CLASSES = (
    "qMRMLNodeComboBox", "qMRMLSegmentEditorWidget", "qMRMLSegmentationShow3DButton",
    "qMRMLWidget", "qSlicerScriptedLoadableModuleWidget", "qSlicerScriptedLoadableModule",
    "qSlicerApplication", "qSlicerCommandOptions", "qSlicerModuleManager",
    "qSlicerBaseQTBasePythonQtDecorators", "ctkCollapsibleButton", "ctkSliderWidget",
    "qSlicerCropVolumeModule", "qSlicerMarkupsModule", "qSlicerPlotsModule",
    "qSlicerSegmentationsModule", "qSlicerSequencesModule", "qSlicerSubjectHierarchyModule",
    "qSlicerTablesModule", "qSlicerTerminologiesModule", "qSlicerVolumesModule",
)  # fmt: skip
"""Classes that the module or the stand-in has; their bases come with them."""

UNSTATED = {"widgetRepresentation": "qSlicerAbstractCoreModule"}
"""Invokable by PythonQt, as `slicer.util.getModuleWidget` shows, though the list leaves it out."""


@dataclass
class Interface:
    """What scripts see of a class and its bases, down to `qt`, a class of Qt.

    Attributes:
        properties: type by name; " read-only" follows where it is.
        signals: numbers of parameters by name.
        methods: numbers of parameters by name of slots; invokables have none stated.
        enums: values.
        qt: name of the first base that is Qt's own.
    """

    properties: dict[str, str] = field(default_factory=dict)
    signals: dict[str, set[int]] = field(default_factory=dict)
    methods: dict[str, set[int]] = field(default_factory=dict)
    enums: set[str] = field(default_factory=set)
    qt: str = ""


class Facts:
    """The facts of all versions."""

    def __init__(self, content: dict | None = None):
        """Take `content`, or that of the files beside this one."""
        self.content = content or {
            **json.loads(DICOM_FILE.read_text()),
            **json.loads(FILE.read_text()),
        }

    def python(self, version: str, module: str) -> dict:
        """Return functions and classes of a Python module, {} if the version has none."""
        return self.content.get(f"python/{version}/{module}", {})

    def has_class(self, version: str, name: str) -> bool:
        """Tell whether a class is known."""
        return self._entry(version, name) is not None

    def has_module(self, version: str, name: str) -> bool:
        """Tell whether `slicer.modules` has a module of this name."""
        start, end = f"widgets/{version}/qslicer", "module"
        return f"{start}{name}{end}" in {
            key.lower() for key in self.content if not key.endswith("AbstractModule")
        }

    def interface(self, version: str, name: str) -> Interface:
        """Return what scripts see of a class and its bases.

        Raises:
            KeyError: the facts do not know it.
        """
        if not self.has_class(version, name):
            raise KeyError(f"{name}: not in the facts for {version}")
        found = Interface()
        while (entry := self._entry(version, name)) is not None:
            found.properties |= entry.get("properties", {})
            for signature in entry.get("signals", ()):
                _add(found.signals, signature)
            for signature in entry.get("slots", ()):
                _add(found.methods, signature)
            for method in entry.get("invokable", ()):
                found.methods.setdefault(method, set())
            for method, owner in UNSTATED.items():
                if owner == name:
                    found.methods.setdefault(method, set())
            found.enums |= {value for values in entry.get("enums", {}).values() for value in values}
            name = entry["base"]
        found.qt = name
        return found

    def decorators(self, version: str, name: str) -> set[str]:
        """Return what Slicer adds to a class for scripts alone."""
        slots = self._entry(version, "qSlicerBaseQTBasePythonQtDecorators")["slots"]
        prefix = f"static_{name}_"
        return {
            slot.partition("(")[0].removeprefix(prefix)
            for slot in slots
            if slot.startswith(prefix) or f"({name}*" in slot
        }

    def _entry(self, version, name):
        return self.content.get(f"widgets/{version}/{name}") or self.content.get(
            f"widgets/ctk/{name}"
        )


def reduced(content: dict) -> dict:
    """Return the part of the full list that the module and the stand-in use."""
    full, kept = Facts(content), {"what": content["what"]}
    for version in VERSIONS:
        for module in PYTHON:
            if found := full.python(version, module):
                kept[f"python/{version}/{module}"] = found
        for name in CLASSES:
            while (entry := full._entry(version, name)) is not None:
                key = f"widgets/{version}/{name}"
                key = key if key in content else f"widgets/ctk/{name}"
                kept[key] = entry
                name = entry["base"]
    return kept


def text_of(content: dict) -> str:
    """Return facts as the text of a file, an entry a line."""
    lines = [f"{json.dumps(key)}: {json.dumps(content[key])}" for key in sorted(content)]
    return "{" + ",\n".join(lines) + "}\n"


def _add(numbers, signature):
    """Note how many parameters an overload takes, also without those that have defaults."""
    name, _, rest = signature.partition("(")
    parameters = [part for part in rest.rstrip(")").split(",") if part.strip()]
    needed = sum("=" not in parameter for parameter in parameters)
    numbers.setdefault(name, set()).update(range(needed, len(parameters) + 1))


if __name__ == "__main__":
    FILE.write_text(text_of(reduced(json.loads(Path(sys.argv[1]).read_text()))))
