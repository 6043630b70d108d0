"""The network stage: batches of prepared slices to probabilities, as fast as the device allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from TumorSegLib.folding import fold_batch_norms
from TumorSegLib.in_plane import resize

CPU_BATCH_PIXELS = 4 * 256 * 256
"""Slices a batch on a CPU: four at 256x256, one at 512x512; more only adds cache misses."""

GPU_BATCH_PIXELS = 32 * 256 * 256


class Engine:
    """Networks on a device whose probabilities are averaged.

    BatchNorms are folded, weights and activations are channels-last and in `dtype`.

    Attributes:
        device: where the networks are now.
        whole_slice: whether probabilities are one a slice (n, K), not one a pixel (n, K, H, W).
        dtype: float32 or bfloat16.
        warnings: one line for each time the engine had to retreat for want of memory.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        activation: Callable[[Tensor], Tensor],
        *,
        device: torch.device,
        dtype: torch.dtype,
        flips: bool = False,
        whole_slice: bool = False,
        scales: Sequence[float] = (),
        weights: Sequence[float] = (),
    ) -> None:
        """Take over `networks`, in evaluation mode and fp32; they are changed in place.

        Args:
            networks: each maps slices (B, C, H, W) to logits (B, K, H, W) or (B, K).
            activation: logits to probabilities.
            device: where to run.
            dtype: of weights and activations.
            flips: average with the left-right mirrored slices.
            whole_slice: the networks classify slices instead of pixels.
            scales: by which slices are enlarged for each network, and its probabilities brought
                back before they are averaged; 1 for all if not given.
            weights: of the networks in the average; alike if not given.
        """
        self.networks = [fold_batch_norms(network) for network in networks]
        self.activation = activation
        self.dtype = dtype
        self.whole_slice = whole_slice
        self._flips = flips
        self._scales = tuple(scales) or (1.0,) * len(self.networks)
        weights = tuple(weights) or (1.0,) * len(self.networks)
        self._weights = [weight / sum(weights) for weight in weights]
        self.warnings: list[str] = []
        self._batch_limit: int | None = None
        self._move(device)

    def batch_size(self, shape: tuple[int, int]) -> int:
        """Return how many slices of `shape` to hand over at once."""
        pixels = CPU_BATCH_PIXELS if self.device.type == "cpu" else GPU_BATCH_PIXELS
        size = max(1, pixels // (shape[0] * shape[1]))
        return size if self._batch_limit is None else min(size, self._batch_limit)

    def probabilities(self, slices: Tensor) -> Tensor:
        """Return probabilities (n, K, H, W) or (n, K), float32, for slices (n, C, H, W).

        They lie where the networks ran, which the next line may change.
        Out of GPU memory, the batch is halved, and halved again; where a single slice does not
        fit, everything moves to the CPU.
        """
        limit = self.batch_size((slices.shape[-2], slices.shape[-1]))
        try:
            with torch.inference_mode():
                return torch.cat([self._run(batch) for batch in torch.split(slices, limit)])
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
        self._retreat(min(limit, len(slices)))
        return self.probabilities(slices)

    def _run(self, batch: Tensor) -> Tensor:
        batch = batch.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        total = self._average(batch)
        if self._flips:
            mirrored = self._average(batch.flip(-1).contiguous(memory_format=torch.channels_last))
            total = (total + (mirrored if self.whole_slice else mirrored.flip(-1))) / 2
        return total

    def _average(self, batch: Tensor) -> Tensor:
        members = zip(self.networks, self._scales, self._weights, strict=True)
        answers = (
            self._answer(network, batch, scale) * weight for network, scale, weight in members
        )
        total = next(answers)
        for found in answers:
            total += found
        return total

    def _answer(self, network: nn.Module, batch: Tensor, scale: float) -> Tensor:
        """Return one network's probabilities on the grid of `batch`."""
        rows, columns = batch.shape[-2:]
        shape = (max(1, round(rows * scale)), max(1, round(columns * scale)))
        seen = resize(batch, shape).contiguous(memory_format=torch.channels_last)
        found = self.activation(network(seen).float())
        return found if self.whole_slice else resize(found, (rows, columns))

    def _retreat(self, size: int) -> None:
        torch.cuda.empty_cache()
        if size > 1:
            self._batch_limit = size // 2
            self.warnings.append(f"out of GPU memory: going on with batches of {size // 2} slices")
        else:
            self._batch_limit = None
            self._move(torch.device("cpu"))
            self.dtype = torch.float32
            self.warnings.append("out of GPU memory with a single slice: going on on the CPU")

    def _move(self, device: torch.device) -> None:
        self.device = device
        for network in self.networks:
            network.to(device, self.dtype)
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
