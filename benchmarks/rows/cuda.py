"""The same on a CUDA device, by precision, batch and graph: see `gpu_path.py`."""

from __future__ import annotations

import torch

from rows.pairs import Row, Series

DEVICE = "cuda"
BATCHES = [1, 8, 32, 128]
SLICES, SIZE = 200, 512


def rows(rounds: int) -> list[Row]:
    """Return a row for each setting; one that says why there is none where there is no GPU."""
    if not torch.cuda.is_available():
        return [Row("Network stage and warm worker", None, None, "CUDA: no GPU is here")]
    import gpu_path

    device = torch.device(DEVICE)
    peak = gpu_path.peaks(device, rounds)
    clicks = gpu_path.worker_rows(DEVICE, SLICES, SIZE, rounds)
    kinds = sorted({(str(click["kind"]), str(click["precision"])) for click in clicks})
    found = [
        Row(
            f"CT {SIZE}x{SIZE}x{SLICES}, U-Net, in the worker",
            Series(f"{kind}, {precision}", _seconds(clicks, kind, precision)),
        )
        for kind, precision in kinds
    ]
    for one in gpu_path.network_rows(device, BATCHES, peak, rounds):
        name = f"{one['precision']}, batch {one['batch']}{', graph' if one['graph'] else ''}"
        series = Series(
            name, (float(one["ms_a_slice"]) / 1e3,), shares=(float(one["share_of_peak"]),)
        )
        found.append(Row(f"{one['network']}, 256x256, a slice", series))
    return found


def _seconds(clicks: list[dict], kind: str, precision: str) -> tuple[float, ...]:
    chosen = [one for one in clicks if (one["kind"], one["precision"]) == (kind, precision)]
    return tuple(float(one["seconds"]) for one in chosen)
