from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from tumorseg_training.transfer import (
    encoder_of,
    load_checkpoint,
    load_imagenet,
    load_model,
    start_from,
)
from TumorSegLib.errors import InputError
from TumorSegLib.image.in_plane import FieldOfView
from TumorSegLib.image.normalisation import ForegroundRange
from TumorSegLib.model.bundle import write_bundle
from TumorSegLib.model.specification import (
    Channel,
    CodedConcept,
    Input,
    Label,
    ModelSpecification,
    Network,
)
from TumorSegLib.networks import FCN8s, LinkNet, ResNet50Classifier, UNet, build_network
from TumorSegLib.networks.resnet import resnet18

pytestmark = pytest.mark.slow

CODE = CodedConcept("SCT", "4147007", "Mass")


def model(
    channels: list[str],
    labels: list[str],
    *,
    name: str = "LinkNet",
    activation: Literal["sigmoid", "softmax"] = "sigmoid",
    **arguments: Any,
) -> ModelSpecification:
    outputs = len(labels) + (activation == "softmax")
    sizes = {"in_channels": len(channels), "out_channels": outputs, "width": 8} | arguments
    return ModelSpecification(
        id="m",
        title="M",
        version="1",
        description="",
        modality="MR",
        input=Input(tuple(Channel(c, c) for c in channels), FieldOfView(64), ForegroundRange()),
        labels=tuple(
            Label(index + 1, label, (0, 0, 0), CODE, CODE) for index, label in enumerate(labels)
        ),
        activation=activation,
        network=Network(name, sizes),
    )


