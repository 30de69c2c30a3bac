"""Synthetic patients made on the spot (`synthesis.phantom`), written as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from flairline.errors import InputError
from flairline.io.files import prepare_folder, write_text
from flairline.io.nifti import write_labels, write_mask, write_volume
from flairline.synthesis.phantom import PATIENTS, phantom
from flairline.types import Case


@dataclass(frozen=True)
class Dataset:
    """Phantoms written to the folder `path`: sub-001, sub-002 ... (patients, lesions of `PATIENTS` in turn).

    `cases()` and `healthy()` make the files anew each time; the same fields give the same bytes.
    """

    path: Path
    subjects: int = 6
    spacing_mm: float | tuple[float, float, float] = 2.0
    seed: int = 0
    orientation: str = "RAS"
    with_skull: bool = False

    licence: ClassVar[str] = "Synthetic; derived from the ICBM 152 templates (free to use with their copyright notice)"
    how_to_get: ClassVar[str] = "Nothing to get: it is made on the spot."
    citation: ClassVar[str] = (
        "Anatomy: V. S. Fonov et al., Unbiased average age-appropriate atlases for pediatric studies,"
        " NeuroImage 54 (2011) 313-327. Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre,"
        " Montreal Neurological Institute, McGill University."
    )
    published_as: ClassVar[str] = ""
    made_on_the_spot: ClassVar[str] = "made on the spot by flairline demo"

    def cases(self, required: tuple[str, ...] = ("flair",)) -> list[Case]:
        """Make the patients: flair, t1, brain, truth, lesions (numbers; kinds in `Case.extra["kinds"]`), cases.csv.

        Parameters
        ----------
        required
            As for the other data sets; a phantom has every image but a T2.

        Returns
        -------
        list of Case
            ``extra`` holds ``lesions``, the path of the numbered lesions, and ``kinds``, their kinds separated by
            blanks in the order of the numbers.

        Raises
        ------
        OutputError
            `path` cannot be written to.
        """
        _check_required(required)
        cases = [self._write(f"sub-{i + 1:03d}", i, PATIENTS[i % len(PATIENTS)]) for i in range(self.subjects)]
        _write_table(self.path, cases)
        return cases

    def healthy(self, count: int = 6) -> list[Case]:
        """Make `count` phantoms without lesions (their truth is empty), none with the anatomy of a patient's."""
        return [self._write(f"sub-healthy{i + 1:03d}", 1_000_000 + i, ()) for i in range(count)]

    def _write(self, subject: str, number: int, lesions: tuple[str, ...]) -> Case:
        folder = prepare_folder(self.path / subject)
        rng = np.random.default_rng([self.seed, number])
        scan, truth, kinds = phantom(rng, self.spacing_mm, lesions, self.orientation, with_skull=self.with_skull)
        files = {name: folder / f"{name}.nii.gz" for name in ("flair", "t1", "brain", "truth", "lesions")}
        assert scan.t1 is not None
        write_volume(files["flair"], scan.flair)
        write_volume(files["t1"], scan.t1)
        write_mask(files["brain"], scan.brain)
        write_mask(files["truth"], truth)
        write_labels(files["lesions"], kinds.labels, truth.space)
        extra = {"lesions": str(files["lesions"]), "kinds": " ".join(kinds.names)}
        return Case(
            "phantom",
            subject,
            flair=files["flair"],
            t1=files["t1"],
            brain=files["brain"],
            truth=files["truth"],
            extra=extra,
        )


def _check_required(required: tuple[str, ...]) -> None:
    missing = set(required) - {"flair", "t1", "brain", "truth"}
    if missing:
        msg = f"A phantom has flair, t1, brain and truth, but {', '.join(sorted(missing))} was wanted."
        raise InputError(msg)


def _write_table(folder: Path, cases: Sequence[Case]) -> None:
    """The table of cases beside them, with paths relative to it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "subject", "flair", "t1", "t2", "brain", "truth", "lesions", "kinds"])
    for case in cases:
        relative = [
            Path(path).relative_to(folder).as_posix() if path else ""
            for path in (case.flair, case.t1, case.t2, case.brain, case.truth, case.extra["lesions"])
        ]
        writer.writerow([case.dataset, case.subject, *relative, case.extra["kinds"]])
    write_text(folder / "cases.csv", text.getvalue())
