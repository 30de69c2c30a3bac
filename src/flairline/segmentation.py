"""Scans -> masks, scores and volumes on disk, one folder a subject."""

from __future__ import annotations

import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flairline import executor, recipes
from flairline.cases.columns import columns_of
from flairline.cases.names import named
from flairline.drawing.mosaic import thumbnail
from flairline.drawing.overlay import overlay_figure
from flairline.imaging.measure import lesions_of
from flairline.io.files import prepare_folder, readable, remove_file, sha256, write_json
from flairline.io.logs import with_log
from flairline.io.nifti import write_mask, write_volume
from flairline.io.versions import versions
from flairline.postprocess.threshold import ThresholdRule
from flairline.preprocess import quality
from flairline.preprocess.described import describe
from flairline.preprocess.prepared import Prepared
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.preprocess.whereabouts import Whereabouts, whereabouts
from flairline.recipes import FALLBACK_THRESHOLD, ready_scorer
from flairline.summary import INTENDED_USE, SUMMARY, Flag, InputFile, Parameters, Preprocessing, Quality, Summary, plain
from flairline.types import Case, Mask, Scan, Threshold, Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure


AS_SEGMENTED = "mask_as_segmented.nii.gz"
"""Of a finished folder whose mask a person corrected: the mask of before."""
SOURCES = "sources.json"
"""Of a finished folder: role -> where the image lies that was read, from this folder; `compare` looks there."""


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
    regions
        Whether lesions get their region of the brain, and a scan that is not registered a place in the atlas for it.
    """

    recipe: str = "default"
    threshold: ThresholdRule | None = None
    overwrite: bool = False
    preprocess: PreprocessSettings | None = None
    space: Literal["native", "atlas", "both"] = "native"
    work: Path | None = None
    regions: bool = True


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one scan.

    Attributes
    ----------
    scan
        Images and brain, on the FLAIR's own grid.
    score, mask
        On the same grid, (x, y, z) in RAS+: the score (higher is more abnormal, zero outside the brain), and what was
        marked of it by `threshold`.
    summary
        What summary.json says.
    truth
        What a rater drew, if the case has it.
    prepared
        How a raw scan was prepared; None for a scan that was taken as it is.

    Examples
    --------
    >>> import flairline as fl
    >>> scan, truth = fl.demo_scan()
    >>> found = fl.segment(scan, method="brightest")
    >>> found.mask.array.shape == scan.flair.array.shape
    True
    >>> found.summary.n_lesions == len(found.lesions)
    True
    """

    scan: Scan
    score: Volume
    mask: Mask
    threshold: Threshold
    summary: Summary
    truth: Mask | None = None
    prepared: Prepared | None = None

    @property
    def lesions(self) -> list[dict[str, Any]]:
        """The lesions as plain rows, the largest first: `pandas.DataFrame(found.lesions)` is their table.

        Columns: id (1 for the largest), volume_ml, voxels, centre_mm (R, A, S), side; probability where the model gives
        it; region and centre_atlas_mm where the scan was placed in the atlas.
        """
        return [{"id": number, **plain(lesion)} for number, lesion in enumerate(self.summary.lesions or (), start=1)]

    def save(self, folder: Path | str, after: After | None = None, *, on_atlas: bool = False) -> Path:
        """Write score, mask, brain and, last, summary.json into a folder, and return it.

        Parameters
        ----------
        folder
            Made where it is missing. What another run left in it under the same names is replaced.
        after
            Called before summary.json marks the folder as finished (`report.scan_page.write_page` adds the page).
        on_atlas
            Write the images on the atlas's grid as well, where the scan was registered to one.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        folder = Path(folder)
        remove_file(folder / SUMMARY)  # an interrupted run must not look finished
        remove_file(folder / AS_SEGMENTED)
        write_volume(folder / "score.nii.gz", self.score)
        write_mask(folder / "mask.nii.gz", self.mask)
        write_mask(folder / "brain.nii.gz", self.scan.brain)
        write_json(folder / SOURCES, {role: os.path.relpath(path, folder) for role, path in self.scan.sources.items()})
        if self.prepared is not None:
            write_atlas_files(folder, self, self.prepared, images=on_atlas)
        if after is not None:
            after(self, folder)
        self.summary.write(folder / SUMMARY)
        return folder

    def plot(self, slices: int = 4) -> Figure:
        """A figure of matplotlib: the axial slices through the largest lesions as they are, as scores, and marked.

        Radiological convention: the patient's left is on the right of the picture. `slices` is the most columns.
        """
        title = ", ".join(part for part in (self.scan.subject, self.summary.note) if part)
        return overlay_figure(self.scan, self.score, self.mask, self.truth, title, slices)

    def _repr_html_(self) -> str:
        """What a notebook shows: the slice with the largest marked area, and the numbers; self-contained."""
        picture = thumbnail(self.scan.flair, self.scan.brain, {"mask": self.mask.array}, side=180)
        summary, threshold = self.summary, self.threshold
        sides = ", R on the left" if self.scan.space.sides_known else ""
        rows = {
            "Recipe": summary.recipe,
            "Marked": f"{self.mask.volume_ml:.3g} ml in {summary.n_lesions} regions",
            "Brain": f"{self.scan.brain.volume_ml:.4g} ml",
            "Threshold": f"{threshold.value:.4g} ({threshold.rule}, chosen on {threshold.chosen_on})",
            "Mind": f"the volume is {summary.note}" if summary.note else "",
            "Look": "; ".join(summary.qc.words) if summary.qc else "",
        }
        lines = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{escape(str(text))}</td></tr>"
            for name, text in rows.items()
            if text
        )
        address = f"data:image/webp;base64,{b64encode(picture).decode()}"
        return (
            f"<figure style='margin:0'><img src='{address}' alt='Axial slice with what was marked{sides}'>"
            f"<figcaption><b>{escape(self.scan.subject)}</b><table>{lines}</table>"
            "<small>Research use only, not for diagnosis.</small></figcaption></figure>"
        )


After = Callable[[Found, Path], None]
"""Called with what was found and the subject's folder, before summary.json marks the folder as finished."""


