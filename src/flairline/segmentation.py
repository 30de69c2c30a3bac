"""Scans -> masks, scores and volumes on disk, one folder a subject."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flairline import executor as engine
from flairline import recipes
from flairline.errors import InputError
from flairline.imaging.components import label_components
from flairline.imaging.resample import resample_mask
from flairline.io import dicom
from flairline.io.files import prepare_folder, readable, sha256, write_json
from flairline.io.nifti import read_mask, write_mask, write_volume
from flairline.io.versions import versions
from flairline.postprocess.threshold import ThresholdRule
from flairline.preprocess import quality
from flairline.preprocess.assemble import assemble
from flairline.preprocess.described import CONVERTER, describe
from flairline.preprocess.pipeline import Prepared, PreprocessSettings, is_raw, prepare
from flairline.recipes import FALLBACK_THRESHOLD, Rating, Recipe, ready_scorer
from flairline.types import Case, Mask, Scan, Threshold, Volume

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Settings:
    """What `segment` is asked for.

    Attributes
    ----------
    recipe
        Name of a recipe or method.
    threshold
        Overrules the recipe's own rule.
    overwrite
        Whether results that are there already are made again.
    preprocess
        How raw scans are prepared. None prepares scans with a skull by the defaults and leaves others as they are.
    space
        The spaces that results are written in; native ones are always written.
    work
        Folder that the steps of preprocessing keep results in; None keeps nothing.
    """

    recipe: str = "default"
    threshold: ThresholdRule | None = None
    overwrite: bool = False
    preprocess: PreprocessSettings | None = None
    space: Literal["native", "atlas", "both"] = "native"
    work: Path | None = None


@dataclass(frozen=True)
class Found:
    """What was found in one scan. `summary` is what summary.json says."""

    scan: Scan
    score: Volume
    mask: Mask
    threshold: Threshold
    summary: dict[str, Any]
    truth: Mask | None = None
    prepared: Prepared | None = None


After = Callable[[Found, Path], None]
"""Called with what was found and the subject's folder, before summary.json marks the folder as finished."""


@dataclass(frozen=True)
class Done:
    """A finished subject: its folder, its summary, and whether it was there already."""

    folder: Path
    summary: dict[str, Any]
    kept: bool = False


def run(
    cases: Sequence[Case], out: Path, settings: Settings, *, jobs: int = 1, after: After | None = None
) -> Iterator[engine.Outcome[Case, Done]]:
    """Segment every case into OUT/SUBJECT, yielding outcomes as they come; one that fails does not stop the others.

    Raises
    ------
    InputError
        Two cases would share a folder.
    OutputError
        OUT cannot be written to.
    UnknownNameError
        There is no such recipe or method.
    """
    cases = [replace(case, subject=name) for case, name in zip(cases, folder_names(cases), strict=True)]
    recipes.load(settings.recipe).configured()
    prepare_folder(out)
    return engine.run(partial(segment_case, out=out, settings=settings, after=after), cases, jobs)


def segment_case(case: Case, out: Path, settings: Settings, after: After | None = None) -> Done:
    """Segment one case into OUT/SUBJECT: score, mask, brain and, last, summary.json."""
    folder = out / case.subject
    if (folder / SUMMARY).exists() and not settings.overwrite:
        return Done(folder, read_summary(folder / SUMMARY), kept=True)
    found = find(case, settings)
    (folder / SUMMARY).unlink(missing_ok=True)  # an interrupted run must not look finished
    write_volume(folder / "score.nii.gz", found.score)
    write_mask(folder / "mask.nii.gz", found.mask)
    write_mask(folder / "brain.nii.gz", found.scan.brain)
    if found.prepared is not None:
        write_atlas_files(folder, found, found.prepared, images=settings.space != "native")
    if after is not None:
        after(found, folder)
    write_json(folder / SUMMARY, found.summary)
    return Done(folder, found.summary)


def find(case: Case, settings: Settings) -> Found:
    """Score, threshold and filter one case."""
    started = time.perf_counter()
    recipe = recipes.load(settings.recipe)
    rule = settings.threshold or recipe.threshold or FALLBACK_THRESHOLD
    scan, truth, prepared = _load(case, settings)
    score = ready_scorer(recipe)(scan)
    mask, threshold = recipe.mask(score, scan.brain, rule)
    summary = {
        **_what_ran(recipe, rule, threshold),
        **measure(mask, scan.brain, recipe.rating(score)),
        "subject": case.subject,
        **({"site": case.site} if case.site else {}),
        "voxel_mm": scan.spacing_mm,
        "space": scan.space.name,
        "inputs": {
            name: {"file": readable(Path(path).name), "sha256": sha256(Path(path))}
            for name, path in scan.sources.items()
        },
        "preprocessing": describe(case, prepared, settings.preprocess or PreprocessSettings()),
        "qc": _quality(scan, prepared),
        "versions": versions(),
        "seconds": time.perf_counter() - started,
        "intended_use": "research use only, not for diagnosis",
    }
    return Found(scan, score, mask, threshold, summary, truth, prepared)


