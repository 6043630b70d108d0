"""Models come in from a file or folder, checked before anything is believed, and go out again."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from bright_models import write_model

from TumorSegLib import cli
from TumorSegLib.errors import ModelError, OutputError
from TumorSegLib.model import model_import
from TumorSegLib.model.bundle import check_files
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.default_models import make_default, read_defaults
from TumorSegLib.model.licences import licence_of, licences_of
from TumorSegLib.model.model_import import add_models, can_remove, remove_model, unpacked_models
from TumorSegLib.support import leftovers

LICENCE = "CC BY-NC-SA 4.0"


@pytest.fixture
def own(tmp_path):
    """The folder of the user's own models, not there yet."""
    return tmp_path / "own"


@pytest.fixture
def model(tmp_path):
    """A model in a folder elsewhere, with a card and something that is no part of it."""
    folder = write_model(tmp_path / "elsewhere", "tiny", licence=LICENCE)
    (folder / "README.md").write_text("# Tiny")
    (folder / "run.py").write_text("raise SystemExit")
    return folder


def zipped(path, model, inside="tiny/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in model.iterdir():
            archive.write(file, f"{inside}{file.name}")
    return path


def take(source, own, catalogue=None, **options):
    catalogue = Catalogue.of([own]) if catalogue is None else catalogue
    with unpacked_models(source, own) as bundles:
        return add_models(bundles, catalogue, own, **options)


def with_other(model, **keys):
    path = model / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def contents(folder):
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


@pytest.mark.parametrize("inside", ["", "tiny/", "Models/tiny/"])
def test_a_model_comes_out_of_an_archive(tmp_path, model, own, inside):
    (bundle,) = take(zipped(tmp_path / "model.zip", model, inside), own)
    assert bundle.folder == own / "tiny"
    assert contents(own) == ["README.md", "model.json", "tiny", "weights.safetensors"]
    (found,) = Catalogue.of([own]).bundles
    assert found.specification == bundle.specification


@pytest.mark.parametrize("level", [0, 1])
def test_a_model_comes_out_of_a_folder_which_stays(model, own, level):
    source = model if level == 0 else model.parent
    take(source, own)
    assert contents(own) == ["README.md", "model.json", "tiny", "weights.safetensors"]
    assert (model / "weights.safetensors").is_file()


def test_an_ensemble_comes_with_its_members(tmp_path, model, own):
    content = json.loads((model / "model.json").read_text())
    for name in ("network", "weights", "provenance"):
        content.pop(name, None)
    both = model.parent / "both"
    both.mkdir()
    content |= {"id": "both", "members": ["tiny", "tiny2"]}
    (both / "model.json").write_text(json.dumps(content))
    write_model(model.parent, "tiny2")
    assert {bundle.id for bundle in take(model.parent, own)} == {"both", "tiny", "tiny2"}
    with pytest.raises(ModelError, match="is a member of both; remove that ensemble first"):
        remove_model(Catalogue.of([own]).find("tiny"), Catalogue.of([own]), own)


def test_an_ensemble_without_its_members_stays_out(model, own):
    content = json.loads((model / "model.json").read_text())
    for name in ("network", "weights", "provenance"):
        content.pop(name, None)
    (model / "model.json").write_text(json.dumps(content | {"id": "both", "members": ["nobody"]}))
    with pytest.raises(ModelError, match="model nobody: not found"):
        take(model, own)
    assert not contents(own)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "tiny/../../evil.txt",
        "/evil.txt",
        "C:/evil.txt",
        "C:evil.txt",
        "..\\evil.txt",
        "tiny\\..\\..\\evil.txt",
        "tiny/weights.safetensors:stream",
    ],
)
def test_entries_that_point_elsewhere_are_refused(tmp_path, model, own, name):
    path = zipped(tmp_path / "model.zip", model)
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("x")
        entry.filename = name  # as a hostile program writes it
        archive.writestr(entry, "evil")
    with pytest.raises(ModelError, match="points out of the archive"):
        take(path, own)
    assert not contents(own)
    assert not list(tmp_path.rglob("evil.txt"))


