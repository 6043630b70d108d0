from __future__ import annotations

import copy

import pytest
import torch

from TumorSegLib.errors import InputError
from TumorSegLib.inference.engine import GPU_BATCH_PIXELS, Engine
from TumorSegLib.networks import FCN8s, LinkNet, MUNet, ResNet50Classifier, UNet
from TumorSegLib.networks.folding import fold_batch_norms
from TumorSegLib.networks.packing import PackedConvolution, pack_convolutions
from TumorSegLib.support.device import choose_device, choose_precision, has_native_bf16

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


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


SMALL = {
    "U-Net": lambda: UNet(3, 2, width=4, depth=2),
    "mU-Net": lambda: MUNet(3, 2, width=4, depth=2),
    "LinkNet": lambda: LinkNet(3, 2, width=8),
    "LinkNet-50": lambda: LinkNet(3, 2, width=8, encoder="ResNet-50"),
    "FCN-8s": lambda: FCN8s(3, 2, width=4, hidden=8, batch_norm=True),
    "ResNet-50": lambda: ResNet50Classifier(3, 2, width=4, hidden=[8]),
}


NATIVE = [
    torch.float32,
    pytest.param(
        torch.bfloat16,
        marks=pytest.mark.skipif(
            not has_native_bf16(CPU),
            reason="bf16 is not native on this processor: it is never chosen, nor packed for",
        ),
    ),
]
"""Arithmetic that a network can run in on this processor."""


@pytest.fixture
def threads():
    """Sets the number of threads within a test; with one alone PyTorch convolves without oneDNN."""
    usual = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(usual)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", NATIVE)
@pytest.mark.parametrize("name", SMALL)
def test_packed_convolutions_give_the_same_bits(name, dtype, threads):
    threads(2)
    torch.manual_seed(0)
    network = fold_batch_norms(SMALL[name]().eval()).to(dtype)
    network.to(memory_format=torch.channels_last)
    packed = pack_convolutions(copy.deepcopy(network))
    assert any(isinstance(module, PackedConvolution) for module in packed.modules())
    assert not any(type(module) is torch.nn.Conv2d for module in packed.modules())
    for shape in ((4, 3, 64, 64), (3, 3, 96, 70)):
        slices = torch.rand(shape).to(dtype).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            assert torch.equal(packed(slices), network(slices))


def test_weights_are_packed_in_the_order_for_the_shape_that_comes(monkeypatch):
    """In the order for another, each call would bring them into the right one."""
    shapes, packed_for = [], PackedConvolution._packed_for
    packed = PackedConvolution(torch.nn.Conv2d(3, 8, 3), relu=True)

    def noted(self, shape):
        shapes.append(tuple(shape))
        return packed_for(self, shape)

    monkeypatch.setattr(PackedConvolution, "_packed_for", noted)
    come = [(2, 3, 16, 16), (2, 3, 18, 16), (1, 3, 18, 16)]
    with torch.inference_mode():
        for shape in come:
            for _ in range(2):
                packed(torch.rand(shape))
    assert shapes == come


def test_relus_behind_convolutions_are_part_of_them():
    packed = pack_convolutions(fold_batch_norms(UNet(1, 1, width=4, depth=2).eval()))
    assert not any(isinstance(module, torch.nn.ReLU) for module in packed.modules())


@pytest.mark.parametrize("dtype", NATIVE)
def test_the_engine_packs_for_a_cpu(network, dtype):
    engine = Engine([network], torch.sigmoid, device=CPU, dtype=dtype)
    assert any(isinstance(m, PackedConvolution) for m in engine.networks[0].modules())


def test_a_pytorch_that_cannot_pack_runs_networks_as_they_are(network, monkeypatch):
    slices = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        expected = network(slices).sigmoid()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    engine = engine_of(network)
    torch.testing.assert_close(engine.probabilities(slices), expected, rtol=1e-4, atol=1e-5)

    def refuse(*_, **__):
        raise RuntimeError("no such operator")

    monkeypatch.undo()
    monkeypatch.setattr(PackedConvolution, "__init__", refuse)
    engine = engine_of(network)
    torch.testing.assert_close(engine.probabilities(slices), expected, rtol=1e-4, atol=1e-5)


def test_what_the_first_sequence_gives_alone_takes_its_part_in_the_average():
    torch.manual_seed(0)
    network = UNet(6, 1, width=4, depth=2).eval()
    slices = torch.rand(3, 6, 32, 32)  # two sequences of three slices each
    first = slices[:, [0, 1, 2, 0, 1, 2]]
    with torch.inference_mode():
        both, alone = (network(part).sigmoid() for part in (slices, first))
    engine = engine_of(network, sequences=2, first_alone=0.25)
    found = engine.probabilities(slices)
    torch.testing.assert_close(found, 0.75 * both + 0.25 * alone, rtol=1e-4, atol=1e-5)
    assert (found - both).abs().max() > 1e-3