def write_atlas_files(folder: Path, found: Found, prepared: Prepared, *, images: bool) -> None:
    """Write both transforms and, with `images`, the results on the atlas's grid, its name in theirs."""
    prepared.write_transforms(folder)
    if prepared.atlas is None or not images:
        return
    space = f"space-{prepared.atlas.name}"
    on_atlas = prepared.atlas_scan()
    write_volume(folder / f"flair_{space}.nii.gz", on_atlas.flair)
    write_mask(folder / f"brain_{space}.nii.gz", on_atlas.brain)
    write_volume(folder / f"score_{space}.nii.gz", prepared.to_atlas(found.score))
    write_mask(folder / f"mask_{space}.nii.gz", prepared.mask_to_atlas(found.mask))


def measure(mask: Mask, brain: Mask, rating: Rating | None = None) -> dict[str, Any]:
    """Volumes and lesions of a mask, largest first.

    Centres are centroids in scanner mm (right, anterior, superior positive); a side is told from the brain's centroid,
    and is empty where the scan's file says no orientation.
    With a `rating`, each lesion has its probability to be one.
    """
    labels, sizes = label_components(mask.array)
    vox_to_ras, voxel_ml = mask.space.vox_to_ras, mask.space.voxel_ml
    chances = None if rating is None else rating(labels)
    middle = _centre_mm(np.argwhere(brain.array), vox_to_ras)
    lesions = []
    places, numbers = np.argwhere(mask.array), labels[mask.array]
    order = np.argsort(numbers, kind="stable")
    split = np.split(places[order], np.cumsum(sizes[1:])[:-1]) if sizes.size > 1 else []
    for number, of_lesion in enumerate(split):
        centre = _centre_mm(of_lesion, vox_to_ras)
        lesions.append(
            {
                "volume_ml": len(of_lesion) * voxel_ml,
                "voxels": len(of_lesion),
                "centre_mm": centre.tolist(),
                "side": _side(centre, middle) if mask.space.sides_known else "",
                **({} if chances is None else {"probability": float(chances[number])}),
            }
        )
    lesions.sort(key=lambda lesion: -lesion["voxels"])
    return {
        "lesion_volume_ml": mask.volume_ml,
        "n_lesions": len(lesions),
        "lesions": lesions,
        "brain_volume_ml": brain.volume_ml,
        "marked_share_of_brain": mask.volume_ml / brain.volume_ml,
    }


def read_summary(path: Path) -> dict[str, Any]:
    """What a summary.json says. Raises `InputError` if it cannot be read."""
    import json

    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"Cannot read {path}: {error}. Run again with --overwrite."
        raise InputError(msg) from error


def cases_from_files(
    flairs: Sequence[Path], t1: Path | None = None, brain: Path | None = None, t2: Path | None = None
) -> list[Case]:
    """Cases from FLAIR files.

    Raises
    ------
    InputError
        There are several FLAIRs but one T1, T2 or brain.
    """
    for name, path in (("t1", t1), ("t2", t2), ("brain", brain)):
        if path is not None and len(flairs) > 1:
            msg = (
                f"Wanted one FLAIR with --{name}, got {len(flairs)} FLAIRs and one --{name}. Run them one by one,"
                " or give a table with --cases."
            )
            raise InputError(msg)
    return [Case("", "", flair, t1=t1, t2=t2, brain=brain) for flair in flairs]


@dataclass(frozen=True)
class DicomAfter:
    """What is done after a mask is written: it is written once more as a DICOM Segmentation, then `then` is called."""

    studies: Mapping[str, dicom.Study]
    then: After | None = None

    def __call__(self, found: Found, folder: Path) -> None:
        """Write mask.dcm beside mask.nii.gz for a subject that came from DICOM."""
        study = self.studies.get(found.scan.subject)
        if study is not None:
            dicom.write_segmentation(folder / "mask.dcm", found.mask, study.flair, found.summary["recipe"])
        if self.then is not None:
            self.then(found, folder)


def case_from_dicom(
    folder: Path, work: Path, flair_series: int | None = None, t1_series: int | None = None
) -> tuple[Case, dicom.Study]:
    """The case in a DICOM folder, its FLAIR and T1 converted into `work`; the study says what was chosen and why.

    Raises
    ------
    InputError
        The folder has no usable FLAIR.
    """
    study = dicom.choose_study(folder, flair_series, t1_series)
    converted = dicom.convert_study(study, work)
    extra = {CONVERTER: "dcm2niix"}
    return Case("", study.name, flair=converted.flair, t1=converted.t1, extra=extra), converted.study


