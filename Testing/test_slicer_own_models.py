"""Models imported and removed in the picker; licences shown before their first use."""

from __future__ import annotations

import json
import shutil

import pytest
from bright_models import write_model
from scenes import add_head

SHARE_ALIKE, NO_DERIVATIVES = "CC BY-NC-SA 4.0", "CC BY-NC-ND 4.0"


@pytest.fixture
def picker(bench, monkeypatch):
    """A panel with one shipped model, and a user who chooses paths and answers questions."""
    write_model(bench.models, "shipped", licence=SHARE_ALIKE)
    bench.open()
    bench.slicer.app.userSettings().remove("TumorSeg/AcceptedLicences")
    bench.elsewhere, bench.own = bench.folder / "elsewhere", bench.models
    own_models = bench.panel._own_models
    bench.path, bench.questions, bench.agree, bench.errors = "", [], True, []

    def ask(text, explanation, yes):
        bench.questions.append((text, explanation, yes))
        return bench.agree

    own_models._choose, own_models._ask = lambda kind: bench.path, ask
    own_models._models_folder = lambda: bench.folder / "own"
    bench.panel.selection.read_catalogue = lambda: catalogue_of(bench)
    monkeypatch.setattr(bench.panel.questions, "agree", lambda models: agreed(models, ask))
    monkeypatch.setattr(
        bench.slicer.util, "errorDisplay", lambda text, **_o: bench.errors.append(text)
    )
    bench.ui = bench.panel.ui
    yield bench
    bench.slicer.app.userSettings().remove("TumorSeg/AcceptedLicences")


def catalogue_of(bench):
    from TumorSegLib.model.catalogue import Catalogue

    return Catalogue.of([bench.folder / "own", bench.models])


def agreed(models, ask):
    from TumorSegModule.widgets.licence_question import agreed_to

    return agreed_to(models, ask)


def listed(bench):
    return [bundle.id for bundle in bench.panel.selection.models.bundles]


def test_a_model_that_cannot_be_used_says_why_in_the_list(picker):
    write_model(picker.models, "damaged")
    (picker.models / "damaged" / "model.json").write_text("{")
    picker.panel.models_changed()
    models = picker.ui.modelList
    titles = [models.item(row).text().partition("\n")[0] for row in range(models.count)]
    assert titles == ["Tiny shipped", "Cannot be used"]
    damaged = models.item(1)
    assert "damaged/model.json: not JSON" in damaged.text()
    assert damaged.toolTip() in damaged.text()
    assert not damaged.flags() & picker.qt.Qt.ItemIsEnabled
    picker.ui.modelSearch.text = "shipped"
    assert damaged.isHidden()
    picker.ui.modelSearch.text = "json"
    assert not damaged.isHidden()
    models.currentRow = 1
    assert picker.parameters.model == ""


def test_a_model_is_imported_chosen_and_used(picker):
    write_model(picker.elsewhere, "mine", licence=NO_DERIVATIVES)
    picker.path = str(picker.elsewhere / "mine")
    picker.ui.importFolderButton.click()
    assert picker.parameters.model == "mine"
    assert listed(picker) == ["mine", "shipped"]
    ((text, explanation, _yes),) = picker.questions
    assert NO_DERIVATIVES in text
    assert "must not be passed on" in explanation
    assert "creativecommons.org" in explanation
    picker.parameters.volume, _ = add_head(picker.slicer)
    picker.turn()
    assert not picker.run().failed
    assert len(picker.questions) == 1  # accepted at the import, not asked again


def test_an_archive_is_imported(picker):
    folder = write_model(picker.elsewhere, "mine")
    picker.path = shutil.make_archive(str(picker.folder / "mine"), "zip", folder)
    picker.ui.importFileButton.click()
    assert not picker.errors
    assert "mine" in listed(picker)


