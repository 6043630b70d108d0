"""That int8 weights come back within half a step, channel by channel, and damage is told."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from TumorSegLib.errors import ModelError
from TumorSegLib.model.stored_weights import SCALE, from_bytes, quantised, to_bytes
from TumorSegLib.networks import build_network

pytestmark = pytest.mark.slow

PATH = Path("weights.safetensors")
ARGUMENTS = {"in_channels": 3, "out_channels": 2}


@pytest.fixture(scope="module", params=["U-Net", "mU-Net", "LinkNet"])
def network(request):
    torch.manual_seed(0)
    small = {} if request.param == "LinkNet" else {"width": 8, "depth": 2}
    network = build_network(request.param, ARGUMENTS | small).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


def test_a_quarter_of_float32_and_within_half_a_step_of_each_output_channel(network):
    content = to_bytes(network, "int8")
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert len(content) < 1.3 * parameters + 40_000
    values = from_bytes(content, "int8", PATH)
    for name, tensor in network.state_dict().items():
        if name + SCALE in load(content):
            channel = 1 if "ConvTranspose2d" in kind_of(network, name) else 0
            others = [axis for axis in range(tensor.ndim) if axis != channel]
            step = tensor.abs().amax(dim=others, keepdim=True) / 127
            assert ((values[name] - tensor).abs() <= step * 0.5001).all(), name
        else:
            torch.testing.assert_close(values[name], tensor, rtol=1e-3, atol=1e-6)


def test_logits_hardly_change(network):
    torch.manual_seed(1)
    slices = torch.rand(2, 3, 64, 64)
    twin = copy.deepcopy(network)
    twin.load_state_dict(from_bytes(to_bytes(network, "int8"), "int8", PATH))
    with torch.inference_mode():
        exact, rounded = network(slices), twin(slices)
    assert 0 < (rounded - exact).std() < 0.05 * exact.std()


def test_named_tensors_stay_in_float16(network):
    name = next(key for key in network.state_dict() if key.endswith(".weight"))
    whole = load(to_bytes(network, "int8", float16=[name]))
    assert whole[name].dtype == torch.float16
    assert name + SCALE not in whole
    with pytest.raises(KeyError):
        to_bytes(network, "int8", float16=["no.such.weight"])


def test_a_channel_of_zeros_stays_zero():
    tensor = torch.randn(4, 3, 3, 3)
    tensor[2] = 0
    codes, scale = quantised(tensor, 0)
    assert codes.abs().amax() == 127
    assert not (codes.float() * scale)[2].any()


def test_what_is_wrong_is_told(network):
    tensors = load(to_bytes(network, "int8"))
    name = next(key for key in tensors if key + SCALE in tensors)
    scale = tensors[name + SCALE]
    lacking = {key: value for key, value in tensors.items() if key != name + SCALE}
    with pytest.raises(ModelError, match=f"tensor {name} is int8 and lacks its scales"):
        from_bytes(save(lacking), "int8", PATH)
    with pytest.raises(ModelError, match="its scales"):
        from_bytes(save({**tensors, name + SCALE: torch.ones(5, 5, 5, 5)}), "int8", PATH)
    with pytest.raises(ModelError, match="belongs to no int8 tensor"):
        from_bytes(save({**tensors, "tail" + SCALE: scale.clone()}), "int8", PATH)
    with pytest.raises(ModelError, match="is (I8|F32), expected F16"):
        from_bytes(save(tensors), "float16", PATH)


def kind_of(network, name):
    return type(network.get_submodule(name.rpartition(".")[0])).__name__