def folder_names(cases: Sequence[Case]) -> list[str]:
    """A folder name for each case, no two alike.

    A case of a table is called by its subject (and session; on a clash, its data set before that); a file by its BIDS
    sub-/ses- part, in its name or its folders', else its stem, else, on a clash, its parent folder.

    Raises
    ------
    InputError
        Two names still clash, or a name cannot be a folder.
    """
    names = [_first_name(case) for case in cases]
    clashing = {name for name, count in Counter(names).items() if count > 1}
    names = [_second_name(case) if name in clashing else name for case, name in zip(cases, names, strict=True)]
    owners: dict[str, Case] = {}
    for name, case in zip(names, cases, strict=True):
        if name in owners:
            msg = (
                f"{case.flair} and {owners[name].flair} would both be called {name!r}. Put them into folders of"
                " different names, or give a table with --cases."
            )
            raise InputError(msg)
        owners[name] = case
    return names


def _load(case: Case, settings: Settings) -> tuple[Scan, Mask | None, Prepared | None]:
    """Scan on its FLAIR's own grid, truth on that grid, and how it was prepared if it had to be."""
    wanted = settings.preprocess or PreprocessSettings()
    if settings.space != "native":
        wanted = replace(wanted, to_atlas="always")
    if wanted == PreprocessSettings() and not is_raw(case):
        # The truth, if there is one, must not decide the grid: results lie on the scan's own.
        labelled = assemble(case, keep_flair_grid=True)
        truth = None if labelled.labels is None else Mask(labelled.labels > 0, labelled.scan.space)
        return labelled.scan, truth, None
    prepared = prepare(case, wanted, settings.work)
    truth = None if case.truth is None else resample_mask(read_mask(case.truth), prepared.scan.space)
    return prepared.scan, truth, prepared


def _quality(scan: Scan, prepared: Prepared | None) -> dict[str, Any]:
    """Quality figures, flags with reasons, and what preprocessing found and did."""
    if prepared is None:
        figures = quality.brain_figures(scan.flair, scan.brain)
        stored = scan.space.stored
        notes = [stored.note] if stored is not None and stored.note else []
        flags = (*_side_flags(scan), *quality.flags(figures))
        return {"figures": figures, "flags": [asdict(flag) for flag in flags], "notes": notes}
    return {
        "figures": dict(prepared.figures),
        "flags": [asdict(flag) for flag in (*_side_flags(scan), *prepared.flags)],
        "notes": list(prepared.notes),
        "atlas": None if prepared.atlas is None else prepared.atlas.name,
        "seconds": dict(prepared.seconds),
    }


def _side_flags(scan: Scan) -> tuple[quality.Flag, ...]:
    """What the terminal and the page say where no side can be named."""
    if scan.space.sides_known:
        return ()
    reason = "left and right are not known: the file's header says no orientation (no valid qform or sform)"
    return (quality.Flag("sides_known", 0.0, reason),)


def _side(centre: Any, middle: Any) -> str:
    return "right" if centre[0] > middle[0] else "left"


def _what_ran(recipe: Recipe, rule: ThresholdRule, threshold: Threshold) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "method": recipe.method,
        "why": recipe.why,
        "threshold": asdict(threshold),
        "note": recipe.note(rule),
        "parameters": {"method": asdict(recipe.configured()), "components": asdict(recipe.components)},
    }


def _first_name(case: Case) -> str:
    if case.subject:
        return _as_folder("_".join(part for part in (case.subject, case.session) if part))
    assert case.flair is not None
    return _bids_name(case.flair) or _as_folder(_stem(case.flair))


def _bids_name(path: Path) -> str:
    """sub-X or sub-X_ses-Y from the file's name and, where that lacks one, from its own folders; empty without sub-.

    BIDS writes sub-X/[ses-Y/]anat/: a sub- folder further up belongs to something else.
    """
    in_name = re.match(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?(?=_|\.)", path.name)
    subject = in_name[1] if in_name else None
    session = in_name[2] if in_name else None
    for folder in list(path.absolute().parents)[:3]:
        if session is None and re.fullmatch("ses-[A-Za-z0-9]+", folder.name):
            session = folder.name
        if re.fullmatch("sub-[A-Za-z0-9]+", folder.name):
            if subject in (None, folder.name):
                return "_".join(part for part in (folder.name, session) if part)
            break
    # A session folder under no subject's, or another subject's, says nothing about this file.
    return "_".join(part for part in in_name.groups() if part) if in_name else ""


def _second_name(case: Case) -> str:
    if case.subject:
        return _as_folder("_".join(part for part in (case.dataset, case.subject, case.session) if part))
    assert case.flair is not None
    return _as_folder(case.flair.absolute().parent.name)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _as_folder(name: str) -> str:
    """A name that stays inside OUT: no separators, no leading dot, all letters readable."""
    safe = re.sub(r"[/\\\x00-\x1f]", "_", readable(name)).lstrip(".")
    return safe or "_"


def _centre_mm(places: Any, vox_to_ras: Any) -> Any:
    return vox_to_ras[:3, :3] @ places.mean(axis=0) + vox_to_ras[:3, 3]
