"""Results of steps, kept under a key of their inputs' contents, so that nothing is computed twice.

A step's folder appears by one rename when all of its files are written, so a killed run leaves either a whole result
or a folder `.part-...` that the next run removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flairline.errors import ImageError, OutputError
from flairline.io.files import prepare_folder, write_json, write_text
from flairline.io.nifti import read_mask, read_volume, write_mask, write_volume
from flairline.preprocess.register import PointMap
from flairline.types import Mask, Space, Volume

log = logging.getLogger(__name__)

Artefact = Volume | Mask | PointMap | dict


class Cache:
    """A folder of step results; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else prepare_folder(folder)
        if self.folder is not None:
            _remove_leftovers(self.folder)

    def load(self, key: str, grids: Mapping[str, Space]) -> dict[str, Artefact] | None:
        """What was kept under a key, None if there is nothing or it was damaged; `grids` says where images lie."""
        if self.folder is None or not (self.folder / key / "step.json").exists():
            return None
        place = self.folder / key
        try:
            digests = json.loads((place / "step.json").read_text())["results"]
            found = {name: _read(place, name, grids.get(name)) for name in digests}
            if {name: digest(artefact) for name, artefact in found.items()} == digests:
                return found
        except (OSError, ValueError, KeyError, ImageError) as error:
            log.debug("%s: %s", place, error)
        log.warning("The kept result %s is damaged and is computed again.", place)
        shutil.rmtree(place, ignore_errors=True)
        return None

    def keep(self, key: str, results: Mapping[str, Artefact], about: Mapping[str, Any], said: str) -> None:
        """Keep a step's results. Raises `OutputError` where the disk is full, and leaves nothing half-written."""
        if self.folder is None:
            return
        part = self.folder / f".part-{socket.gethostname()}-{os.getpid()}-{key}"
        try:
            part.mkdir(exist_ok=True)
            for name, artefact in results.items():
                _write(part, name, artefact)
            write_text(part / "log.txt", said)
            digests = {name: digest(artefact) for name, artefact in results.items()}
            write_json(part / "step.json", {**about, "results": digests})
            with contextlib.suppress(OSError):  # another process kept the same result meanwhile
                part.rename(self.folder / key)
        except OSError as error:
            msg = f"Cannot keep results in {self.folder}: {error.strerror}. Free some space or give another with -w."
            raise OutputError(msg) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def step_key(name: str, version: int, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Name of a step's folder: the step, and a hash of its version, parameters and inputs' contents."""
    told = json.dumps([name, version, dict(parameters), dict(inputs)], sort_keys=True, default=str)
    return f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def digest(artefact: Artefact) -> str:
    """Hash of what an image, a mask, a map or a table of figures holds."""
    hashed = hashlib.sha256(type(artefact).__name__.encode())
    if isinstance(artefact, Volume | Mask):
        hashed.update(str(artefact.space.shape).encode())
        # An affine that went through a header is rounded to float32.
        hashed.update(artefact.space.vox_to_ras.astype(np.float32).tobytes())
        hashed.update(np.ascontiguousarray(artefact.array).tobytes())
    else:
        hashed.update(_text(artefact).encode())
    return hashed.hexdigest()


def _text(artefact: PointMap | dict) -> str:
    if isinstance(artefact, PointMap):
        table = {"source": artefact.source, "target": artefact.target, "ras_to_ras": artefact.ras_to_ras.tolist()}
    else:
        table = {key: None if value != value else float(value) for key, value in artefact.items()}
    return json.dumps(table, indent=2, sort_keys=True)


def _write(folder: Path, name: str, artefact: Artefact) -> None:
    if isinstance(artefact, Mask):
        write_mask(folder / f"{name}.nii.gz", artefact)
    elif isinstance(artefact, Volume):
        write_volume(folder / f"{name}.nii.gz", artefact)
    else:
        kind = "map" if isinstance(artefact, PointMap) else "figures"
        write_text(folder / f"{name}.{kind}.json", _text(artefact))


def _read(folder: Path, name: str, grid: Space | None) -> Artefact:
    if (path := folder / f"{name}.map.json").exists():
        table = json.loads(path.read_text())
        return PointMap(table["source"], table["target"], np.array(table["ras_to_ras"], dtype=np.float64))
    if (path := folder / f"{name}.figures.json").exists():
        table = json.loads(path.read_text())
        return {key: float("nan") if value is None else value for key, value in table.items()}
    path = folder / f"{name}.nii.gz"
    if grid is None:
        msg = f"nobody says on which grid {path} lies"
        raise ValueError(msg)
    if name.endswith("brain"):
        return Mask(read_mask(path).array, grid)
    return Volume(read_volume(path).array, grid)


def _remove_leftovers(folder: Path) -> None:
    """Folders that processes of this machine began and did not live to finish."""
    start = f".part-{socket.gethostname()}-"
    for part in folder.glob(f"{start}*"):
        process = part.name.removeprefix(start).split("-")[0]
        old = time.time() - part.stat().st_mtime > 3600
        if process.isdigit() and (not _alive(int(process)) or old):
            shutil.rmtree(part, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
