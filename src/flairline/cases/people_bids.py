"""What BIDS wants beside the images of synthetic people: names, sidecars, tables, descriptions, and the card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flairline.io.files import write_json, write_text
from flairline.io.versions import version_of

BIDS_VERSION = "1.9.0"
TRUTHS = Path("derivatives") / "truth"
LICENCE = "Synthetic; derived from {origin}, whose terms hold"
ICBM = (
    "The atlas is ICBM 152 (V. S. Fonov et al., NeuroImage 54 (2011) 313-327). Copyright (C) 1993-2009 Louis Collins,\n"
    "McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University. Free to use with this notice."
)
COLUMNS = {
    "participant_id": "Name: seed, p, number of the person",
    "anatomy": "The atlas, or a digest of the label map whose head the person has",
    "lesions": "How many lesions were drawn; they may overlap",
    "kinds": "Kinds of the drawn lesions, with how many of each",
    "lesion_ml": "Volume of the truth in ml",
}


@dataclass(frozen=True)
class Files:
    """Where the files of one person lie."""

    folder: Path
    subject: str

    def image(self, suffix: str) -> Path:
        """The FLAIR or the T1w."""
        return self.folder / self.subject / "anat" / f"{self.subject}_{suffix}.nii.gz"

    def sidecar(self, suffix: str) -> Path:
        """Its sidecar."""
        return self.beside(self.image(suffix))

    @property
    def brain(self) -> Path:
        """The brain mask, on the FLAIR's grid."""
        return self.folder / TRUTHS / self.subject / "anat" / f"{self.subject}_desc-brain_mask.nii.gz"

    @property
    def truth(self) -> Path:
        """The lesions' mask, empty where there are none."""
        return self.folder / TRUTHS / self.subject / "anat" / f"{self.subject}_label-lesion_mask.nii.gz"

    @property
    def source(self) -> str:
        """What masks were drawn with, as BIDS names it."""
        return f"bids:raw:{self.subject}/anat/{self.subject}_FLAIR.nii.gz"

    @staticmethod
    def beside(image: Path) -> Path:
        """The sidecar of any image."""
        return image.with_name(image.name.removesuffix(".nii.gz") + ".json")


@dataclass(frozen=True)
class Person:
    """What was drawn of one person."""

    seed: int
    number: int
    anatomy: str
    lesions: Mapping[str, int] = field(default_factory=dict)
    """Kind -> how many."""
    lesion_ml: float = 0.0


def sidecar(suffix: str, white: int, has_head: bool, person: Person | None = None) -> dict[str, Any]:
    """The sidecar of an image: that nobody was scanned comes first."""
    words: dict[str, Any] = {
        "Synthetic": "Simulated by flairline. Nobody was scanned.",
        "Modality": "MR",
        "Manufacturer": "none (simulated)",
        "ProtocolName": f"synthetic {suffix}",
        "SkullStripped": not has_head,
        "WhiteMatterSignal": white,
    }
    if person is not None:
        words["SyntheticPerson"] = {
            "Seed": person.seed,
            "Number": person.number,
            "Anatomy": person.anatomy,
            "Lesions": dict(person.lesions),
            "LesionMl": round(person.lesion_ml, 3),
        }
    return words


@dataclass(frozen=True)
class About:
    """What the people of a folder have in common."""

    lesions: bool
    t1: bool
    seed: int
    origin: str
    """The atlas or the label maps that they were made from."""
    notice: str = ""
    """What who made those wants to be said."""


def write_about(folder: Path, about: About) -> tuple[str, ...]:
    """Descriptions, participants and the card, of all people that are there. Returns their names."""
    rows = [_row(path) for path in sorted(folder.glob("sub-*/anat/*_FLAIR.json"))]
    lines = ["\t".join(COLUMNS), *("\t".join(row) for row in rows)]
    write_text(folder / "participants.tsv", "\n".join(lines) + "\n")
    write_json(folder / "participants.json", {name: {"Description": words} for name, words in COLUMNS.items()})
    licence = LICENCE.format(origin=about.origin)
    common = {
        "BIDSVersion": BIDS_VERSION,
        "License": licence,
        "Authors": ["The flairline developers"],
        "GeneratedBy": [{"Name": "flairline", "Version": version_of("flairline")}],
    }
    raw = {"Name": f"Synthetic people of seed {about.seed}", "DatasetType": "raw", **common}
    truths = {"Name": "Brains and lesions as they were drawn", "DatasetType": "derivative", **common}
    write_json(folder / "dataset_description.json", raw)
    write_json(folder / TRUTHS / "dataset_description.json", {**truths, "DatasetLinks": {"raw": "../.."}})
    write_text(folder / "README", _card(len(rows), about))
    return tuple(row[0] for row in rows)


def _row(path: Path) -> tuple[str, ...]:
    person = json.loads(path.read_text(encoding="utf-8"))["SyntheticPerson"]
    kinds = ", ".join(f"{kind} {count}" for kind, count in person["Lesions"].items())
    total = str(sum(person["Lesions"].values()))
    return path.parts[-3], person["Anatomy"], total, kinds or "n/a", f"{person['LesionMl']:.3f}"


def _card(count: int, about: About) -> str:
    images = "FLAIR and T1" if about.t1 else "FLAIR"
    kind = (
        "Each has the lesions of one disease: multiple sclerosis, small vessel disease, a tumour or an infarct."
        if about.lesions
        else "Nobody has a lesion; the truths are empty."
    )
    return f"""# Synthetic people

{count} people whom nobody scanned: {images} at 1 mm, made by `flairline synthesise` from seed {about.seed}.
{kind}

## What they are

Anatomy: {about.origin}, deformed for each person (size, turn, elastic shift, ventricles), left and right swapped
for half. Contrast, bias field, slice thickness, resolution and noise are drawn anew for each image, far wider than
scanners differ. Those of an atlas without a skull are zero outside the brain; those of heads have a head.
The FLAIR has what is bright and normal in one: plexus, lining and caps of the ventricles, flow in the fluid.

- `sub-*/anat`: {images} on one grid, RAS+, whole numbers.
- `derivatives/truth`: the brain, and the lesions (a voxel of which a quarter or more is lesion).
- `participants.tsv`: anatomy, lesions and their volume. `code/synthesise.json`: what the folder is made of.

The same seed gives the same bytes, and person k is the same whatever the number of people. A person of the same seed
has the same name with lesions and without, so that no model is judged on the anatomy that it learned.

## What they are not

No person has an age, a sex or a history. Few anatomies stand behind all of them, white matter has no tracts, and there
are no motion and no vessels in flow. Lesions are drawn blobs with soft borders. A method that works here works on a
simulation: judge it on real scans. Not for diagnosis.

## Licence

{LICENCE.format(origin=about.origin)}.
{about.notice}
"""