def test_links_in_an_archive_are_refused(tmp_path, model, own):
    path = zipped(tmp_path / "model.zip", model)
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("tiny/LICENSE")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ModelError, match="is a link"):
        take(path, own)
    assert not contents(own)


def test_links_in_a_folder_are_refused(tmp_path, model, own):
    (tmp_path / "secret").write_text("secret")
    (model / "LICENSE").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="is a link"):
        take(model, own)
    assert not contents(own)


def test_what_is_larger_than_a_model_is_refused_before_it_is_written(tmp_path, model, own):
    path = zipped(tmp_path / "model.zip", model)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/thumbnail.png", bytes(5 << 20))
    with pytest.raises(ModelError, match=r"thumbnail\.png: 5242880 bytes, expected at most"):
        take(path, own)
    assert not contents(own)


def test_a_size_that_the_header_lies_about_is_noticed(tmp_path, model, own, monkeypatch):
    path = zipped(tmp_path / "model.zip", model)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/thumbnail.png", bytes(5 << 20))
    monkeypatch.setattr(model_import, "_check_size", lambda *_: None)  # as if it had said 1 byte
    with pytest.raises(ModelError, match="more than 4194304 bytes"):
        take(path, own)
    assert not contents(own)


def test_a_thousand_entries_are_no_model(tmp_path, own):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}/a", "")
    with pytest.raises(ModelError, match="1001 entries"):
        take(path, own)


def damaged(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_damaged_weights_stay_out_and_the_message_names_the_source(tmp_path, model, own, kind):
    damaged(model / "weights.safetensors")
    source = model if kind == "folder" else zipped(tmp_path / "model.zip", model)
    with pytest.raises(ModelError, match="SHA-256 is .*damaged") as caught:
        take(source, own)
    assert str(source) in str(caught.value)
    assert ".import-" not in str(caught.value)
    assert not contents(own)


def test_missing_weights_stay_out(model, own):
    (model / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="weights"):
        take(model, own)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"nothing", "not a whole .zip"), (b"PK\x03\x04 cut off", "not a whole .zip")],
)
def test_other_files_are_no_models(tmp_path, own, content, words):
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        take(path, own)


def test_a_damaged_archive_is_told(tmp_path, model, own):
    path = zipped(tmp_path / "model.zip", model)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError):
        take(path, own)
    assert not contents(own)


def test_a_folder_without_a_model_and_a_path_to_nothing_are_told(tmp_path, own):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="holds no model"):
        take(tmp_path / "empty", own)
    with pytest.raises(ModelError, match="there is no such file"):
        take(tmp_path / "nowhere.zip", own)


def test_a_second_model_of_the_same_id_stays_out(tmp_path, model, own):
    take(model, own)
    with pytest.raises(ModelError, match=r"one of this id already \(version 1\); remove it first"):
        take(model, own)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_model_that_comes_with_tumorseg_is_never_replaced(tmp_path, model, own, overwrite):
    shipped = Catalogue.of([model.parent])
    with pytest.raises(ModelError, match="comes with TumorSeg and stays; give yours another id"):
        take(model, own, shipped, overwrite=overwrite)
    assert not contents(own)


def test_ones_own_model_is_replaced_if_that_is_asked_for(tmp_path, model, own):
    take(model, own)
    (own / "tiny").rename(own / "renamed by hand")
    with_other(model, version="2")
    take(model, own, overwrite=True)
    (found,) = Catalogue.of([own]).bundles
    assert found.specification.version == "2"
    assert found.folder == own / "renamed by hand"
    assert contents(own) == ["README.md", "model.json", "renamed by hand", "weights.safetensors"]


def test_a_model_is_not_replaced_by_one_that_cannot_be_used(tmp_path, model, own):
    take(model, own)
    damaged(model / "weights.safetensors")
    with pytest.raises(ModelError, match="SHA-256"):
        take(model, own, overwrite=True)
    (found,) = Catalogue.of([own]).bundles
    check_files(found)
    assert contents(own) == ["README.md", "model.json", "tiny", "weights.safetensors"]