def test_a_sequence_that_is_alone_is_seen_once(network):
    seen = []
    engine = engine_of(network, sequences=1, first_alone=0.5)
    engine.networks[0].register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    engine.probabilities(torch.rand(2, 1, 32, 32))
    assert seen == [2]


@pytest.mark.parametrize("first_alone", [0.0, 0.5])
def test_slices_on_which_the_first_pass_sees_nothing_are_passed_once(first_alone):
    class Brightness(torch.nn.Module):
        """Sees what the left half of a slice is, and notes how many slices it was shown."""

        shown = 0

        def forward(self, slices):
            self.shown += len(slices)
            logits = slices[:, :1] * 20 - 10
            logits[..., 16:] = -10
            return logits

    network = Brightness()
    slices = torch.zeros(4, 2, 32, 32)  # two sequences
    slices[1, 0, :, :16] = slices[2, 0, :, 16:] = slices[3, 0, 5, 5] = 1
    options = {"mirror": True, "sequences": 2, "first_alone": first_alone}
    everything = Engine([network], torch.sigmoid, device=CPU, dtype=torch.float32, **options)
    passes = 4 if first_alone else 2
    averaged = everything.probabilities(slices)
    assert network.shown == passes * 4
    network.shown = 0
    engine = Engine(
        [network], torch.sigmoid, device=CPU, dtype=torch.float32, clear_below=0.01, **options
    )
    found = engine.probabilities(slices)
    assert network.shown == 4 + (passes - 1) * 2
    assert torch.equal(found[[1, 3]], averaged[[1, 3]])
    assert torch.equal(found[[0, 2]], slices[[0, 2], :1] * 0 + torch.tensor(-10.0).sigmoid())


class PretendedGPU:
    """A device "cuda:0" that computes on the CPU, and fails as a test wants it to.

    Attributes:
        fails: takes the number of slices that the GPU is given, 0 where weights are moved to it;
            raises what a GPU does.
        engine: that runs on it.
        precisions: types of the slices that came, with where they came to.
    """

    def __init__(self, monkeypatch):
        self.fails = lambda count: None
        self.engine = None
        self.precisions = []
        self._to = torch.Tensor.to
        monkeypatch.setattr(
            torch.Tensor, "to", lambda *arguments, **named: self._moved(*arguments, **named)
        )

    def _moved(self, tensor, *arguments, **named):
        if any(map(self._is_me, arguments)) and isinstance(tensor, torch.nn.Parameter):
            self.fails(0)
        arguments = [CPU if self._is_me(part) else part for part in arguments]
        return self._to(tensor, *arguments, **named)

    def _is_me(self, part):
        return isinstance(part, torch.device) and part.type == "cuda"

    def engine_of(self, network, dtype=torch.float32):
        self.engine = Engine(
            [Watched(copy.deepcopy(network), self)], torch.sigmoid, device=GPU, dtype=dtype
        )
        return self.engine


class Watched(torch.nn.Module):
    """A network that fails where its GPU does."""

    def __init__(self, network, gpu):
        super().__init__()
        self.network, self.gpu = network, gpu

    def __deepcopy__(self, memo):
        return Watched(copy.deepcopy(self.network, memo), self.gpu)

    def forward(self, slices):
        device = self.gpu.engine.device.type
        self.gpu.precisions.append((device, slices.dtype))
        if device == "cuda":
            self.gpu.fails(len(slices))
        return self.network(slices)


@pytest.fixture
def gpu(monkeypatch):
    return PretendedGPU(monkeypatch)


def with_memory_for(capacity):
    def fails(count):
        if count > capacity:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return fails


def check(engine, network, slices):
    """The probabilities are right, whatever the GPU does."""
    with torch.inference_mode():
        expected = network(slices).sigmoid()
    close = (
        {"rtol": 1e-4, "atol": 1e-5} if engine.dtype == torch.float32 else {"rtol": 0, "atol": 0.05}
    )
    torch.testing.assert_close(engine.probabilities(slices), expected, **close)


