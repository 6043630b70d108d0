"""A contact sheet of what the network will see: changed slices with their masks' outlines."""

from __future__ import annotations

from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tumorseg_training.config import TrainingConfig
from tumorseg_training.data_module import DataModule, Report
from tumorseg_training.datasets import select_cases
from TumorSegLib.support.atomic_write import write_whole

COLUMNS = 6
ROWS = 4


def write_preview(config: TrainingConfig, path: Path, report: Report) -> Path:
    """Write a PNG of the first slices of a run's first epoch, as its sampler draws them.

    Each tile shows one sequence of a slice and the outlines of its mask, the next tile the next
    sequence of the next slice.

    Raises:
        InputError: the data do not fit the config.
        OutputError: the picture cannot be written.
    """
    data = DataModule(config, select_cases(config), report)
    data.prepare_data()
    data.setup("fit")
    slices = data.slices
    drawing = Figure(figsize=(2.2 * COLUMNS, 2.4 * ROWS), layout="constrained")
    FigureCanvasAgg(drawing)
    channels = config.model.input.channels
    depth = 2 * config.model.input.context + 1
    tiles = drawing.subplots(ROWS, COLUMNS).ravel()
    colours = {label.value: np.array(label.colour) / 255 for label in config.model.labels}
    for number, draw in enumerate(islice(data.sampler(slices), ROWS * COLUMNS)):
        image, mask = slices.slice(draw)
        channel = number % len(channels)
        axes = tiles[number]
        axes.imshow(image[channel * depth + depth // 2].numpy(), cmap="gray", vmin=0, vmax=1)
        for value, colour in colours.items():
            here = mask[0].numpy() == value
            if here.any():
                axes.contour(here, levels=[0.5], colors=[colour], linewidths=1)
        case, z = slices.index[draw.place]
        axes.set_title(f"{case.name[:24]}\n{channels[channel].title}, slice {z}", fontsize=6)
    for axes in tiles:
        axes.axis("off")
    picture = BytesIO()
    drawing.savefig(picture, dpi=110)
    write_whole(path, picture.getvalue())
    return path
