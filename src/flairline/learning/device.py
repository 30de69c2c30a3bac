"""Which device a network runs on."""

from __future__ import annotations

from flairline.errors import InputError


def chosen_device(wanted: str) -> str:
    """The device's name; `auto` takes CUDA, else MPS, else the CPU. Raises `InputError` if this machine lacks it."""
    import torch

    counts = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    there = [name for name, count in counts.items() if count]
    if wanted == "auto":
        return there[0]
    if wanted not in {*there, *(f"{name}:{number}" for name in there for number in range(counts[name]))}:
        known = ", ".join(there)
        msg = f"Wanted the device {wanted!r}, but this machine has {known}. Give one of them, or auto."
        raise InputError(msg)
    return wanted
