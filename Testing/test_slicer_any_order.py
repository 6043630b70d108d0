"""Whatever is done in whatever order: each run ends once, and each result is its own volume's.

Each step is one thing that a user, another module or the system may do; after each, everything in
the scene is compared with what the models find outside the panel. TUMORSEG_ANY_ORDER says how many
sequences are tried, a few if it is not set; a sequence that fails is shortened before it is shown.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import numpy as np
import pytest
from panel_bench import shared_blocks
from stepping import DIM, STRICT, local_points, voxels

SEQUENCES, STEPS = int(os.environ.get("TUMORSEG_ANY_ORDER", "20")), 60
VALUES = (-100, -50, 50, 100)
ANSWERS = ("replace", "add", "new segmentation", None)
ROUTINE = (
    "vtkSegmentationHistory.cxx",
    "There are no next state available",
    "There are no previous state available",
)
"""Warnings about clicks on Undo and Redo that the application's buttons do not allow."""


class Everyone:
    """A user, other modules and the system, who know nothing of what is under way.

    Each of `steps` takes a number of 0 to 7 that says which of several.

    Attributes:
        reasons: how often runs ended for which reason.
    """

    def __init__(self, stepping, errors):
        self.s, self.errors = stepping, errors
        self.slicer, self.panel, self.ui = stepping.slicer, stepping.panel, stepping.panel.ui
        self.scene = stepping.slicer.mrmlScene
        stepping.endings.clear()
        stepping.started.clear()
        stepping.of_queue.clear()
        stepping.bench.parameters.model = ""
        self.volumes, self.transforms = [], []
        self.count = self.told = self.queue_done = 0
        self.content, self.slid, self.drawn_on = {}, set(), {}
        self.chosen, self.target_was_chosen = None, False
        self.reasons = Counter()
        for _ in range(3):
            self.add_volume(0)

    def pick(self, nodes, number):
        """Take one of `nodes` that are in the scene, None if there is none."""
        nodes = [node for node in nodes if self.scene.IsNodePresent(node)]
        return nodes[number % len(nodes)] if nodes else None

    def volume_of_run(self):
        """The volume of the run under way, None if there is none."""
        ended = {ending.number for ending in self.s.endings}
        running = [o.volume for number, o in self.s.started.items() if number not in ended]
        return self.pick(running, 0)

    def segmentations(self):
        return [node for node in self.s.bench.segmentations if not node.GetHideFromEditors()]

    def add_volume(self, _number):
        if sum(map(self.scene.IsNodePresent, self.volumes)) == 4:
            return
        self.volumes.append(self.s.add_volume(self.count % 16, f"FLAIR{self.count}"))
        self.count += 1

    def choose_volume(self, number):
        volume = self.pick(self.volumes, number)
        self.s.bench.parameters.volume = volume
        if volume not in (None, self.chosen):
            self.chosen, self.target_was_chosen = volume, False

    def delete_volume(self, number):
        if node := self.pick(self.volumes, number):
            self.scene.RemoveNode(node)

    def delete_volume_of_run(self, _number):
        if node := self.volume_of_run():
            self.scene.RemoveNode(node)

    def replace_voxels_of_run(self, number):
        if node := self.volume_of_run():
            self.slicer.util.updateVolumeFromArray(node, voxels(8 + number))

    def replace_voxels(self, number):
        if node := self.pick(self.volumes, number):
            self.slicer.util.updateVolumeFromArray(node, voxels(8 + number))

    def choose_target(self, number):
        nodes = [None, *self.segmentations()]
        self.s.bench.parameters.target = nodes[number % len(nodes)]
        self.target_was_chosen = True

    def delete_target(self, number):
        if node := self.pick(self.segmentations(), number):
            self.scene.RemoveNode(node)

    def transform_volume(self, number):
        matrix = np.eye(4)
        matrix[:3, 3] = number - 3, 0, 5 * (number % 3)
        node = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        node.SetMatrixTransformToParent(self.slicer.util.vtkMatrixFromArray(matrix))
        self.transforms.append(node)
        if volume := self.pick(self.volumes, number):
            volume.SetAndObserveTransformNodeID(node.GetID())

    def delete_transform(self, number):
        if node := self.pick(self.transforms, number):
            self.scene.RemoveNode(node)

    def edit_target(self, number):
        node, volume = self.pick(self.segmentations(), number), self.pick(self.volumes, number)
        if node is None or volume is None or not node.GetSegmentation().GetNumberOfSegments():
            return
        util, name = self.slicer.util, node.GetSegmentation().GetNthSegmentID(0)
        array = util.arrayFromSegmentBinaryLabelmap(node, name, volume)
        array[0, 3 * number + 4, 3:6] = 1
        util.updateSegmentBinaryLabelmapFromArray(array, node, name, volume)
        self.content[node] = local_points(self.slicer, node)
        self.slid.discard(node)

    def undo(self, number):
        editor = self.panel.editor.widget
        (editor.redo if number % 3 == 0 else editor.undo)()
        if (node := editor.segmentationNode()) in self.content:
            self.content[node] = local_points(self.slicer, node)
            self.slid.discard(node)

    def switch_model(self, number):
        self.s.bench.parameters.model = ("", DIM, STRICT)[number % 3]

    def click(self, number):
        if self.s.session.busy and number:
            return  # a user who cancels is rare
        self.s.bench.answers = [ANSWERS[number % 4]]
        self.s.bench.click()

    def queue_current(self, _number):
        self.ui.queueAddButton.click()

    def queue_all(self, _number):
        self.ui.queueAddAllButton.click()

    def queue_run_or_stop(self, number):
        if self.s.queue.running and number:
            return
        self.ui.queueRunButton.click()

    def queue_remove(self, number):
        entries = self.s.queue.entries
        if entries:
            row = number % len(entries)
            self.queue_done -= entries[row].state == "done"
            self.ui.queueList.currentRow = row
            self.ui.queueRemoveButton.click()

    def compare(self, _number):
        self.ui.compareButton.click()

    def end_comparison(self, _number):
        self.ui.compareEndButton.click()

    def slide(self, number):
        slider = self.ui.sensitivitySlider
        if slider.enabled:
            slider.value = VALUES[number % 4]
            self.slid.add(self.s.bench.parameters.target)

    def kill_worker(self, _number):
        self.s.client.kill()

    def worker_runs_ahead(self, number):
        self.s.client.run_ahead(1 + number)

    def poll(self, number):
        self.s.poll(1 + number % 4)

    def wait(self, _number):
        self.s.until_idle()

    def close_scene(self, _number):
        self.scene.Clear()
        assert not self.s.session.busy
        assert not self.s.queue.entries
        assert not self.panel.compare.running
        self.volumes, self.transforms, self.content, self.slid = [], [], {}, set()
        self.drawn_on = {}
        self.queue_done = 0

    def everything_is_right(self):
        self.s.bench.turn()
        told = self.s.endings[self.told :]
        self.told += len(told)
        for ending in told:
            self.take(ending)
        numbers = [ending.number for ending in self.s.endings]
        under_way = sorted(set(self.s.started) - set(numbers))
        assert len(set(numbers)) == len(numbers), "a run ended twice"
        assert len(under_way) == self.s.session.busy, "a run was lost"
        self.check_queue(under_way)
        self.check_target()
        present = self.segmentations()
        self.content = {node: self.content[node] for node in self.content if node in present}
        assert set(present) == set(self.content), "a segmentation of no run"
        for node in present:
            self.check_segmentation(node)
        text = self.errors.GetOutput()
        lines = [line for line in text.splitlines() if line.strip()]
        assert not [line for line in lines if not any(part in line for part in ROUTINE)], text

    def take(self, ending):
        """Compare a run's result with what its model finds in its volume."""
        self.reasons[ending.reason.value] += 1
        if not ending.done:
            assert ending.target is None
            return
        options, target = self.s.started[ending.number], ending.target
        wanted = self.s.expected_points(options.volume, options.bundle.id)
        if target is options.target and options.mode == "add":
            before = self.s.world_points(target, self.content[target])
            wanted = np.unique(np.concatenate([wanted, before]), axis=0)
        assert np.array_equal(self.s.world_points(target), wanted), "another volume's result"
        assert target is options.target or target not in self.content
        self.drawn_on[target] = options.volume
        self.content[target] = local_points(self.slicer, target)
        self.slid.discard(target)
        target.SetAttribute("Test.Model", options.bundle.id)
        self.queue_done += ending.number in self.s.of_queue

    def check_queue(self, under_way):
        """Exactly the entry of the queue that is being segmented says so."""
        running = [entry for entry in self.s.queue.entries if entry.state == "running"]
        assert len(running) == self.s.queue.running <= 1
        for entry in running:
            assert self.s.started[under_way[0]].volume is entry.volume
        for entry in self.s.queue.entries:
            assert bool(entry.line) == (entry.state == "failed")
        done = [entry for entry in self.s.queue.entries if entry.state == "done"]
        assert len(done) == self.queue_done

    def check_target(self):
        """Another volume's segmentation is the target only if the user chose it."""
        volume, target = self.s.bench.parameters.volume, self.s.bench.parameters.target
        if None not in (volume, target) and not self.target_was_chosen:
            role = target.GetReferenceImageGeometryReferenceRole()
            own = target.GetNodeReference(role)
            empty = target.GetSegmentation().GetNumberOfSegments() == 0
            assert own is volume or (own is None and empty), "another volume's target"

    def check_segmentation(self, node):
        """Only a run, the user or the slider that the user moves changes a segmentation."""
        now = local_points(self.slicer, node)
        if np.array_equal(now, self.content[node]):
            return
        assert node in self.slid, f"{node.GetName()} was changed by nobody"
        volume = self.drawn_on[node]
        model = node.GetAttribute("Test.Model")
        wanted = [self.s.expected(volume, model, value) for value in VALUES]
        found = self.s.found(node, volume)
        assert any((found == mask).all() for mask in wanted), "not what the slider asks for"
        self.content[node] = now

    def finish(self):
        """What still waits is done in the end; nothing is left of a closed scene."""
        self.s.until_idle()
        self.everything_is_right()
        if any(entry.state == "waiting" for entry in self.s.queue.entries):
            self.ui.queueRunButton.click()
            self.s.until_idle()
            self.everything_is_right()
        assert {entry.state for entry in self.s.queue.entries} <= {"done", "failed"}
        self.scene.Clear()
        self.s.bench.turn()
        assert not self.s.bench.unseen
        assert not shared_blocks()


