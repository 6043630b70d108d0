from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from tiny_models import brain_specification, ct_specification, stump, write_tiny_bundle

from TumorSegLib.errors import ModelError, OutputError
from TumorSegLib.model.bundle import Bundle, add_forest, load_forest, load_network, read_bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.checksum import model_checksum
from TumorSegLib.model.postprocessing import FalsePositiveFilter
from TumorSegLib.model.specification import Network
from TumorSegLib.networks import build_network
from TumorSegLib.support.leftovers import owned_name


@pytest.fixture
def bundle(tmp_path):
    return write_tiny_bundle(tmp_path, brain_specification())


def edit(bundle, **changes):
    path = bundle.folder / "model.json"
    content = json.loads(path.read_text())
    for keys, value in changes.items():
        inner = content
        *sections, last = keys.split("__")
        for section in sections:
            inner = inner[section]
        inner[last] = value
    path.write_text(json.dumps(content))
    return read_bundle(bundle.folder)


def replace_weights(bundle, content):
    (bundle.folder / "weights.safetensors").write_bytes(content)
    return edit(bundle, weights__sha256=hashlib.sha256(content).hexdigest())


def tensors_of(bundle):
    network = bundle.specification.network
    return build_network(network.name, network.arguments).state_dict()


def test_round_trip(bundle):
    assert read_bundle(bundle.folder) == bundle
    assert bundle.specification.weights.parameters == sum(
        parameter.numel() for parameter in load_network(bundle).parameters()
    )
    assert sorted(path.name for path in bundle.folder.iterdir()) == [
        "README.md",
        "model.json",
        "weights.safetensors",
    ]


def test_damaged_weights(bundle):
    path = bundle.folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256 is .*; the file is damaged"):
        load_network(bundle)


def test_missing_weights(bundle):
    (bundle.folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="weights.safetensors: No such file"):
        load_network(bundle)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_not_read(bundle):
    for content in (pickle.dumps(Bomb()), b"", b"\xff" * 64):
        with pytest.raises(ModelError, match="not a safetensors file"):
            load_network(replace_weights(bundle, content))


def test_missing_surplus_and_misshaped_tensors(bundle):
    tensors = tensors_of(bundle)
    name = "head.weight"
    without = {key: value for key, value in tensors.items() if key != name}
    with pytest.raises(ModelError, match="tensor head.weight is missing"):
        load_network(replace_weights(bundle, save(without)))
    with pytest.raises(ModelError, match=r"head.weight has shape \(2, 4, 1, 1\), expected \(1, 4"):
        load_network(replace_weights(bundle, save({**tensors, name: torch.zeros(2, 4, 1, 1)})))
    with pytest.raises(ModelError, match="tensor tail does not belong to U-Net"):
        load_network(replace_weights(bundle, save({**tensors, "tail": torch.zeros(1)})))
    with pytest.raises(ModelError, match="head.weight is F64, expected F32"):
        load_network(replace_weights(bundle, save({**tensors, name: tensors[name].double()})))


def test_absurd_network_is_refused_before_it_is_built(bundle):
    changed = edit(bundle, network__arguments={"in_channels": 3, "out_channels": 1, "width": 10**6})
    with pytest.raises(ModelError, match="width is 1000000, expected at most 8192"):
        load_network(changed)
    changed = edit(bundle, network__arguments={"in_channels": 3, "out_channels": 1, "width": 8192})
    with pytest.raises(ModelError, match="has shape .*, expected"):
        load_network(changed)
    changed = edit(bundle, network__arguments={"in_channels": 3, "out_channels": 1, "depth": 8000})
    with pytest.raises(ModelError, match="do not fit"):
        load_network(changed)


def test_unknown_network_and_mismatched_channels(bundle):
    with pytest.raises(ModelError, match="found 'Transformer', expected one of"):
        load_network(edit(bundle, network__name="Transformer"))
    with pytest.raises(ModelError, match="in_channels"):
        edit(bundle, network={"name": "U-Net", "arguments": {"in_channels": 5, "out_channels": 1}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "not JSON"),
        ("[]", "expected keys and values"),
        ("{}", "id: missing"),
        ("\x00" * (2 << 20), "larger than"),
    ],
)
def test_unusable_specification(tmp_path, content, message):
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_bundle(tmp_path)


def test_newer_format(bundle):
    with pytest.raises(ModelError, match="format 99 is newer than 2; update TumorSeg"):
        edit(bundle, format=99)


def test_a_models_checksum_is_of_its_file_and_not_of_what_a_version_reads_in_it(bundle):
    """Version by version the description gets fields, which would have all cases done again."""
    catalogue = Catalogue((bundle,))
    checksum = model_checksum(bundle, catalogue)
    read_otherwise = Bundle(bundle.folder, replace(bundle.specification, anatomy="new"))
    assert model_checksum(read_otherwise, catalogue) == checksum
    path = bundle.folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=7))
    assert model_checksum(bundle, catalogue) == checksum
    edit(bundle, version="9.9.9")
    assert model_checksum(bundle, catalogue) != checksum
    path.unlink()
    with pytest.raises(ModelError, match=r"model\.json: cannot be read"):
        model_checksum(bundle, catalogue)


