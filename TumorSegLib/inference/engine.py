"""The network stage: batches of prepared slices to probabilities, as fast as the device allows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from TumorSegLib.image.in_plane import resize
from TumorSegLib.networks.folding import fold_batch_norms
from TumorSegLib.networks.packing import pack_convolutions
from TumorSegLib.support.device import is_out_of_memory, reason_of

CPU = torch.device("cpu")

CPU_BATCH_PIXELS = 4 * 256 * 256
"""Slices a batch on a CPU: four at 256x256, one at 512x512; more only adds cache misses."""

GPU_BATCH_PIXELS = 32 * 256 * 256


class Engine:
    """Networks on a device whose probabilities are averaged.

    BatchNorms are folded, weights and activations are channels-last and in `dtype`; where a CPU is
    asked for, convolutions are packed.

    A GPU may fail: it has too little memory, or this PyTorch holds no code for it or lacks an
    operation there. The run then goes on on the CPU with a warning, and the next one (`restart`)
    tries the GPU again. The weights also stay in ordinary memory, as a GPU that has failed may not
    give them back.

    Attributes:
        device: where the networks are now.
        whole_slice: whether probabilities are one a slice (n, K), not one a pixel (n, K, H, W).
        dtype: float32 or bfloat16, now.
        mirror: whether left-right mirrored slices are averaged in.
        warnings: one line for each time the engine had to retreat since the last restart.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        activation: Callable[[Tensor], Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        mirror: bool = False,
        whole_slice: bool = False,
        scales: Sequence[float] = (),
        weights: Sequence[float] = (),
        sequences: int = 1,
        first_alone: float = 0.0,
        clear_below: float = 0.0,
    ) -> None:
        """Take over `networks`, in evaluation mode and fp32; they are changed in place.

        Args:
            networks: each maps slices (B, C, H, W) to logits (B, K, H, W) or (B, K).
            activation: logits to probabilities.
            device: where to run.
            dtype: of weights and activations.
            mirror: average with the left-right mirrored slices.
            whole_slice: the networks classify slices instead of pixels.
            scales: by which slices are enlarged for each network, and its probabilities brought
                back before they are averaged; 1 for all if not given.
            weights: of the networks in the average; alike if not given.
            sequences: that the channels C are of, first all channels of the first.
            first_alone: part in the average of what the first sequence gives in all places.
            clear_below: where no probability of a slice as it is exceeds it, neither its mirror
                image nor the first sequence alone is looked at.
        """
        self._originals = [fold_batch_norms(network) for network in networks]
        for network in self._originals:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = self._originals
        self.activation = activation
        self.whole_slice = whole_slice
        self.mirror = mirror
        self._scales = tuple(scales) or (1.0,) * len(self.networks)
        weights = tuple(weights) or (1.0,) * len(self.networks)
        self._weights = [weight / sum(weights) for weight in weights]
        self._sequences, self._first_alone = sequences, first_alone
        self._clear_below = clear_below
        self._requested = (device, dtype)
        if self._requested == (CPU, torch.float32):  # from where no run goes on elsewhere
            self.networks = [pack_convolutions(network) for network in self._originals]
        self.device, self.dtype = CPU, torch.float32
        self.warnings: list[str] = []
        self._batch_limit: int | None = None
        self.restart()

    def restart(self) -> None:
        """Begin a run: forget earlier retreats, and go back to the device that was asked for."""
        self.warnings.clear()
        self._batch_limit = None
        if (self.device, self.dtype) != self._requested:
            try:
                self._move(*self._requested)
            except (RuntimeError, NotImplementedError) as error:
                self._retreat(error, 1)

    def batch_size(self, shape: tuple[int, int]) -> int:
        """Return how many slices of `shape` to hand over at once."""
        pixels = CPU_BATCH_PIXELS if self.device.type == "cpu" else GPU_BATCH_PIXELS
        size = max(1, pixels // (shape[0] * shape[1]))
        return size if self._batch_limit is None else min(size, self._batch_limit)

    def probabilities(self, slices: Tensor) -> Tensor:
        """Return probabilities (n, K, H, W) or (n, K), float32, for slices (n, C, H, W).

        They lie where the networks ran, which the next line may change.
        Out of GPU memory, the batch is halved, and halved again; where a single slice does not
        fit, or the GPU fails otherwise, everything moves to the CPU.

        Raises:
            MemoryError: there is not enough memory on the CPU, either.
        """
        limit = self.batch_size((slices.shape[-2], slices.shape[-1]))
        try:
            with torch.inference_mode():
                return torch.cat([self._run(batch) for batch in torch.split(slices, limit)])
        except (RuntimeError, NotImplementedError) as error:
            if self.device.type == "cpu":
                if is_out_of_memory(error):
                    raise MemoryError from error
                raise
            failure = error
        self._retreat(failure, min(limit, len(slices)))
        return self.probabilities(slices)

    def _run(self, batch: Tensor) -> Tensor:
        batch = batch.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        total = self._average(batch)
        if self.mirror or self._first_alone:
            seen = total.flatten(1).amax(dim=1) > self._clear_below
            if seen.any():
                total[seen] = self._averaged_further(batch[seen], total[seen])
        return total

    def _averaged_further(self, batch: Tensor, plain: Tensor) -> Tensor:
        """Return `plain`, what the networks say of `batch`, averaged with its other passes."""
        total = self._with_mirrored(batch, plain)
        if self._first_alone:
            first = batch[:, : batch.shape[1] // self._sequences].repeat(1, self._sequences, 1, 1)
            if not torch.equal(first, batch):
                first = first.contiguous(memory_format=torch.channels_last)
                alone = self._with_mirrored(first, self._average(first))
                total += self._first_alone * (alone - total)
        return total

    def _with_mirrored(self, batch: Tensor, plain: Tensor) -> Tensor:
        if not self.mirror:
            return plain
        mirrored = self._average(batch.flip(-1).contiguous(memory_format=torch.channels_last))
        return (plain + (mirrored if self.whole_slice else mirrored.flip(-1))) / 2

    def _average(self, batch: Tensor) -> Tensor:
        members = zip(self.networks, self._scales, self._weights, strict=True)
        answers = (
            self._answer(network, batch, scale) * weight for network, scale, weight in members
        )
        total = next(answers)
        for answer in answers:
            total += answer
        return total

    def _answer(self, network: nn.Module, batch: Tensor, scale: float) -> Tensor:
        """Return one network's probabilities on the grid of `batch`."""
        rows, columns = batch.shape[-2:]
        shape = (max(1, round(rows * scale)), max(1, round(columns * scale)))
        scaled = resize(batch, shape).contiguous(memory_format=torch.channels_last)
        probabilities = self.activation(network(scaled).float())
        return probabilities if self.whole_slice else resize(probabilities, (rows, columns))

    def _retreat(self, failure: Exception, size: int) -> None:
        """Do with less after a failure of the GPU on a batch of `size` slices."""
        lacks_memory = is_out_of_memory(failure)
        failure.__traceback__ = None  # its frames hold the batch's activations
        if lacks_memory and size > 1:
            self._batch_limit = size // 2
            self.warnings.append(f"out of GPU memory: going on with batches of {size // 2} slices")
        else:
            reason = (
                "out of GPU memory with a single slice"
                if lacks_memory
                else f"the GPU cannot run this model ({reason_of(failure)})"
            )
            self._batch_limit = None
            self._move(CPU, torch.float32)
            self.warnings.append(f"{reason}: going on on the CPU, which takes longer")
        _empty_cache()

    def _move(self, device: torch.device, dtype: torch.dtype) -> None:
        """Put the networks on a device.

        Types and memory formats are converted before, on the CPU: a GPU that cannot compute still
        takes copies.
        """
        self.networks = self._originals
        self.device, self.dtype = CPU, torch.float32
        if (device, dtype) != (CPU, torch.float32):
            networks = [copy.deepcopy(network).to(dtype) for network in self._originals]
            self.networks = [
                pack_convolutions(network) if device == CPU else network.to(device)
                for network in networks
            ]
        self.device, self.dtype = device, dtype


def _empty_cache() -> None:
    """Give memory that no tensor holds back to the GPU; one that has failed may refuse."""
    try:
        torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
    except RuntimeError:
        return
