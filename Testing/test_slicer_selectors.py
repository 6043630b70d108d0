"""Only what the user picked counts: selectors that move by themselves decide nothing."""

from __future__ import annotations

import pytest
from bright_models import write_model
from scenes import add_head

FURTHER_CHANNELS = [
    {"name": "flair", "title": "FLAIR"},
    {"name": "t1", "title": "T1", "replaced_by": "flair"},
    {"name": "t1c", "title": "T1 after contrast"},
]

IN_TURN = [
    *FURTHER_CHANNELS[:2],
    {"name": "t1c", "title": "T1 after contrast", "replaced_by": "t1"},
]


def pick(selector, node):
    """Choose an entry as the user does."""
    from node_combo_box import pick as click

    click(selector, node)


def row(bench, name):
    """The selector of a further sequence."""
    return bench.panel._sequences._rows[name].selector


@pytest.fixture
def heads(bench):
    """Two models and four volumes whose names tell no sequence; the second is chosen."""
    write_model(bench.models, "tiny")
    write_model(bench.models, "tiny-other", channels=FURTHER_CHANNELS)
    bench.open()
    bench.heads = [add_head(bench.slicer, f"Series {number}")[0] for number in range(4)]
    bench.parameters.model = "tiny"
    pick(bench.panel.ui.volumeSelector, bench.heads[1])
    bench.turn()
    return bench


@pytest.fixture
def segmentations(heads):
    """Three segmentations, the second chosen as the target."""
    scene = heads.slicer.mrmlScene
    heads.nodes = [
        scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"Mine {number}") for number in range(3)
    ]
    pick(heads.panel.ui.targetSelector, heads.nodes[1])
    heads.turn()
    return heads


def chosen_sequences(bench):
    return bench.panel.selection.chosen_sequences(bench.panel.selection.bundle)


def test_a_click_chooses(heads):
    assert heads.parameters.volume is heads.heads[1]
    pick(row(heads, "t1"), heads.heads[2])
    assert chosen_sequences(heads) == {"t1": heads.heads[2]}
    pick(row(heads, "t1"), None)
    assert chosen_sequences(heads) == {}


def test_another_model_gets_no_sequence_that_nobody_chose(heads):
    assert chosen_sequences(heads) == {}
    for model in ("tiny-other", "tiny", "tiny-other"):
        heads.parameters.model = model
        heads.turn()
        assert chosen_sequences(heads) == {}
        assert row(heads, "t1").currentNode() is None
        assert row(heads, "t1c").currentNode() is None
    assert row(heads, "t1c").noneDisplay == "Needed by this model"


def test_a_row_says_what_really_stands_in_for_a_missing_sequence(heads):
    write_model(heads.models, "tiny-in-turn", channels=IN_TURN)
    heads.panel.models_changed("tiny-in-turn")
    heads.turn()
    assert row(heads, "t1c").noneDisplay == "Not given; replaced by FLAIR"  # T1 is missing, too
    pick(row(heads, "t1"), heads.heads[2])
    heads.turn()
    assert row(heads, "t1c").noneDisplay == "Not given; replaced by T1"
    assert row(heads, "t1").noneDisplay == "Not given; replaced by FLAIR"


def test_a_chosen_sequence_outlives_another_text_for_none(heads):
    pick(row(heads, "t1c"), heads.heads[3])
    heads.parameters.model = "tiny-other"
    heads.turn()
    assert chosen_sequences(heads) == {"t1c": heads.heads[3]}
    assert row(heads, "t1c").currentNode() is heads.heads[3]


def test_a_removed_sequence_is_not_replaced_by_its_neighbour(heads):
    pick(row(heads, "t1"), heads.heads[2])
    heads.slicer.mrmlScene.RemoveNode(heads.heads[2])
    heads.turn()
    assert chosen_sequences(heads) == {}
    assert row(heads, "t1").currentNode() is None


def test_a_removed_target_is_not_replaced_by_its_neighbour(segmentations):
    segmentations.slicer.mrmlScene.RemoveNode(segmentations.nodes[1])
    assert segmentations.parameters.target is None
    segmentations.turn()
    assert segmentations.parameters.target is None
    assert segmentations.panel.ui.targetSelector.currentNode() is None


