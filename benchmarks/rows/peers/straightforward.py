"""The obvious script: what one writes in an afternoon around a network, with these weights.

python straightforward.py MODEL OUT VOLUME [VOLUME ...]
"""

import sys

import numpy as np
import SimpleITK as sitk
import torch
from skimage.exposure import equalize_hist
from skimage.measure import label
from skimage.transform import resize

from TumorSegLib.model.bundle import load_network, read_bundle

folder, out, *paths = sys.argv[1:]
bundle = read_bundle(folder)
specification = bundle.specification
network = load_network(bundle)
images = [sitk.ReadImage(path) for path in paths]
channels = []
for image in images:
    voxels = sitk.GetArrayFromImage(image).astype(np.float32)
    if specification.input.normalisation.kind == "window":
        low, high = specification.input.normalisation.low, specification.input.normalisation.high
        channels.append(np.clip((voxels - low) / (high - low), 0, 1))
    else:
        foreground = voxels > voxels.mean()
        channels.append(equalize_hist(voxels, nbins=8192, mask=foreground) * foreground)
shape, spacing = channels[0].shape, images[0].GetSpacing()
grid = (shape[0], *specification.input.in_plane.grid(shape[1:], (spacing[1], spacing[0])))
channels = [resize(c, grid, order=1, anti_aliasing=True).astype(np.float32) for c in channels]
if specification.input.context:
    channels = [
        c[np.clip(np.arange(grid[0]) + i, 0, grid[0] - 1)] for c in channels for i in (-1, 0, 1)
    ]
stack = torch.from_numpy(np.stack(channels, 1))
with torch.no_grad():
    logits = torch.cat([network(batch) for batch in stack.split(8)])
scores = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1).softmax(1).numpy()
scores = resize(scores, (scores.shape[0], scores.shape[1], *shape[1:]), order=1)
labels = scores.argmax(1).astype(np.uint8)
components = label(labels > 0)
if components.any():
    labels[components != np.bincount(components[components > 0]).argmax()] = 0
result = sitk.GetImageFromArray(labels)
result.CopyInformation(images[0])
sitk.WriteImage(result, out, useCompression=True)
