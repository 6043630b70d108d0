"""Where and with which arithmetic the network runs."""

from __future__ import annotations

import torch

from TumorSegLib.errors import InputError

PRECISIONS = ("auto", "fp32", "bf16")


def choose_device(wish: str) -> tuple[torch.device, str]:
    """Return the device for "auto", "cpu", "cuda", "cuda:N" or "mps", and why it is this one.

    Raises:
        InputError: the wish is none of these, or the device is not there.
    """
    if wish == "auto":
        return _choose()
    try:
        device = torch.device(str(wish))
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps") or (device.index and device.type != "cuda"):
        raise InputError(f"device: found {wish!r}, expected auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda":
        number = device.index or 0
        if number >= torch.cuda.device_count():
            raise InputError(f"device {wish}: not available ({why_no_gpu()}); use auto or cpu")
        return torch.device("cuda", number), torch.cuda.get_device_name(number)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device mps: not available on this machine; use auto or cpu")
    return torch.device(device.type), "as asked for"


def _choose() -> tuple[torch.device, str]:
    if torch.cuda.is_available():
        device = torch.device("cuda:0")
        name = torch.cuda.get_device_name(0)
    elif torch.backends.mps.is_available():
        device, name = torch.device("mps"), "Apple GPU"
    else:
        return torch.device("cpu"), why_no_gpu()
    reason = why_unusable(device)
    if reason is not None:
        return torch.device("cpu"), f"{name} cannot be used: {reason}"
    return device, name


def why_unusable(device: torch.device) -> str | None:
    """Return why nothing can be computed on a GPU that is there; nothing if it can.

    A PyTorch that holds no code for an old or a very new GPU sees it, and fails at the first
    addition. A GPU whose memory is taken at the moment can be used.
    """
    try:
        torch.ones(1, device=device).add_(1).item()
    except (RuntimeError, NotImplementedError) as error:
        return None if is_out_of_memory(error) else reason_of(error)
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether PyTorch failed for want of memory, which it says in many ways."""
    text = str(error).lower()
    signs = (
        *("out of memory", "alloc_failed", "can't allocate memory", "not enough memory"),
        "could not create a primitive",  # oneDNN
    )
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(sign in text for sign in signs)


def reason_of(error: Exception) -> str:
    """Return the first sentence of what PyTorch says."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0].removeprefix("CUDA error: ").rstrip(".")


def why_no_gpu() -> str:
    """Return in a few words why no CUDA device is used."""
    if torch.version.cuda is None:
        return "this PyTorch is built for the CPU only"
    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA driver or no NVIDIA GPU"
    return f"{torch.cuda.device_count()} CUDA devices"


def choose_precision(wish: str, device: torch.device) -> torch.dtype:
    """Return the type of weights and activations for "auto", "fp32" or "bf16".

    bfloat16 is chosen only where the processor computes in it natively; emulated, it is two to six
    times slower than fp32.

    Raises:
        InputError: the wish is none of these, or bf16 is not native here.
    """
    if wish not in PRECISIONS:
        raise InputError(f"precision: found {wish!r}, expected one of {', '.join(PRECISIONS)}")
    native = has_native_bf16(device)
    if wish == "bf16" and not native:
        raise InputError(f"precision bf16: not native on this {device.type}; use auto or fp32")
    return torch.bfloat16 if native and wish != "fp32" else torch.float32


def has_native_bf16(device: torch.device) -> bool:
    """Tell whether the device computes in bfloat16 natively."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return False