@pytest.mark.parametrize(("capacity", "warning"), [(3, "batches of 2 slices"), (0, "on the CPU")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_out_of_gpu_memory(network, gpu, capacity, warning, dtype):
    slices = torch.rand(8, 1, 32, 32)
    engine = gpu.engine_of(network, dtype)
    gpu.fails = with_memory_for(capacity)
    check(engine, network, slices)
    assert warning in engine.warnings[-1]
    assert (engine.device.type == "cpu") == (capacity == 0)
    expected = ("cpu", torch.float32) if capacity == 0 else ("cuda", dtype)
    assert gpu.precisions[-1] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_next_run_tries_the_gpu_again(network, gpu, dtype):
    slices = torch.rand(8, 1, 32, 32)
    engine = gpu.engine_of(network, dtype)
    gpu.fails = with_memory_for(0)
    check(engine, network, slices)
    assert engine.device == CPU
    engine.restart()  # the memory is still taken
    check(engine, network, slices)
    assert engine.device == CPU
    assert "on the CPU" in engine.warnings[-1], "each run says so"
    gpu.fails = lambda count: None  # another program has given its memory back
    engine.restart()
    check(engine, network, slices)
    assert (engine.device, engine.dtype) == (GPU, dtype)
    assert engine.warnings == []
    assert engine.batch_size((32, 32)) == GPU_BATCH_PIXELS // 32**2
    assert gpu.precisions[-1] == ("cuda", dtype)


NO_KERNEL = (
    "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors"
)
NO_OPERATOR = (
    "The operator 'aten::upsample_bicubic2d.out' is not currently implemented for the MPS device."
    " If you want this op to be considered, file an issue"
)
FAILURES = pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError(NO_KERNEL), "no kernel image is available for execution on the device)"),
        (NotImplementedError(NO_OPERATOR), "not currently implemented for the MPS device)"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), "CUDNN_STATUS_NOT"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors"), "out of GPU memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), "out of GPU memory"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "out of GPU memory"),
    ],
)  # fmt: skip


@FAILURES
@pytest.mark.parametrize("moving", [True, False], ids=["moving weights", "computing"])
def test_a_gpu_that_cannot_run_the_model(network, gpu, error, words, moving):
    def fails(count):
        if (count == 0) == moving:
            raise error

    slices = torch.rand(3, 1, 32, 32)
    gpu.fails = fails
    engine = gpu.engine_of(network)
    check(engine, network, slices)
    assert engine.device == CPU
    assert words in engine.warnings[-1]
    assert "going on on the CPU" in engine.warnings[-1]
    assert "\n" not in engine.warnings[-1]


def test_a_gpu_that_is_lost_does_not_take_the_weights_along(network, gpu, monkeypatch):
    """After an error such as an illegal address nothing can be copied back."""
    slices = torch.rand(3, 1, 32, 32)
    engine = gpu.engine_of(network)

    def lost(count):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    gpu.fails = lost
    on_gpu = engine.networks[0]
    monkeypatch.setattr(on_gpu, "to", lambda *_: lost(0))
    check(engine, network, slices)
    assert engine.networks[0] is not on_gpu
    engine.restart()
    check(engine, network, slices)
    assert "illegal memory access" in engine.warnings[-1]


def test_a_fault_of_the_network_is_one_on_the_cpu_too(network, gpu):
    engine = gpu.engine_of(network)
    with pytest.raises(RuntimeError, match="expected input"):
        engine.probabilities(torch.rand(2, 7, 32, 32))


def test_out_of_ordinary_memory(network, monkeypatch):
    def full(*_):
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"
            " memory: you tried to allocate 4000000000 bytes."
        )

    engine = engine_of(network)
    monkeypatch.setattr(engine.networks[0], "forward", full)
    with pytest.raises(MemoryError):
        engine.probabilities(torch.rand(2, 1, 32, 32))


@FAILURES
def test_auto_takes_a_gpu_only_if_it_computes(monkeypatch, error, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GTX 680")
    monkeypatch.setattr(torch, "ones", fail)
    device, note = choose_device("auto")
    if "out of GPU memory" in words:  # that may change until the run
        assert (device, note) == (GPU, "NVIDIA GTX 680")
    else:
        assert device == CPU
        assert "NVIDIA GTX 680 cannot be used: " in note
        assert words.rstrip(")") in note


def test_devices_and_precisions():
    assert choose_device("cpu")[0] == choose_device("cpu:0")[0] == CPU
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device cuda: not available"):
            choose_device("cuda")
        assert choose_device("auto")[0].type in ("cpu", "mps")
    for wish in ("cuda:99", "tpu", "meta", "cpu:x", "cpu:3", "mps:1", "", 0, None):
        with pytest.raises(InputError, match="device"):
            choose_device(wish)
    assert choose_precision("fp32", CPU) == torch.float32
    with pytest.raises(InputError, match="expected one of auto, fp32, bf16"):
        choose_precision("fp8", CPU)


def test_bf16_only_where_native(monkeypatch):
    monkeypatch.setattr("TumorSegLib.support.device.has_native_bf16", lambda _: False)
    assert choose_precision("auto", CPU) == torch.float32
    with pytest.raises(InputError, match="bf16: not native"):
        choose_precision("bf16", CPU)
    monkeypatch.setattr("TumorSegLib.support.device.has_native_bf16", lambda _: True)
    assert choose_precision("auto", CPU) == torch.bfloat16