OFTEN = {
    Everyone.poll: 10,
    Everyone.click: 5,
    Everyone.queue_run_or_stop: 4,
    Everyone.queue_all: 2,
    Everyone.wait: 2,
    Everyone.slide: 3,
    Everyone.add_volume: 4,
    Everyone.choose_volume: 3,
}
STEPS_OF = [
    step
    for step in (
        Everyone.delete_volume,
        Everyone.delete_volume_of_run,
        Everyone.replace_voxels_of_run,
        Everyone.replace_voxels,
        Everyone.choose_target,
        Everyone.delete_target,
        Everyone.transform_volume,
        Everyone.delete_transform,
        Everyone.edit_target,
        Everyone.undo,
        Everyone.switch_model,
        Everyone.queue_current,
        Everyone.queue_remove,
        Everyone.compare,
        Everyone.end_comparison,
        Everyone.kill_worker,
        Everyone.worker_runs_ahead,
        Everyone.close_scene,
        *OFTEN,
    )
    for _ in range(OFTEN.get(step, 1))
]


def attempt(stepping, sequence):
    """Do a sequence of steps; return how runs ended."""
    import vtk

    errors, before = vtk.vtkStringOutputWindow(), vtk.vtkOutputWindow.GetInstance()
    vtk.vtkOutputWindow.SetInstance(errors)
    everyone = Everyone(stepping, errors)
    try:
        for step, number in sequence:
            step(everyone, number)
            everyone.everything_is_right()
        everyone.finish()
    finally:
        stepping.bench.unseen.clear()
        stepping.slicer.mrmlScene.Clear()
        stepping.client.stop()
        vtk.vtkOutputWindow.SetInstance(before)
    return everyone.reasons


def shortened(stepping, sequence):
    """Leave out of a sequence that fails what it fails without."""
    size = len(sequence) // 2
    while size:
        for start in range(0, len(sequence), size):
            shorter = sequence[:start] + sequence[start + size :]
            try:
                attempt(stepping, shorter)
            except Exception:
                sequence = shorter
                break
        else:
            size //= 2
    return sequence


@pytest.mark.slow
def test_any_order_of_events(stepping):
    reasons = Counter()
    for seed in range(SEQUENCES):
        chance = random.Random(seed)
        sequence = [(chance.choice(STEPS_OF), chance.randrange(8)) for _ in range(STEPS)]
        try:
            reasons += attempt(stepping, sequence)
        except Exception:
            sequence = shortened(stepping, sequence)
            print(seed, [(step.__name__, number) for step, number in sequence])
            attempt(stepping, sequence)
            raise
    print(f"{SEQUENCES * STEPS} steps; how runs ended: {dict(reasons)}")
    from TumorSegModule.logic.ending import Reason

    assert reasons.keys() == {reason.value for reason in Reason if reason is not Reason.SERVER}