def test_a_click_after_the_target_went_writes_a_new_segmentation(segmentations):
    segmentations.slicer.mrmlScene.RemoveNode(segmentations.nodes[1])
    segmentations.turn()
    assert not segmentations.run().failed
    assert segmentations.parameters.target.GetName() == "Series 1 segmentation"
    for node in (segmentations.nodes[0], segmentations.nodes[2]):
        assert node.GetSegmentation().GetNumberOfSegments() == 0


def test_a_removed_volume_is_not_replaced_by_its_neighbour(heads):
    heads.slicer.mrmlScene.RemoveNode(heads.heads[1])
    assert heads.parameters.volume is None
    heads.turn()
    assert heads.parameters.volume is None
    assert heads.panel.ui.volumeSelector.currentNode() is None
    assert not heads.panel.ui.segmentButton.enabled


def test_a_removed_region_is_not_replaced_by_its_neighbour(heads):
    scene = heads.slicer.mrmlScene
    regions = [scene.AddNewNodeByClass("vtkMRMLMarkupsROINode") for _ in range(3)]
    pick(heads.panel.ui.regionSelector, regions[1])
    assert heads.parameters.region is regions[1]
    scene.RemoveNode(regions[1])
    heads.turn()
    assert heads.parameters.region is None
    assert heads.panel.ui.regionSelector.currentNode() is None


def test_a_node_of_the_selectors_own_making_is_chosen(heads):
    made = heads.panel.ui.targetSelector.addNode()
    heads.turn()
    assert heads.parameters.target is made
    assert heads.panel.ui.targetSelector.currentNode() is made


def test_a_selector_that_moves_by_itself_is_put_back(segmentations):
    ui = segmentations.panel.ui
    target, volume = segmentations.parameters.target, segmentations.parameters.volume
    target.SetHideFromEditors(True)  # takes it out of the list
    ui.volumeSelector.noneDisplay = "Another text"
    pick(ui.volumeSelector, None)
    segmentations.turn()
    assert segmentations.parameters.target is target
    assert segmentations.parameters.volume is None
    ui.volumeSelector.noneDisplay = "Choose a volume"
    assert ui.volumeSelector.currentNode() is not None  # the widget's own doing
    segmentations.turn()
    assert segmentations.parameters.volume is None
    assert ui.volumeSelector.currentNode() is None
    assert volume is segmentations.heads[1]


def test_a_new_name_changes_no_choice(segmentations):
    heard = []
    tag = segmentations.parameters.AddObserver("ModifiedEvent", lambda *_: heard.append(1))
    segmentations.nodes[1].SetName("Renamed")
    segmentations.turn()
    segmentations.parameters.RemoveObserver(tag)
    assert segmentations.parameters.target is segmentations.nodes[1]
    assert not heard


def test_settings_set_by_a_script_are_shown(segmentations):
    segmentations.parameters.target = segmentations.nodes[2]
    segmentations.parameters.volume = segmentations.heads[0]
    ui = segmentations.panel.ui
    assert ui.targetSelector.currentNode() is segmentations.nodes[2]
    assert ui.volumeSelector.currentNode() is segmentations.heads[0]


def test_closing_the_scene_chooses_nothing(segmentations):
    segmentations.slicer.mrmlScene.Clear()
    segmentations.turn()
    parameters = segmentations.parameters
    assert (parameters.volume, parameters.target, parameters.region) == (None, None, None)


def test_none_is_a_choice_that_no_suggestion_undoes(heads):
    heads.parameters.volume, _ = add_head(heads.slicer, "AX FLAIR")
    t1, _ = add_head(heads.slicer, "AX T1")
    heads.parameters.volume = heads.heads[0]
    heads.parameters.volume = heads.slicer.util.getNode("AX FLAIR")
    assert chosen_sequences(heads) == {"t1": t1}
    pick(row(heads, "t1"), None)
    write_model(heads.models, "tiny-t1", channels=FURTHER_CHANNELS[:2])
    heads.panel.models_changed()
    heads.parameters.model = "tiny-t1"
    heads.turn()
    assert chosen_sequences(heads) == {}


def test_the_selectors_of_a_panel_that_is_gone_choose_nothing(heads):
    ui, parameters = heads.panel.ui, heads.parameters
    heads.widget.cleanup()
    pick(ui.volumeSelector, heads.heads[2])
    heads.slicer.mrmlScene.RemoveNode(heads.heads[2])
    heads.turn()
    assert parameters.volume is heads.heads[1]
