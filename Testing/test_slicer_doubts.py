"""The panel asks, and scripts and series refuse, where it is not certain that a model fits."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_ct_model, write_model
from scenes import add_body, add_head


@pytest.fixture
def asking(bench):
    """A panel with a model for both modalities, whose question is answered as a test says."""
    write_model(bench.models, "tiny-brain", anatomy="brain")
    write_ct_model(bench.models, "tiny-liver")
    panel = bench.open()
    panel.ask, panel.answer = [], False

    def sure(lines, bundle):
        panel.ask.append((lines, bundle.id))
        return panel.answer

    panel.questions.sure = sure
    return bench


def clipped(slicer):
    """A CT of a trunk in a soft-tissue window, as pictures for people are."""
    body = add_body(slicer)
    voxels = np.clip(slicer.util.arrayFromVolume(body), -160, 240)
    return slicer.util.addVolumeFromArray(voxels, np.diag([3.0, 3.0, 5.0, 1.0]), "Portal")


def choose(bench, volume):
    bench.parameters.volume = volume
    bench.turn()


def test_a_guessed_modality_is_asked_about_before_the_run(asking):
    panel = asking.panel
    choose(asking, clipped(asking.slicer))
    asking.click()
    ((lines, model),) = panel.ask
    assert "Portal: says neither CT nor MRI" in lines[0]
    assert model == "tiny-brain"
    assert not panel.session.busy
    assert asking.segmentations == []


def test_who_says_yes_is_not_asked_again(asking):
    panel = asking.panel
    panel.answer = True
    choose(asking, clipped(asking.slicer))
    for _ in range(2):
        assert not asking.run().failed
    assert len(panel.ask) == 1


def test_nobody_is_asked_about_what_is_certain(asking):
    for volume in (add_head(asking.slicer, "AX FLAIR")[0], add_body(asking.slicer)):
        choose(asking, volume)
        assert not asking.run().failed
    assert asking.panel.ask == []


def test_a_picked_model_is_asked_about_where_it_contradicts(asking):
    choose(asking, add_body(asking.slicer))
    asking.parameters.model = "tiny-brain"
    asking.click()
    ((lines, _),) = asking.panel.ask
    assert "seems to be CT, tiny-brain is a model for MR" in lines[0]


def test_a_series_leaves_a_doubtful_volume_out_and_says_why(asking):
    panel = asking.panel
    choose(asking, clipped(asking.slicer))
    panel.ui.queueAddButton.click()
    panel.ui.queueRunButton.click()
    asking.until(lambda: not panel._queue.running)
    (entry,) = panel._queue.entries
    assert "says neither CT nor MRI" in entry.line
    assert "segment it by itself" in entry.line
    assert asking.segmentations == []


def test_scripts_have_to_name_a_model_for_a_doubtful_volume(scripts, host):
    from TumorSegLib.errors import InputError

    volume = clipped(host)
    with pytest.raises(InputError, match=r"says neither CT nor MRI.*pass one as model"):
        scripts.logic.startSegmentation(volume)


def test_the_next_scenes_volume_is_asked_about_though_it_has_the_id_of_the_last(asking):
    panel = asking.panel
    panel.answer = True
    choose(asking, clipped(asking.slicer))
    before = asking.parameters.volume.GetID()
    asking.click()
    assert panel.session.busy
    asking.slicer.mrmlScene.Clear()
    choose(asking, clipped(asking.slicer))
    assert asking.parameters.volume.GetID() == before
    panel.answer = False
    asking.click()
    assert len(panel.ask) == 2
    assert not panel.session.busy
