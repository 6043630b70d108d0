"""Uses an installed TumorSeg as its users do, and says so where it uses the checkout instead.

    python -I tools/check_installed.py SOURCE CHECKOUT

Runs in the environment in which TumorSeg is installed, in a folder for what it writes. SOURCE is
what the wheel was built from, CHECKOUT where nothing may be imported from.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import tumorseg_training
import TumorSegLib
import TumorSegWeb
from TumorSegLib import cli

PACKAGES = {
    "TumorSegLib": "TumorSegLib",
    "tumorseg_training": "training/tumorseg_training",
    "TumorSegModule/logic": "TumorSeg/TumorSegModule/logic",
    "TumorSegWeb": "TumorSegWeb",
}
FOLDERS = {"Resources": "TumorSegLib/Resources", "training/configs": "tumorseg_training/configs"}
"""What belongs to the packages, in the checkout and where it is installed."""


OPTIONAL = {
    "aiohttp",
    "dicomweb_client",
    "fastapi",
    "highdicom",
    "lightning",
    "matplotlib",
    "monai",
    "pyarrow",
    "pynetdicom",
    "ray",
    "reportlab",
    "slicer",
    "sklearn",
    "starlette",
    "tensorboard",
    "uvicorn",
    "trame",
    "trame_server",
    "trame_slicer",
    "vtk",
    "vtkmodules",
}
"""Packages that are installed for some work only."""


def main(source: Path, checkout: Path) -> None:
    """Check all; stop at the first that is wrong."""
    installed = Path(TumorSegLib.__file__).parents[1]
    assert installed.is_relative_to(sys.prefix), installed
    assert Path(tumorseg_training.__file__).parents[1] == installed
    check_files(source, installed)
    check_models(installed)
    check_segmentation()
    check_training(installed)
    check_packages()
    check_installation(installed)
    check_imports(checkout)


def check_files(source: Path, installed: Path) -> None:
    """Every file of the packages and of what belongs to them is installed, and as it is."""
    pairs = {source / ours: installed / theirs for ours, theirs in FOLDERS.items()}
    pairs |= {source / ours: installed / theirs for theirs, ours in PACKAGES.items()}
    count = 0
    for ours, theirs in pairs.items():
        for path in sorted(ours.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                place = theirs / path.relative_to(ours)
                assert place.is_file(), f"{place} is not installed"
                assert place.read_bytes() == path.read_bytes(), f"{place} is another one"
                count += 1
    print(f"{count} files are installed")


def check_models(installed: Path) -> None:
    """The models that come with TumorSeg are listed, all usable, from where they are installed."""
    listed = json.loads(output("models", "--json"))
    assert listed["broken"] == [], listed["broken"]
    folders = {Path(model["folder"]).parent for model in listed["models"]}
    assert folders == {installed / "TumorSegLib" / "Resources" / "Models"}, folders
    print(f"{len(listed['models'])} models")


def check_segmentation() -> None:
    """The command segments a phantom, and finds its tumour."""
    import SimpleITK as sitk

    assert cli.main(["demo"]) == 0
    labels = sitk.GetArrayFromImage(sitk.ReadImage("demo/segmentation.seg.nrrd"))
    assert labels.any(), "no tumour in the phantom"
    print(f"a tumour of {int((labels > 0).sum())} voxels in a phantom")


def check_training(installed: Path) -> None:
    """Training is offered; without its packages it says in one line how to install them."""
    from tumorseg_training.places import config_file

    command = Path(sys.executable).with_name("tumorseg")
    for words, status in ((["train", "--help"], 0), (["train", "brain-lgg-linknet"], 2)):
        done = subprocess.run([command, *words], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "-m pip install" in done.stderr, done.stderr
    assert config_file("brain-lgg-linknet").is_relative_to(installed)
    print(done.stderr.strip())


def check_packages() -> None:
    """Every module can be imported, but for packages that only some work needs."""
    for package in (TumorSegLib, tumorseg_training, TumorSegWeb):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                missing = (error.name or "").partition(".")[0]
                assert missing in OPTIONAL, f"{module.name} needs {missing}, which is not installed"


def check_installation(installed: Path) -> None:
    """A model is installed from a file whose SHA-256 is known, and removed."""
    model = installed / "TumorSegLib" / "Resources" / "Models" / "brain-lgg-detector"
    archive = Path("own.zip")
    with zipfile.ZipFile(archive, "w") as written:
        written.write(model / "weights.safetensors", "weights.safetensors")
        content = json.loads((model / "model.json").read_text(encoding="utf-8"))
        written.writestr("model.json", json.dumps(content | {"id": "own"}))
    known = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert cli.main(["models", "--install", str(archive), "--sha256", "0" * 64, "--yes"]) == 2
    assert "own" not in ids()
    assert "own" in ids("--install", str(archive), "--sha256", known, "--yes")
    assert "own" not in ids("--remove", "own")


def check_imports(checkout: Path) -> None:
    """Nothing that was imported lies in the checkout."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    for file in filter(None, files):
        inside = Path(file).is_relative_to(checkout) and not Path(file).is_relative_to(sys.prefix)
        assert not inside or Path(file).name == Path(__file__).name, file
    print("nothing was imported from the checkout")


def ids(*words: str) -> set[str]:
    """Return the ids of the models that are listed, after what `words` ask for."""
    return {model["id"] for model in json.loads(output("models", "--json", *words))["models"]}


def output(*words: str) -> str:
    """Return what the command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert cli.main(words) == 0, words
    return printed.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