def test_catalogue(tmp_path):
    theirs, ours = tmp_path / "shipped", tmp_path / "own"
    write_tiny_bundle(theirs, brain_specification(default=True))
    write_tiny_bundle(theirs, brain_specification(id="another"))
    own = write_tiny_bundle(ours, brain_specification(version="2"))
    (theirs / "broken").mkdir()
    (theirs / "broken" / "model.json").write_text("{")
    catalogue = Catalogue.of([ours, theirs, tmp_path / "absent"])
    assert [bundle.id for bundle in catalogue.bundles] == ["another", "tiny-brain"]
    assert catalogue.find("tiny-brain") == own
    assert catalogue.find(str(own.folder)) == own
    assert Catalogue.of([str(ours), str(theirs)]) == catalogue
    assert len(catalogue.broken) == 1
    assert catalogue.default_for("MR").id == "another"  # the own one hides the shipped default
    with pytest.raises(
        ModelError, match="model nothing: not found; models here are: another, tiny"
    ):
        catalogue.find("nothing")
    with pytest.raises(ModelError, match="no model for segmentation on CT"):
        catalogue.default_for("CT")


def test_ensemble_members_must_fit(tmp_path):
    write_tiny_bundle(tmp_path, brain_specification(id="first"))
    write_tiny_bundle(tmp_path, brain_specification(id="second"))
    other_input = brain_specification().input
    other = brain_specification(
        id="third",
        input=type(other_input)(
            other_input.channels[:1], other_input.in_plane, other_input.normalisation
        ),
        network=Network("U-Net", {"in_channels": 1, "out_channels": 1, "width": 4, "depth": 2}),
    )
    write_tiny_bundle(tmp_path, other)
    for members in (["first", "second"], ["first", "third"], ["first", "absent"]):
        folder = tmp_path / f"ensemble-{members[1]}"
        folder.mkdir()
        content = json.loads((tmp_path / "first" / "model.json").read_text())
        del content["network"], content["weights"]
        (folder / "model.json").write_text(
            json.dumps({**content, "id": folder.name, "members": members})
        )
    catalogue = Catalogue.of([tmp_path])
    assert [m.id for m in catalogue.members(catalogue.find("ensemble-second"))] == [
        "first",
        "second",
    ]
    with pytest.raises(ModelError, match="member third differs in input"):
        catalogue.members(catalogue.find("ensemble-third"))
    with pytest.raises(ModelError, match="model absent: not found"):
        catalogue.members(catalogue.find("ensemble-absent"))


@pytest.fixture
def judged(tmp_path):
    """A bundle without a forest, which a forest may judge."""
    return write_tiny_bundle(tmp_path / "judged", ct_specification())


def content_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def replace_whole(bundle):
    write_tiny_bundle(bundle.folder.parent, replace(bundle.specification, version="2"), seed=1)


def add_stump(bundle):
    add_forest(bundle, stump("share", 0.5), FalsePositiveFilter(label=2, organ=1))


WAYS = pytest.mark.parametrize("write", [replace_whole, add_stump])


@WAYS
def test_a_rename_that_fails_leaves_the_old_model(judged, write, monkeypatch):
    """As on Windows, where a virus scanner looks at the new files, or a viewer at the old ones."""
    before = content_of(judged.folder.parent)
    rename = Path.rename
    for refused in ("partial", judged.folder.name):
        asked = []

        def refuse(self, target, refused=refused, asked=asked):
            if self.name.endswith(refused):
                asked.append(self)
                raise PermissionError(13, "Access is denied")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", refuse)
        with pytest.raises(OutputError, match="Access is denied; the model was not written"):
            write(judged)
        assert asked
        assert content_of(judged.folder.parent) == before
        load_network(read_bundle(judged.folder))


@WAYS
@pytest.mark.parametrize("failing", range(4))
def test_a_full_disk_leaves_the_old_model(judged, write, failing, monkeypatch):
    before = content_of(judged.folder.parent)
    count = 0

    def full(method):
        def write_one(self, *arguments, **options):
            nonlocal count
            count += 1
            if count > failing:
                raise OSError(28, "No space left on device")
            return method(self, *arguments, **options)

        return write_one

    for name in ("write_bytes", "write_text"):
        monkeypatch.setattr(Path, name, full(getattr(Path, name)))
    with contextlib.suppress(OutputError):
        write(judged)
    monkeypatch.undo()
    if count > failing:
        assert content_of(judged.folder.parent) == before
    load_forest(read_bundle(judged.folder))
    load_network(read_bundle(judged.folder))


