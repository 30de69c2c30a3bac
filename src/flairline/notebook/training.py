"""Training: `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flairline.errors import InputError
from flairline.notebook.given import healthy_cases
from flairline.notebook.names import method as known_method

if TYPE_CHECKING:
    from flairline.notebook.given import Cases


def fit(
    method: str,
    scans: Cases | Sequence[Path],
    out: Path | str,
    preset: str = "small",
    max_minutes: float = 60.0,
    device: str = "auto",
    resume: bool = False,
    seed: int = 0,
) -> Path:
    """Train a method on healthy scans; no lesion label is ever learned from.

    Parameters
    ----------
    method
        A method that can be trained.
    scans
        Healthy scans: paths of FLAIRs, cases, or a table of cases. Label maps for a method that learns from them.
    out
        The model folder to write.
    preset
        Size of the network and of its training ("small", "paper" ...).
    max_minutes
        Stop after so many minutes.
    device
        "auto", "cpu", "cuda" or "mps".
    resume
        Go on from the last checkpoint in the folder.
    seed
        Of everything random.

    Returns
    -------
    Path
        The model folder: `segment(..., method=method, model=folder)`.

    Raises
    ------
    InputError
        The method needs no training, there are too few scans, or a scan has lesions by its truth.
    MissingExtraError
        The method needs a package that is not installed.

    Examples
    --------
    >>> import flairline as fl
    >>> fl.fit("histeq", [], "model")
    Traceback (most recent call last):
    flairline.errors.InputError: The method histeq needs no training. Use it at once: segment(..., method='histeq').
    """
    from dataclasses import replace

    from flairline.learning.data import TrainingData

    chosen = known_method(method)
    try:
        train = chosen.train
    except AttributeError:
        msg = f"The method {method} needs no training. Use it at once: segment(..., method={method!r})."
        raise InputError(msg) from None
    if device != "auto":
        train = replace(chosen, device=device).train
    given: Any = scans if chosen.learns_from == "label maps" else TrainingData(healthy_cases(scans))
    train(given, Path(out), preset=preset, max_minutes=max_minutes, resume=resume, seed=seed)
    return Path(out)
