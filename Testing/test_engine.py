from __future__ import annotations

import copy

import pytest
import torch

from TumorSegLib.device import choose_device, choose_precision
from TumorSegLib.engine import Engine
from TumorSegLib.errors import InputError
from TumorSegLib.networks import UNet

CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return UNet(1, 1, width=4, depth=2).eval()


def engine_of(network, **options):
    return Engine(
        [copy.deepcopy(network)], torch.sigmoid, device=CPU, dtype=torch.float32, **options
    )


def test_batches_do_not_matter(network):
    slices = torch.rand(7, 1, 48, 40)
    with torch.inference_mode():
        expected = network(slices).sigmoid()
    engine = engine_of(network)
    torch.testing.assert_close(engine.probabilities(slices), expected, rtol=1e-4, atol=1e-5)
    engine._batch_limit = 2
    torch.testing.assert_close(engine.probabilities(slices), expected, rtol=1e-4, atol=1e-5)


class SmallGPU(torch.nn.Module):
    """A network on a pretended GPU that holds so many slices, and any number on the CPU."""

    def __init__(self, network, capacity):
        super().__init__()
        self.network, self.capacity, self.engine, self.sizes = network, capacity, None, []

    def forward(self, slices):
        self.sizes.append(len(slices))
        if self.engine.device.type != "cpu" and len(slices) > self.capacity:
            raise torch.OutOfMemoryError("pretended")
        return self.network(slices)


@pytest.mark.parametrize(("capacity", "warning"), [(3, "batches of 2 slices"), (0, "on the CPU")])
def test_out_of_gpu_memory(network, capacity, warning, monkeypatch):
    slices = torch.rand(8, 1, 32, 32)
    with torch.inference_mode():
        expected = network(slices).sigmoid()
    small = SmallGPU(network, capacity)
    engine = Engine([small], torch.sigmoid, device=CPU, dtype=torch.float32)
    small.engine = engine
    engine.device = torch.device("meta")  # anything but the CPU
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_args, **_options: self)
    found = engine.probabilities(slices)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert warning in engine.warnings[-1]
    assert (engine.device.type == "cpu") == (capacity == 0)


def test_devices_and_precisions():
    assert choose_device("cpu")[0] == CPU
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device cuda: not available"):
            choose_device("cuda")
        assert choose_device("auto")[0].type in ("cpu", "mps")
    for wish in ("cuda:99", "tpu", "meta", "cpu:x", ""):
        with pytest.raises(InputError, match="device"):
            choose_device(wish)
    assert choose_precision("fp32", CPU) == torch.float32
    with pytest.raises(InputError, match="expected one of auto, fp32, bf16"):
        choose_precision("fp8", CPU)


def test_bf16_only_where_native(monkeypatch):
    monkeypatch.setattr("TumorSegLib.device.has_native_bf16", lambda _: False)
    assert choose_precision("auto", CPU) == torch.float32
    with pytest.raises(InputError, match="bf16: not native"):
        choose_precision("bf16", CPU)
    monkeypatch.setattr("TumorSegLib.device.has_native_bf16", lambda _: True)
    assert choose_precision("auto", CPU) == torch.bfloat16