@dataclass(frozen=True)
class Done:
    """A finished subject: its folder, its summary, and whether it was there already."""

    folder: Path
    summary: Summary
    kept: bool = False


def run(
    cases: Sequence[Case], out: Path, settings: Settings, *, jobs: int = 1, after: After | None = None
) -> Iterator[executor.Outcome[Case, Done]]:
    """Segment every case into OUT/SUBJECT, yielding outcomes as they come; one that fails does not stop the others.

    The traceback of what is a fault in flairline goes to OUT/logs/SUBJECT.txt, which the outcome's error names.

    Raises
    ------
    InputError
        Two cases would share a folder.
    OutputError
        OUT cannot be written to.
    UnknownNameError
        There is no such recipe or method.
    """
    cases = named(cases)
    recipes.load(settings.recipe).configured()
    prepare_folder(out)
    outcomes = executor.run(partial(segment_case, out=out, settings=settings, after=after), cases, jobs)
    return (with_log(outcome, out, outcome.item.subject) for outcome in outcomes)


def segment_case(case: Case, out: Path, settings: Settings, after: After | None = None) -> Done:
    """Segment one case into OUT/SUBJECT: score, mask, brain and, last, summary.json.

    Where results are made again and that fails, those of before stay without their summary, as unfinished.
    """
    folder = out / case.subject
    if (folder / SUMMARY).exists() and not settings.overwrite:
        return Done(folder, Summary.read(folder / SUMMARY), kept=True)
    remove_file(folder / SUMMARY)
    found = find(case, settings)
    found.save(folder, after, on_atlas=settings.space != "native")
    return Done(folder, found.summary)