def test_who_does_not_accept_the_licence_gets_no_model(picker):
    write_model(picker.elsewhere, "mine", licence=NO_DERIVATIVES)
    picker.path, picker.agree = str(picker.elsewhere), False
    picker.ui.importFolderButton.click()
    assert listed(picker) == ["shipped"]
    assert not list((picker.folder / "own").iterdir())


def test_a_damaged_model_is_one_line(picker):
    folder = write_model(picker.elsewhere, "mine")
    (folder / "weights.safetensors").write_bytes(b"damaged")
    picker.path = str(folder)
    picker.ui.importFolderButton.click()
    (line,) = picker.errors
    assert "SHA-256" in line
    assert "\n" not in line
    assert listed(picker) == ["shipped"]


def test_no_path_is_an_answer(picker):
    picker.ui.importFileButton.click()
    assert not picker.errors
    assert listed(picker) == ["shipped"]


def test_only_ones_own_models_can_be_removed(picker):
    ui = picker.ui
    picker.parameters.model = "shipped"
    picker.turn()
    assert not ui.removeModelButton.enabled
    write_model(picker.elsewhere, "mine")
    picker.path = str(picker.elsewhere)
    ui.importFolderButton.click()
    assert ui.removeModelButton.enabled
    picker.agree = False
    ui.removeModelButton.click()
    assert "mine" in listed(picker)
    picker.agree = True
    ui.removeModelButton.click()
    assert listed(picker) == ["shipped"]
    assert picker.parameters.model == ""
    assert "imported again" in picker.questions[-1][1]


@pytest.mark.parametrize("key", ["provenance", "training"])  # "training": of format 1
def test_a_model_trained_here_is_not_removed_without_a_warning(picker, key):
    folder = write_model(picker.elsewhere, "mine")
    content = json.loads((folder / "model.json").read_text())
    content[key] = {"base": {"id": "shipped"}}
    (folder / "model.json").write_text(json.dumps(content))
    picker.path = str(folder)
    picker.ui.importFolderButton.click()
    picker.agree = False
    picker.ui.removeModelButton.click()
    assert "exists nowhere else" in picker.questions[-1][1]
    assert "mine" in listed(picker)


def test_the_licence_is_shown_before_the_first_use_and_once(picker):
    picker.parameters.volume, _ = add_head(picker.slicer)
    picker.turn()
    picker.agree = False
    picker.click()
    assert not picker.panel.session.busy
    assert picker.parameters.target is None
    picker.agree = True
    assert not picker.run().failed
    assert not picker.run().failed
    assert len(picker.questions) == 2
    text, explanation, _yes = picker.questions[-1]
    assert SHARE_ALIKE in text
    assert "same licence" in explanation


def test_the_queue_asks_for_the_licence_too(picker):
    picker.parameters.volume, _ = add_head(picker.slicer)
    picker.turn()
    picker.agree = False
    picker.ui.queueAddButton.click()
    picker.ui.queueRunButton.click()
    assert len(picker.questions) == 1
    assert not picker.panel.session.busy


def test_tests_of_the_application_are_never_asked(host):
    from TumorSegLib.model.bundle import read_bundle
    from TumorSegLib.model.catalogue import SHIPPED
    from TumorSegModule.widgets.licence_question import agreed_to

    assert host.app.testingEnabled()
    assert agreed_to([read_bundle(SHIPPED / "liver-ct-unet")])
    assert not host.app.userSettings().value("TumorSeg/AcceptedLicences")


@pytest.mark.parametrize(
    ("licence", "words"),
    [(SHARE_ALIKE, "same licence only"), (NO_DERIVATIVES, "must not be passed on"), ("", "")],
)
def test_retraining_says_what_the_licence_means_for_its_result(bench, licence, words):
    write_model(bench.models, "tiny", licence=licence)
    bench.open()
    bench.turn()
    note = bench.panel.ui.retrainLicenceNote
    assert bool(note.text) is bool(licence)
    assert licence in note.text
    assert words in note.text
