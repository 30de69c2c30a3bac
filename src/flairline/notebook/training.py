"""Training: `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flairline.notebook.given import healthy_cases, label_map_files

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
    flairline.errors.InputError: The method histeq needs no training. Use it at once: flairline segment --method histeq.
    """
    from flairline.learning.run import TrainingRun
    from flairline.training import LABEL_MAPS, Material, checked_method, train_model

    run = TrainingRun(Path(out), preset, max_minutes, device, resume, seed)
    if checked_method(method).info.learns_from == LABEL_MAPS:
        return train_model(method, run, Material(label_maps=label_map_files(scans)))
    return train_model(method, run, Material(cases=healthy_cases(scans)))