def find(case: Case, settings: Settings) -> Found:
    """Score, threshold and filter one case.

    Raises
    ------
    FlairlineError
        A file cannot be read, or the scan cannot be prepared or scored.
    """
    started = time.perf_counter()
    scan, truth, prepared = _load(case, settings)
    place = whereabouts(scan, prepared, settings.regions)
    found = _scored(scan, settings, place)
    steps = describe(case, prepared, settings.preprocess or PreprocessSettings())
    summary = replace(
        found.summary,
        subject=case.subject,
        session=case.session or None,
        site=case.site or None,
        columns={name: value for name, value in columns_of(case).items() if name != "site"} or None,
        inputs={
            role: InputFile(file=readable(Path(path).name), sha256=sha256(Path(path)))
            for role, path in scan.sources.items()
        },
        preprocessing=replace(Preprocessing.from_json(steps), placed_on=place.placed_on or None),
        qc=_quality(scan, prepared, (*case.notes, *prepared.notes, *place.notes)),
        seconds=time.perf_counter() - started,
    )
    return replace(found, summary=summary, truth=truth, prepared=prepared)


def find_in(scan: Scan, settings: Settings) -> Found:
    """Score, threshold and filter a scan that is in memory, as it is: nothing is prepared. Raises `FlairlineError`."""
    started = time.perf_counter()
    place = whereabouts(scan, regions=settings.regions)
    found = _scored(scan, settings, place)
    placed = Preprocessing(placed_on=place.placed_on) if place.placed_on else None
    qc = _quality(scan, None, place.notes)
    summary = replace(found.summary, preprocessing=placed, qc=qc, seconds=time.perf_counter() - started)
    return replace(found, summary=summary)


def _scored(scan: Scan, settings: Settings, place: Whereabouts) -> Found:
    """What is found in a scan, with a summary that says nothing of where the scan came from."""
    recipe = recipes.load(settings.recipe)
    rule = settings.threshold or recipe.threshold or FALLBACK_THRESHOLD
    score = ready_scorer(recipe)(scan)
    mask, threshold = recipe.mask(score, scan.brain, rule)
    lesions = lesions_of(mask, scan.brain, recipe.rating(score), place.naming(scan))
    summary = Summary(
        recipe=recipe.name,
        method=recipe.method,
        why=recipe.why,
        threshold=threshold,
        note=recipe.note(rule),
        parameters=Parameters(method=asdict(recipe.configured()), components=asdict(recipe.components)),
        subject=scan.subject,
        voxel_mm=scan.spacing_mm,
        space=scan.space.name,
        versions=versions(),
        intended_use=INTENDED_USE,
        region_ml=place.region_ml(lesions),
    )
    placed = place.with_places(lesions, scan)
    return Found(scan, score, mask, threshold, summary.measured(mask, scan.brain, placed))


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


def _load(case: Case, settings: Settings) -> tuple[Scan, Mask | None, Prepared]:
    """Scan on its FLAIR's own grid, truth on that grid, and how it was prepared."""
    wanted = settings.preprocess or PreprocessSettings()
    if settings.space != "native":
        wanted = replace(wanted, to_atlas="always")
    prepared = read_scan(case, wanted, settings.work)
    return prepared.scan, prepared.truth_mask(), prepared


def _quality(scan: Scan, prepared: Prepared | None, notes: Sequence[str]) -> Quality:
    """Quality figures, flags with reasons, and what was found and decided on the way."""
    contrast = quality.check_contrast(scan)
    steps = None if prepared is None or prepared.as_it_lies else prepared
    own = quality.brain_figures(scan.flair, scan.brain) if steps is None else dict(steps.figures)
    flags = (*_side_flags(scan), *contrast.flags, *quality.flags(own))
    found = Quality(
        figures={**contrast.figures, **own},
        flags=tuple(Flag(flag.figure, flag.value, flag.reason) for flag in flags),
        notes=tuple(dict.fromkeys(notes)),
    )
    if steps is None:
        return found
    return replace(found, atlas=None if steps.atlas is None else steps.atlas.name, seconds=dict(steps.seconds))


def _side_flags(scan: Scan) -> tuple[quality.Flag, ...]:
    """What the terminal and the page say where no side can be named."""
    if scan.space.sides_known:
        return ()
    reason = "left and right are not known: the file's header says no orientation (no valid qform or sform)"
    return (quality.Flag("orientation", 0.0, reason),)


def _input_file(path: Path) -> InputFile:
    return InputFile(file=readable(path.name), sha256=sha256(path))
