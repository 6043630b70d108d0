"""Weights to start from: another model's, or an encoder trained on ImageNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tumorseg_training.checkpoints import network_weights, read_checkpoint
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import load_network
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import FCN8s, LinkNet, ResNet50Classifier, shapes_alone

Places = list[int | None]
"""For each of the network's channels, its place in the source, where it has one."""


@dataclass(frozen=True)
class Transferred:
    """What was taken over.

    Attributes:
        loaded: tensors of the network that were copied as they are.
        adapted: those that were fitted to other channels or labels.
        fresh: those that keep their random start.
        unused: tensors of the source that have no place in the network.
    """

    loaded: tuple[str, ...]
    adapted: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for word in ("adapted", "fresh", "unused"):
            names = getattr(self, word)
            if names:
                first = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
                parts.append(f"{len(names)} {word} ({first})")
        return "; ".join(parts)


def start_from(source: str, network: nn.Module, model: ModelSpecification) -> Transferred:
    """Fill `network` from `source`: a model's folder or id, a `.ckpt` or torchvision's `.pth`.

    Raises:
        InputError: the source cannot be read or does not fit the network.
        ModelError: there is no such model.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() == ".pth":
        return load_imagenet(read_checkpoint(path), network, path.name)
    if path.suffix.lower() == ".ckpt":
        return load_checkpoint(network_weights(read_checkpoint(path)), network, source)
    bundle = default_catalogue().find(str(path))
    return load_model(load_network(bundle).state_dict(), bundle.specification, network, model)


def load_checkpoint(weights: Mapping[str, Tensor], network: nn.Module, name: str) -> Transferred:
    """Fill `network` with the same network's weights, or its encoder with that of another network.

    Raises:
        InputError: neither the network nor its encoder is the checkpoint's.
    """
    mine = network.state_dict()
    encoder = {key for key in mine if key.startswith("encoder.")}
    same = {key for key in mine if key in weights and weights[key].shape == mine[key].shape}
    taken = same if same == mine.keys() == weights.keys() else same & encoder
    if taken != mine.keys() and (not encoder or taken != encoder):
        raise InputError(f"start_from {name}: holds another network than this")
    network.load_state_dict({key: weights[key] for key in taken}, strict=False)
    return Transferred(
        loaded=tuple(key for key in mine if key in taken),
        fresh=tuple(key for key in mine if key not in taken),
        unused=tuple(key for key in weights if key not in taken),
    )


def load_model(
    weights: Mapping[str, Tensor],
    source: ModelSpecification,
    network: nn.Module,
    model: ModelSpecification,
) -> Transferred:
    """Fill `network` with the weights of another model of the same architecture.

    Where channels differ, equal names keep their weights and new ones start from the mean over the
    source's; where labels differ, equal names keep theirs and new ones stay fresh.

    Raises:
        InputError: it is not the same architecture, or not as wide.
    """
    assert model.network is not None
    if source.network is None or source.network.name != model.network.name:
        found = "an ensemble" if source.network is None else source.network.name
        raise InputError(
            f"start_from {source.id}: is {found}, the model to train {model.network.name}"
        )
    inputs = _places(_input_names(source), _input_names(model))
    outputs = _places(_output_names(source), _output_names(model))
    input_axes = _axes_that_follow(model, "in_channels") if inputs else {}
    output_axes = _axes_that_follow(model, "out_channels") if outputs else {}
    adapted = []
    result = dict(network.state_dict())
    for name, fresh in result.items():
        if name not in weights:
            raise InputError(f"start_from {source.id}: has no tensor {name}; another variant?")
        tensor = weights[name]
        for axis in input_axes.get(name, ()):
            tensor = _with_inputs(tensor, axis, inputs)
        if name in output_axes:
            tensor = _with_outputs(tensor, fresh, output_axes[name], outputs)
        if tensor.shape != fresh.shape:
            raise InputError(
                f"start_from {source.id}: {name} has shape {tuple(tensor.shape)}, this network"
                f" {tuple(fresh.shape)}; expected the same width and depth"
            )
        if name in input_axes or name in output_axes:
            adapted.append(name)
        result[name] = tensor
    network.load_state_dict(result)
    return Transferred(tuple(name for name in result if name not in adapted), tuple(adapted))


def load_imagenet(weights: Mapping[str, Tensor], network: nn.Module, name: str) -> Transferred:
    """Fill the encoder of `network` from a state dict in torchvision's format.

    A first layer of other than three channels starts from the mean over red, green and blue.

    Raises:
        InputError: the network has no such encoder, or the file is not this encoder's.
    """
    if isinstance(network, LinkNet | ResNet50Classifier):
        source = {f"encoder.{key}": tensor for key, tensor in weights.items()}
        expected = {key for key in network.state_dict() if key.startswith("encoder.")}
        dropped = {"encoder.fc.weight", "encoder.fc.bias"}
    elif isinstance(network, FCN8s):
        source = _vgg16_as_fcn(weights)
        expected = {key for key in network.state_dict() if key.startswith(("features.", "fc"))}
        dropped = {"classifier.6.weight", "classifier.6.bias"}
    else:
        raise InputError(
            f"start_from {name}: {type(network).__name__} has no encoder with ImageNet weights;"
            " LinkNet takes ResNet-18's, ResNet-50 its own, FCN-8s VGG-16's"
        )
    counters = {key for key in expected if key.endswith("num_batches_tracked")}
    if missing := sorted(expected - counters - source.keys()):
        raise InputError(f"start_from {name}: not this network's encoder, lacks {missing[0]}")
    if surplus := sorted(source.keys() - expected - dropped):
        raise InputError(f"start_from {name}: not this network's encoder, has {surplus[0]}")
    result = dict(network.state_dict())
    taken = sorted(expected & source.keys())
    adapted = []
    for key in taken:
        tensor, fresh = source[key], result[key]
        if tensor.ndim == fresh.ndim == 4 and tensor.shape[1] == 3 != fresh.shape[1]:
            channels = fresh.shape[1]
            tensor = tensor.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1) * (3 / channels)
            adapted.append(key)
        if tensor.shape != fresh.shape:
            raise InputError(
                f"start_from {name}: {key} has shape {tuple(tensor.shape)}, this network"
                f" {tuple(fresh.shape)}; expected width 64 (and 4096 hidden channels)"
            )
        result[key] = tensor
    network.load_state_dict(result)
    return Transferred(
        loaded=tuple(key for key in taken if key not in adapted),
        adapted=tuple(adapted),
        fresh=tuple(key for key in result if key not in expected),
        unused=tuple(sorted(source.keys() - expected)),
    )


def encoder_of(network: nn.Module) -> nn.Module:
    """Return the part of a network that sees the slice first and is frozen when asked for."""
    for name in ("encoder", "features", "contracting"):
        if hasattr(network, name):
            return getattr(network, name)  # type: ignore[no-any-return]
    raise InputError(f"freeze_encoder: {type(network).__name__} has no encoder")


def _vgg16_as_fcn(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Recast VGG-16's fully connected layers as convolutions (Long et al., section 3.1)."""
    source = dict(weights)
    for number, name, size in ((0, "fc6", 7), (3, "fc7", 1)):
        weight = source.pop(f"classifier.{number}.weight", None)
        bias = source.pop(f"classifier.{number}.bias", None)
        if weight is not None and bias is not None:
            source[f"{name}.weight"] = weight.reshape(len(weight), -1, size, size)
            source[f"{name}.bias"] = bias
    return source