@WAYS
def test_what_is_written_replaces_the_model_and_leaves_nothing_else(judged, write):
    before = content_of(judged.folder)
    write(judged)
    assert content_of(judged.folder) != before
    assert [path.name for path in judged.folder.parent.iterdir()] == [judged.folder.name]
    assert (load_forest(read_bundle(judged.folder)) is not None) == (write is add_stump)


def test_a_model_behind_a_link_is_replaced_and_what_it_leads_to_stays(judged, tmp_path):
    link = tmp_path / "models" / judged.folder.name
    link.parent.mkdir()
    link.symlink_to(judged.folder)
    before = content_of(judged.folder)
    add_stump(read_bundle(link))
    assert load_forest(read_bundle(link)) is not None
    assert content_of(judged.folder) == before
    assert list(link.parent.iterdir()) == [link]


@WAYS
@pytest.mark.parametrize("name", ["scan.nii.gz", "notes", ".hidden"])
def test_a_folder_with_more_than_a_model_is_never_replaced(judged, write, name):
    (judged.folder / name).write_bytes(b"a patient's")
    before = content_of(judged.folder.parent)
    with pytest.raises(OutputError, match=f"holds {name}, which is no part of a model"):
        write(judged)
    assert content_of(judged.folder.parent) == before


def test_a_folder_without_a_model_and_a_file_are_never_replaced(judged, tmp_path):
    (judged.folder / "model.json").unlink()
    before = content_of(tmp_path)
    with pytest.raises(OutputError, match="holds files but no model"):
        replace_whole(judged)
    assert content_of(tmp_path) == before
    file = judged.folder.parent / "tiny-other"
    file.write_bytes(b"a patient's")
    with pytest.raises(OutputError, match="Not a directory; expected a model's place"):
        write_tiny_bundle(file.parent, replace(judged.specification, id=file.name))
    assert file.read_bytes() == b"a patient's"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(os.pathsep)
from test_bundle import replace_whole
from TumorSegLib.model.bundle import read_bundle

bundle = read_bundle(Path(sys.argv[2]))
rename, left = Path.rename, int(sys.argv[3])

def renamed(self, target):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(self, target)

Path.rename = renamed
replace_whole(bundle)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")
@pytest.mark.parametrize("renames", range(3))
def test_a_kill_at_any_rename_leaves_one_whole_model_and_nothing_else(judged, renames):
    here = Path(__file__).resolve().parent
    places = os.pathsep.join([str(here), str(here.parent)])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, places, str(judged.folder), str(renames)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    models = judged.folder.parent
    assert [bundle.id for bundle in Catalogue.of([models]).bundles] == [judged.id]
    assert [path.name for path in models.iterdir()] == [judged.folder.name]
    found = read_bundle(judged.folder)
    load_network(found)
    assert found.specification.version == ("2" if renames == 2 else judged.specification.version)


def test_what_another_process_is_writing_stays_and_is_no_model(judged):
    alive = judged.folder.with_name(f".{judged.folder.name}.{owned_name()}.partial")
    shutil.copytree(judged.folder, alive)
    strange = judged.folder.with_name(f".{judged.folder.name}.00000000-1-2.old")
    shutil.copytree(judged.folder, strange)
    replace_whole(judged)
    assert [bundle.specification.version for bundle in Catalogue.of([alive.parent]).bundles] == [
        "2"
    ]
    assert alive.is_dir()
    assert strange.is_dir()
    os.utime(strange, (0, 0))
    Catalogue.of([alive.parent])
    assert not strange.exists()


def test_channels_that_replace_each_other_in_a_circle(bundle):
    circle = [
        {"name": "flair", "title": "FLAIR"},
        {"name": "t1", "title": "T1", "replaced_by": "t1c"},
        {"name": "t1c", "title": "T1 after contrast", "replaced_by": "t1"},
    ]
    with pytest.raises(ModelError, match="in a circle: t1 by t1c by t1"):
        edit(bundle, input__channels=circle)
    circle[1]["replaced_by"] = "t1"
    with pytest.raises(ModelError, match="in a circle: t1 by t1$"):
        edit(bundle, input__channels=circle)


def test_candidates_are_judged_with_one_window_only(judged):
    add_stump(judged)
    with pytest.raises(ModelError, match=r"candidates: input.normalisation is Window\(low=-100"):
        edit(judged, input__normalisation={"kind": "window", "low": -100, "high": 160})
    with pytest.raises(ModelError, match="judged with Window.low=-40.0, high=160.0. only"):
        edit(judged, input__normalisation={"kind": "foreground"})


def test_a_model_under_way_is_not_in_the_catalogue(judged):
    judged.folder.rename(judged.folder.with_name(".tiny-ct.1-2.partial"))
    catalogue = Catalogue.of([judged.folder.parent])
    assert catalogue.bundles == ()
    assert catalogue.broken == ()
