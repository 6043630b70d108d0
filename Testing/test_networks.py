from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from TumorSegLib.errors import ModelError
from TumorSegLib.networks import build_network
from TumorSegLib.networks.folding import fold_batch_norms

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "arguments", "millions"),
    [
        ("U-Net", {"in_channels": 3, "out_channels": 1, "width": 32}, 7.76),
        ("LinkNet", {"in_channels": 3, "out_channels": 1}, 11.53),
        ("mU-Net", {"in_channels": 1, "out_channels": 1, "width": 64}, 35.6),
        ("mU-Net", {"in_channels": 1, "out_channels": 1, "width": 32}, 8.9),
        ("ResNet-50", {"in_channels": 3, "out_channels": 1}, 23.5),
        ("FCN-8s", {"in_channels": 3, "out_channels": 1}, 134.3),
    ],
)
def test_parameters_are_those_of_the_literature(name, arguments, millions):
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "TumorSegLib.networks.fcn8s.bilinear_kernel", lambda c, n: torch.empty(c, c, n, n)
        )
        network = build_network(name, arguments)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_resnet50_has_the_published_encoder():
    # 25.557 million with ImageNet's classifier of 2048 * 1000 + 1000
    with torch.device("meta"):
        network = build_network("ResNet-50", {"in_channels": 3, "out_channels": 1000})
    assert sum(parameter.numel() for parameter in network.parameters()) == 25_557_032
    assert "layer3.5.conv3.weight" in network.encoder.state_dict()


SMALL = [
    ("U-Net", {"in_channels": 2, "out_channels": 3, "width": 4}),
    ("LinkNet", {"in_channels": 2, "out_channels": 3, "width": 8}),
    ("LinkNet", {"in_channels": 2, "out_channels": 3, "width": 8, "encoder": "ResNet-50"}),
    ("mU-Net", {"in_channels": 2, "out_channels": 3, "width": 4}),
    ("FCN-8s", {"in_channels": 2, "out_channels": 3, "width": 4, "hidden": 16}),
    (
        "FCN-8s",
        {"in_channels": 2, "out_channels": 3, "width": 4, "hidden": 16, "batch_norm": True},
    ),
]


@pytest.mark.parametrize(("name", "arguments"), SMALL)
@pytest.mark.parametrize("shape", [(64, 64), (65, 43), (31, 1), (17, 90)])
def test_any_height_and_width(name, arguments, shape):
    network = build_network(name, arguments).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 2, *shape)).shape == (2, 3, *shape)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*SMALL, ("ResNet-50", {"in_channels": 2, "out_channels": 3, "width": 4, "hidden": (8,)})],
)
def test_folding_changes_nothing(name, arguments):
    torch.manual_seed(1)
    network = build_network(name, arguments)
    slices = torch.rand(4, 2, 64, 64)
    for _ in range(3):
        network(slices)  # moves the running statistics away from 0 and 1
    network.eval()
    folded = fold_batch_norms(copy.deepcopy(network))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        torch.testing.assert_close(folded(slices), network(slices), rtol=1e-4, atol=1e-5)


def test_peak_pooling_finds_what_is_in_one_place_only():
    arguments = {"in_channels": 1, "out_channels": 2, "width": 4, "hidden": (8,)}
    network = build_network("ResNet-50", {**arguments, "pooling": "peak"}).eval()
    slices = torch.rand(3, 1, 96, 64)
    with torch.inference_mode():
        places = network.head(network.encoder(slices)[-1].permute(0, 2, 3, 1)).flatten(1, 2)
        expected = places.exp().mean(dim=1).log()
        torch.testing.assert_close(network(slices), expected)
    with pytest.raises(ModelError, match="pooling 'sum' is neither mean nor peak"):
        build_network("ResNet-50", {**arguments, "pooling": "sum"})


@pytest.mark.slow
def test_a_network_learns():
    torch.manual_seed(0)
    targets = torch.zeros(4, 1, 32, 32)
    for index, corner in enumerate((0, 4, 8, 12)):
        targets[index, :, corner : corner + 16, corner : corner + 16] = 1
    slices = targets + 0.2 * torch.rand(4, 1, 32, 32)
    for name, width in (("U-Net", 4), ("mU-Net", 4), ("LinkNet", 16)):
        network = build_network(name, {"in_channels": 1, "out_channels": 1, "width": width})
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        losses = []
        for _ in range(25):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(slices), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.7 * losses[0], name


def test_unknown_network_and_argument():
    with pytest.raises(ModelError, match=r"found 'V-Net', expected one of U-Net, LinkNet"):
        build_network("V-Net", {})
    with pytest.raises(ModelError, match="U-Net: arguments .* do not fit"):
        build_network("U-Net", {"breadth": 3})


@pytest.mark.slow
def test_shapes_alone_are_those_of_the_network_and_import_no_compiler(tmp_path):
    script = (
        "import sys, torch\n"
        "from TumorSegLib.networks import NETWORKS, build_network, shapes_alone\n"
        "for name in NETWORKS:\n"
        "    arguments = {'in_channels': 1, 'out_channels': 2}\n"
        "    alone = shapes_alone(name, arguments).state_dict()\n"
        "    assert all(tensor.is_meta for tensor in alone.values())\n"
        "    whole = build_network(name, arguments).state_dict()\n"
        "    assert alone.keys() == whole.keys()\n"
        "    assert all(alone[key].shape == whole[key].shape for key in whole)\n"
        "print('torch._dynamo' in sys.modules, 'torch._inductor' in sys.modules)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "False False\n"
    assert not list(tmp_path.iterdir())