def _input_names(model: ModelSpecification) -> list[str]:
    depth = range(-model.input.context, model.input.context + 1)
    return [f"{channel.name} {offset}" for channel in model.input.channels for offset in depth]


def _output_names(model: ModelSpecification) -> list[str]:
    background = ["background"] if model.activation == "softmax" else []
    return [*background, *(label.name for label in model.labels)]


def _places(source: Sequence[str], target: Sequence[str]) -> Places:
    """Return the target's places in the source; nothing where they are the same."""
    if list(source) == list(target):
        return []
    return [source.index(name) if name in source else None for name in target]


def _axes_that_follow(model: ModelSpecification, argument: str) -> dict[str, tuple[int, ...]]:
    """Return, by tensor, the axes whose size an argument of the network decides."""
    assert model.network is not None
    arguments = dict(model.network.arguments)
    network = shapes_alone(model.network.name, arguments)
    arguments[argument] += 1
    other = shapes_alone(model.network.name, arguments).state_dict()
    axes = {}
    for name, tensor in network.state_dict().items():
        sizes = enumerate(zip(tensor.shape, other[name].shape, strict=True))
        if differing := tuple(axis for axis, (one, two) in sizes if one != two):
            axes[name] = differing
    return axes


def _with_inputs(tensor: Tensor, axis: int, places: Places) -> Tensor:
    mean = tensor.mean(dim=axis)
    parts = [mean if place is None else tensor.select(axis, place) for place in places]
    return torch.stack(parts, dim=axis)


def _with_outputs(tensor: Tensor, fresh: Tensor, axes: Sequence[int], places: Places) -> Tensor:
    kept = [(target, place) for target, place in enumerate(places) if place is not None]
    into = [torch.arange(size) for size in fresh.shape]
    out_of = [torch.arange(size) for size in fresh.shape]
    for axis in axes:
        into[axis] = torch.tensor([target for target, _ in kept], dtype=torch.long)
        out_of[axis] = torch.tensor([place for _, place in kept], dtype=torch.long)
    others = [axis for axis in range(fresh.ndim) if axis not in axes]
    if any(tensor.shape[axis] != fresh.shape[axis] for axis in others):
        return tensor  # of another width: the caller says so
    result = fresh.clone()
    result[torch.meshgrid(*into, indexing="ij")] = tensor[torch.meshgrid(*out_of, indexing="ij")]
    return result