def test_a_member_is_not_replaced_by_one_that_does_not_fit_its_ensemble(tmp_path, model, own):
    content = json.loads((model / "model.json").read_text())
    both = {key: content[key] for key in content if key not in ("network", "weights")}
    (model.parent / "both").mkdir()
    path = model.parent / "both" / "model.json"
    path.write_text(json.dumps(both | {"id": "both", "members": ["tiny"], "training": {}}))
    take(model.parent, own)
    with_other(model, labels=[{**label, "value": 7} for label in content["labels"]])
    with pytest.raises(ModelError, match="model both: its member tiny has other labels"):
        take(model, own, overwrite=True)
    assert Catalogue.of([own]).find("tiny").specification.labels[0].value != 7


def test_what_lies_in_a_models_place_and_is_none_is_not_replaced(tmp_path, model, own):
    (own / "tiny").mkdir(parents=True)
    (own / "tiny" / "thesis.docx").touch()
    with pytest.raises(OutputError, match=r"thesis\.docx, which is no part of a model"):
        take(model, own, overwrite=True)
    assert contents(own) == ["thesis.docx", "tiny"]


def test_what_an_installation_left_that_was_killed_goes(model, own):
    left = own / f".import-{leftovers.owner().rpartition('-')[0]}-{2**22 + 1}-abc"
    left.mkdir(parents=True)
    (left / "model.zip").touch()
    take(model, own)
    assert not left.exists()


def test_what_is_not_taken_leaves_nothing_behind(model, own):
    with unpacked_models(model, own) as (bundle,):
        assert bundle.folder.is_dir()
    assert not contents(own)


def test_ones_own_models_can_be_removed_and_shipped_ones_not(model, own):
    (bundle,) = take(model, own)
    make_default(bundle.specification, own)
    assert can_remove(bundle, own)
    remove_model(bundle, Catalogue.of([own]), own)
    assert not (own / "tiny").exists()
    assert not read_defaults(own)
    shipped = Catalogue.of([model.parent])
    assert not can_remove(shipped.bundles[0], own)
    with pytest.raises(ModelError, match="comes with TumorSeg and cannot be removed"):
        remove_model(shipped.bundles[0], shipped, own)
    assert model.is_dir()


def test_the_command_imports_and_removes(tmp_path, model, own, monkeypatch, capsys):
    monkeypatch.setenv("TUMORSEG_MODELS", str(own))
    path = zipped(tmp_path / "model.zip", model)
    assert cli.main(["models", "--import", str(path)]) == 2
    printed = capsys.readouterr().err
    assert "CC BY-NC-SA 4.0 https://creativecommons.org" in printed
    assert "for want of --yes to its licence" in printed
    assert not contents(own)
    assert cli.main(["models", "--import", str(path), "--yes", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert "tiny" in {entry["id"] for entry in models}
    assert cli.main(["models", "--remove", "tiny"]) == 0
    assert cli.main(["models", "--remove", "tiny"]) == 2
    assert cli.main(["models", "--remove", "liver-ct-unet"]) == 2
    assert "comes with TumorSeg" in capsys.readouterr().err


def test_every_shipped_licence_is_known():
    from TumorSegLib.model.catalogue import SHIPPED

    for licence in licences_of(Catalogue.of([SHIPPED]).bundles):
        assert licence.url.startswith("https://creativecommons.org/licenses/")
        assert "commercial" in licence.use
        assert ("No derivatives" in licence.retraining) == ("-ND" in licence.name)
    for path in SHIPPED.glob("*/model.json"):
        assert json.loads(Path(path).read_text())["licence"], path


def test_an_unknown_licence_is_shown_as_it_is():
    assert licence_of("Own terms").name == "Own terms"
    assert "card" in licence_of("Own terms").use


def test_a_disk_that_cannot_be_written_is_told(model, own, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutputError, match="No space left on device; no model was imported"):
        take(model, own)