def network_of(specification: ModelSpecification, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    assert specification.network is not None
    return build_network(specification.network.name, specification.network.arguments)


def test_equal_models_are_copied(tmp_path: Path) -> None:
    same = model(["flair", "t1"], ["Tumour"])
    source, target = network_of(same, 0), network_of(same, 1)
    write_bundle(tmp_path / "m", same, source, dtype="float32", card="")
    report = start_from(str(tmp_path / "m"), target, same)
    assert not report.adapted
    for name, tensor in target.state_dict().items():
        torch.testing.assert_close(tensor, source.state_dict()[name])


def test_channels_and_labels_are_adapted_by_name() -> None:
    old = model(["flair", "t1"], ["Tumour", "Oedema"])
    new = model(["t1", "flair", "t2"], ["Core", "Tumour"])
    source, target = network_of(old, 0), network_of(new, 1)
    fresh = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    report = load_model(source.state_dict(), old, target, new)
    assert set(report.adapted) == {"encoder.conv1.weight", "head.6.weight", "head.6.bias"}
    first, before = target.state_dict()["encoder.conv1.weight"], source.state_dict()
    kernel = before["encoder.conv1.weight"]
    torch.testing.assert_close(first[:, 0], kernel[:, 1])
    torch.testing.assert_close(first[:, 1], kernel[:, 0])
    torch.testing.assert_close(first[:, 2], kernel.mean(dim=1))
    last = target.state_dict()["head.6.weight"]
    torch.testing.assert_close(last[:, 1], before["head.6.weight"][:, 0])
    torch.testing.assert_close(last[:, 0], fresh["head.6.weight"][:, 0])


def test_sigmoid_starts_softmax_and_all_axes_follow() -> None:
    old = model(["ct"], ["Fat"], name="FCN-8s", hidden=16)
    new = model(["ct"], ["Muscle", "Fat"], name="FCN-8s", hidden=16, activation="softmax")
    source, target = network_of(old, 0), network_of(new, 1)
    load_model(source.state_dict(), old, target, new)
    up = target.state_dict()["up_fc7.weight"]
    torch.testing.assert_close(up[2, 2], source.state_dict()["up_fc7.weight"][0, 0])
    assert up.shape[:2] == (3, 3)


def test_another_architecture_or_width_is_refused() -> None:
    old = model(["ct"], ["Fat"])
    other = model(["ct"], ["Fat"], name="U-Net")
    with pytest.raises(InputError, match=r"is LinkNet, the model to train U-Net"):
        load_model(network_of(old, 0).state_dict(), old, network_of(other, 1), other)
    wide = model(["ct", "pet"], ["Fat", "Muscle"], width=16)
    with pytest.raises(InputError, match="same width"):
        load_model(network_of(old, 0).state_dict(), old, network_of(wide, 1), wide)


def test_a_classifier_takes_the_encoder_of_a_run_that_learnt_to_segment() -> None:
    source = LinkNet(1, 1, width=8, encoder="ResNet-50")
    target = ResNet50Classifier(1, 1, width=8, hidden=(16,))
    report = load_checkpoint(source.state_dict(), target, "last.ckpt")
    assert all(name.startswith("head.") for name in report.fresh)
    assert all(name.startswith(("decoder.", "head.")) for name in report.unused)
    for name, tensor in target.encoder.state_dict().items():
        torch.testing.assert_close(tensor, source.encoder.state_dict()[name])


def test_the_checkpoint_of_another_encoder_is_refused() -> None:
    other = LinkNet(1, 1, width=8).state_dict()
    for network in (ResNet50Classifier(1, 1, width=8), UNet(1, 1, width=8)):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with pytest.raises(InputError, match=r"start_from last\.ckpt: holds another network"):
            load_checkpoint(other, network, "last.ckpt")
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(tensor, before[name])


def resnet18_file(path: Path, width: int = 64) -> dict[str, torch.Tensor]:
    """Write a state dict with torchvision's names: the encoder's and a classifier of 1000."""
    weights = dict(resnet18(3, width).state_dict())
    weights |= {"fc.weight": torch.zeros(1000, 8 * width), "fc.bias": torch.zeros(1000)}
    torch.save(weights, path)
    return weights


def test_imagenet_weights_fill_the_encoder_and_say_what_is_not_loaded(tmp_path: Path) -> None:
    weights = resnet18_file(tmp_path / "resnet18.pth")
    network = LinkNet(3, 1)
    report = start_from(str(tmp_path / "resnet18.pth"), network, model(["a", "b", "c"], ["T"]))
    torch.testing.assert_close(network.encoder.conv1.weight, weights["conv1.weight"])
    assert report.unused == ("encoder.fc.bias", "encoder.fc.weight")
    assert not report.adapted
    assert all(name.startswith(("decoder", "head")) for name in report.fresh)
    assert len(report.loaded) == len(network.encoder.state_dict())
    assert "unused (encoder.fc.bias" in str(report)


def test_one_channel_starts_from_the_mean_colour() -> None:
    weights = resnet18(3).state_dict()
    network = LinkNet(1, 1)
    report = load_imagenet(weights, network, "resnet18.pth")
    assert report.adapted == ("encoder.conv1.weight",)
    torch.testing.assert_close(
        network.encoder.conv1.weight, weights["conv1.weight"].sum(dim=1, keepdim=True)
    )


def test_vgg16_becomes_fcn() -> None:
    network, source = FCN8s(3, 2, width=8, hidden=32), FCN8s(3, 5, width=8, hidden=32)
    weights = {k: v for k, v in source.state_dict().items() if k.startswith("features")}
    weights["classifier.0.weight"] = source.fc6.weight.detach().reshape(32, -1)
    weights["classifier.0.bias"] = source.fc6.bias.detach()
    weights["classifier.3.weight"] = source.fc7.weight.detach().reshape(32, -1)
    weights["classifier.3.bias"] = source.fc7.bias.detach()
    weights |= {"classifier.6.weight": torch.zeros(9, 32), "classifier.6.bias": torch.zeros(9)}
    report = load_imagenet(weights, network, "vgg16.pth")
    torch.testing.assert_close(network.fc6.weight, source.fc6.weight)
    assert report.unused == ("classifier.6.bias", "classifier.6.weight")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda w: w.pop("layer4.1.conv2.weight"), r"lacks encoder\.layer4\.1\.conv2\.weight"),
        (lambda w: w.update({"layer5.weight": torch.zeros(1)}), r"has encoder\.layer5\.weight"),
        (lambda w: w.update({"bn1.weight": torch.zeros(32)}), r"encoder\.bn1\.weight has shape"),
    ],
)
def test_other_encoders_are_refused_by_tensor(change: Any, named: str) -> None:
    weights = dict(resnet18(3).state_dict())
    change(weights)
    with pytest.raises(InputError, match=named):
        load_imagenet(weights, LinkNet(3, 1), "file.pth")


def test_networks_without_imagenet_weights_say_so() -> None:
    with pytest.raises(InputError, match="LinkNet takes ResNet-18"):
        load_imagenet({}, UNet(1, 1, width=8), "resnet18.pth")


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"conv1.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="not a checkpoint"):
        start_from(str(tmp_path / "trap.pth"), LinkNet(3, 1), model(["a", "b", "c"], ["T"]))
    assert not (tmp_path / "ran").exists()


def test_every_network_has_an_encoder_to_freeze() -> None:
    for network in (LinkNet(1, 1, width=8), ResNet50Classifier(1, 1, width=8), UNet(1, 1, width=8)):
        assert sum(p.numel() for p in encoder_of(network).parameters()) > 0
