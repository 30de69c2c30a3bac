"""One training: where it writes, how long it may take, what it starts from. Nothing of it is a method's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flairline.errors import InputError, ModelError
from flairline.io.files import write_json
from flairline.types import Progress, no_progress

log = logging.getLogger(__name__)

SETUP = "setup.json"
"""The file in a training's folder that says what is trained on what."""

LeftOut = Callable[[str, str], None]
"""Called with a scan (`Case.key`) and a reason."""


def log_left_out(scan: str, reason: str) -> None:
    """The `LeftOut` of who names none: a warning."""
    log.warning("%s is left out: %s", scan, reason)


@dataclass(frozen=True)
class TrainingRun:
    """How a method is trained.

    Attributes
    ----------
    folder
        The model folder to write; what the training keeps on its way lies in its sub-folder ``training``.
    preset
        Size of the network and of its training: one of the method's `presets`.
    max_minutes
        Budget of the training, without what is prepared for it; a resumed training's earlier minutes count.
    device
        auto, cpu, cuda or mps, or one GPU (cuda:1). "auto" leaves it to the method.
    resume
        Go on from the last checkpoint.
    seed
        Of everything random.
    start
        Model folders whose weights the training starts from; of several the mean. Not every method can.
    workers
        Processes that prepare what is learned from, where that takes several.
    show_progress
        Draw the training's own progress bar.
    progress
        Told how far the preparation is.
    left_out
        Told of each scan that cannot be read, with the reason; the training goes on without it.
    """

    folder: Path
    preset: str = "small"
    max_minutes: float = 60.0
    device: str = "auto"
    resume: bool = False
    seed: int = 0
    start: tuple[Path, ...] = ()
    workers: int = 2
    show_progress: bool = False
    progress: Progress = no_progress
    left_out: LeftOut = log_left_out

    @property
    def work(self) -> Path:
        """Folder of what the training keeps on its way: checkpoints, logs, slices, synthetic scans."""
        return self.folder / "training"

    def on(self, device: str) -> TrainingRun:
        """The same run; where it leaves the device to the method, on the method's."""
        return replace(self, device=device) if self.device == "auto" else self

    def check_preset(self, known: Iterable[str]) -> None:
        """Raise `InputError` if the preset is none of the known."""
        known = list(known)
        if self.preset not in known:
            msg = f"No preset is called {self.preset!r}. Known: {', '.join(known)}."
            raise InputError(msg)

    def note_setup(self, setup: Mapping[str, Any], done: int) -> None:
        """Note what is trained on what; a training that goes on (`done` steps are done) must be the same one.

        Parameters
        ----------
        setup
            Plain values; what is learned from by the hash of its content.

        Raises
        ------
        ModelError
            It is another one; the message names what differs. Or the note is broken.
        """
        path = self.work / SETUP
        new = json.loads(json.dumps(setup))
        try:
            before = dict(json.loads(path.read_text(encoding="utf-8"))) if done and path.exists() else new
        except (OSError, TypeError, ValueError) as error:
            msg = f"{path} is broken, so the training cannot go on. Begin again without --resume."
            raise ModelError(msg) from error
        changed = [name for name in new if before.get(name) != new[name]]
        if changed:
            msg = (
                f"The training in {self.work} is another one ({', '.join(changed)} changed), so it cannot go on. Give"
                " what it was begun with, another folder, or leave out --resume to begin again."
            )
            raise ModelError(msg)
        write_json(path, new)
