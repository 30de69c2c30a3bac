"""Two visits of one patient: which lesions are new, enlarging, stable, shrinking, resolved.

Both visits are brought to the space half-way between them, so that none is interpolated more than the other, and the
result is the same, the words exchanged, where the visits are. Volumes are those of the visits' own masks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.cohort import derivatives
from flairline.cohort.finished import FinishedVisit
from flairline.cohort.layout import natural
from flairline.cohort.stability import MOST_SIDES_APART, Stability, stability_of
from flairline.errors import BrainError, GridError, InputError
from flairline.imaging import changes
from flairline.imaging.changes import NOT_COVERED, Link, carried_labels, linked, numbered, volumes_of
from flairline.imaging.halfway import EARLIER, LATER, halfway_maps, halfway_space, turn_degrees
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap, carry_mask, carry_volume
from flairline.io.files import prepare_folder, remove_file, write_text
from flairline.io.nifti import write_mask, write_volume
from flairline.io.tables import tsv_text
from flairline.io.versions import versions
from flairline.preprocess.register import register_rigid, write_itk
from flairline.report import build
from flairline.report.comparison import (
    COMPARISON,
    Comparison,
    KindSum,
    LesionChange,
    Registered,
    VisitFacts,
    verdict_of,
)
from flairline.report.pages import ComparisonPage, VisitImages
from flairline.types import ROLES, Mask, Volume

LESIONS = "lesions.tsv"
FINEST_MM = 1.0
"""The halfway grid is as fine as the finer visit, but no finer than this."""
SAME_SIDES = 1.05
"""Voxel sides that differ by a larger factor are other voxels."""
MIN_BRAIN_DICE = 0.85
"""Two brains of one head overlap by more, once they are registered: .98 with two visits of MSLUB (3 mm slices)."""
OUTSIDE = 0.5
COLUMNS = (
    *("id", "kind", "earlier_ml", "later_ml", "change_ml", "smallest_change_ml", "side", "region"),
    *("centre_r_mm", "centre_a_mm", "centre_s_mm", "earlier_lesions", "later_lesions"),
)


@dataclass(frozen=True, eq=False)
class OnHalfway:
    """A visit on the halfway grid: its FLAIR, its brain, its numbered lesions, where the grid lies in it."""

    flair: Volume
    brain: Mask
    labels: NDArray[np.int32]
    from_halfway: PointMap


@dataclass(frozen=True, eq=False)
class Compared:
    """What two visits differ in, with both of them on the halfway grid.

    Attributes
    ----------
    comparison
        What comparison.json says.
    earlier, later
        Images on the halfway grid, RAS+.
    """

    comparison: Comparison
    earlier: OnHalfway
    later: OnHalfway

    @property
    def lesions(self) -> list[dict[str, Any]]:
        """The lesions as plain rows: `pandas.DataFrame(compared.lesions)` is their table."""
        return [{**asdict(lesion), "change_ml": lesion.change_ml} for lesion in self.comparison.lesions]

    def save(self, folder: Path | str) -> Path:
        """Write images, transforms, lesions.tsv, report.html and, last, comparison.json, and return the folder.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        folder = prepare_folder(Path(folder))
        remove_file(folder / COMPARISON)  # an interrupted run must not look finished
        for name, visit in ((EARLIER, self.earlier), (LATER, self.later)):
            write_volume(folder / f"{name}_flair.nii.gz", visit.flair)
            write_mask(folder / f"{name}_mask.nii.gz", Mask(visit.labels > 0, visit.flair.space))
            # Such a file takes points of the halfway space to the visit, and so the visit's images to that space.
            write_itk(folder / f"from-{name}_to-halfway_xfm.tfm", visit.from_halfway)
        write_text(folder / LESIONS, tsv_text(COLUMNS, map(_line, self.comparison.lesions)))
        build.write_comparison_page(folder, self.page())
        self.comparison.write(folder / COMPARISON)
        return folder

    def page(self) -> ComparisonPage:
        """What the page shows."""
        images = []
        for which, visit in enumerate((self.earlier, self.later)):
            of_kind = {
                kind: changes.marked(
                    visit.labels,
                    [
                        number
                        for lesion in self.comparison.lesions
                        if lesion.kind == kind
                        for number in (lesion.earlier_lesions, lesion.later_lesions)[which]
                    ],
                )
                for kind in changes.KINDS
            }
            images.append(VisitImages(visit.flair, visit.brain, of_kind))
        return ComparisonPage(self.comparison, *images)


def compare(earlier: FinishedVisit, later: FinishedVisit) -> Compared:
    """Register two visits half-way and say what became of each lesion.

    Raises
    ------
    InputError
        They cannot be compared: other recipes or patients, one scan twice, no side known, no registration.
    GridError
        Their voxels differ by more than the stability was measured for.
    BrainError
        Their brains are not those of one head.
    """
    other_voxels = check(earlier, later)
    halves, on_halfway = _on_halfway(earlier, later)
    stability = stability_of(str(earlier.summary.recipe), other_voxels=other_voxels)
    first, second = on_halfway
    lesions = _lesions((earlier, later), (first, second), stability)
    facts = [_facts(visit) for visit in (earlier, later)]
    totals = [fact.lesion_volume_ml for fact in facts]
    smallest = stability.spread.smallest_of_all_ml(*totals)
    pairs = [(lesion.earlier_ml, lesion.later_ml) for lesion in lesions]
    sums = changes.sums_by_kind([lesion.kind for lesion in lesions], pairs)
    moved = halves[1].ras_to_ras @ halves[1].ras_to_ras
    middle = np.array([*_middle_mm(earlier.brain), 1.0])
    comparison = Comparison(
        recipe=str(earlier.summary.recipe),
        earlier=facts[0],
        later=facts[1],
        change_ml=totals[1] - totals[0],
        smallest_change_ml=smallest,
        verdict=verdict_of(totals[1] - totals[0], smallest),
        kinds={kind: KindSum(*total) for kind, total in sums.items()},
        lesions=tuple(lesions),
        registration=Registered(
            2 * turn_degrees(halves[1]),
            float(np.linalg.norm((moved @ middle - middle)[:3])),
            dice(first.brain.array, second.brain.array),
        ),
        stability=stability.words,
        note=earlier.summary.note or "",
        notes=_notes(earlier, later, other_voxels),
        versions=versions(),
    )
    return Compared(comparison, first, second)


def check(earlier: FinishedVisit, later: FinishedVisit) -> bool:
    """Refuse two visits that cannot be compared; whether their voxels differ. Raises as `compare`."""
    names = f"{earlier.name} and {later.name}"
    if earlier.flair_sha256 and earlier.flair_sha256 == later.flair_sha256:
        msg = f"Wanted two visits, but {names} were made of one and the same FLAIR. Give the other visit's folder."
        raise InputError(msg)
    if earlier.patient != later.patient:
        msg = f"Wanted two visits of one patient, but {names} are of {earlier.patient or 'one not named'} and"
        raise InputError(f"{msg} {later.patient or 'one not named'}. Give two sessions of one subject.")
    made = [_made_with(visit) for visit in (earlier, later)]
    for what, (first, second) in {key: (made[0][key], made[1][key]) for key in made[0]}.items():
        if first != second:
            msg = (
                f"Wanted both visits made alike, but the {what} of {names} is {first} and {second}. Segment both alike."
            )
            raise InputError(msg)
    for visit in (earlier, later):
        if not visit.flair.space.sides_known:
            msg = (
                f"Wanted two heads whose left and right are known, but the header of {visit.name}'s FLAIR says no"
                " orientation. Correct its qform or sform, and segment it again."
            )
            raise InputError(msg)
        if not visit.brain.array.any():
            msg = f"Wanted a brain in {visit.name}, but its mask is empty. Segment it again."
            raise BrainError(msg)
    sides = [np.sort(visit.flair.space.spacing_mm) for visit in (earlier, later)]
    apart = float(np.max(np.maximum(sides[0] / sides[1], sides[1] / sides[0])))
    if apart > MOST_SIDES_APART:
        shown = " against ".join(
            " x ".join(f"{side:.3g}" for side in visit.flair.space.spacing_mm) for visit in (earlier, later)
        )
        msg = (
            f"Wanted voxel sides within a factor of {MOST_SIDES_APART:g}, but those of {names} are {shown} mm: what is"
            " seen of a lesion depends on them more than on the time between. Compare scans of like voxels."
        )
        raise GridError(msg)
    return apart > SAME_SIDES


def _made_with(visit: FinishedVisit) -> dict[str, str]:
    """What must be alike in both visits, as words."""
    summary = visit.summary
    parameters, cut = summary.parameters, summary.threshold
    rule = "unknown" if cut is None else cut.rule
    of_method = (parameters.method if parameters is not None else None) or {}
    return {
        "recipe": str(summary.recipe),
        "method": str(summary.method),
        "parameters of the method": str({name: of_method[name] for name in sorted(of_method) if name != "device"}),
        # What a user gave is the same value for every scan; any other rule may find another in each.
        "rule of the threshold": f"{rule} {cut.value:g}" if cut is not None and cut.chosen_on == "user" else rule,
        "rule of components": str(None if parameters is None else parameters.components),
    }


def _on_halfway(
    earlier: FinishedVisit, later: FinishedVisit
) -> tuple[tuple[PointMap, PointMap], tuple[OnHalfway, OnHalfway]]:
    """Both visits on the halfway grid. Raises `BrainError` where the brains do not fit."""
    there = register_rigid(earlier.flair, earlier.brain, later.flair, later.brain, "greedy")
    back = register_rigid(later.flair, later.brain, earlier.flair, earlier.brain, "greedy")
    halves = halfway_maps(there, back)
    side = max(FINEST_MM, min(*earlier.flair.space.spacing_mm, *later.flair.space.spacing_mm))
    space = halfway_space((earlier.brain, later.brain), halves, side)
    first, second = (
        OnHalfway(
            carry_volume(visit.flair, space, points),
            carry_mask(visit.brain, space, points),
            carried_labels(numbered(visit.mask), visit.mask.space, space, points),
            points,
        )
        for visit, points in zip((earlier, later), halves, strict=True)
    )
    overlap = dice(first.brain.array, second.brain.array)
    if not overlap >= MIN_BRAIN_DICE:
        msg = (
            f"Wanted the brains of one head, but those of {earlier.name} and {later.name} overlap by a Dice of"
            f" {overlap:.2f} once registered ({MIN_BRAIN_DICE:g} is the least). Are both of one patient, both brains"
            " whole? Look at their pages."
        )
        raise BrainError(msg)
    return halves, (first, second)


@dataclass(frozen=True, eq=False)
class _Followed:
    """Both visits' lesions: volumes in ml on the visits' own grids, and voxels on the halfway grid, by number - 1."""

    visits: Sequence[FinishedVisit]
    on_halfway: Sequence[OnHalfway]
    volumes: Sequence[Sequence[float]]
    places: Sequence[Sequence[NDArray[np.int64]]]
    stability: Stability
    middle_mm: float

    def row(self, link: Link) -> LesionChange:
        """What became of one lesion."""
        earlier_ml, later_ml = (sum(self.volumes[which][number - 1] for number in link[which]) for which in (0, 1))
        smallest = self.stability.spread.smallest_of_lesion_ml(earlier_ml, later_ml)
        places = np.concatenate([self.places[which][number - 1] for which in (0, 1) for number in link[which]])
        vox_to_ras = self.on_halfway[0].flair.space.vox_to_ras
        centre = np.full(3, np.nan)
        if places.size:
            centre = vox_to_ras[:3, :3] @ places.mean(axis=0) + vox_to_ras[:3, 3]
        own = [(visit.from_halfway.ras_to_ras @ [*centre, 1.0])[:3] for visit in self.on_halfway]
        larger = 1 if later_ml >= earlier_ml else 0
        return LesionChange(
            id=0,
            kind=changes.kind_of(earlier_ml, later_ml, smallest) if self._is_covered(link, places) else NOT_COVERED,
            earlier_ml=earlier_ml,
            later_ml=later_ml,
            smallest_change_ml=smallest,
            earlier_lesions=link[0],
            later_lesions=link[1],
            side="right" if centre[0] > self.middle_mm else "left",
            region=_region(self.visits[larger], link[larger]),
            centre_mm=_triple(centre),
            earlier_centre_mm=_triple(own[0]),
            later_centre_mm=_triple(own[1]),
        )

    def _is_covered(self, link: Link, places: NDArray[np.int64]) -> bool:
        """Whether a lesion that one visit lacks lies, for the larger part, where that visit has its brain."""
        for which in (0, 1):
            if not link[which] and not (self.on_halfway[which].brain.array[tuple(places.T)].mean() > OUTSIDE):
                return False
        return True


def _lesions(
    visits: Sequence[FinishedVisit], on_halfway: tuple[OnHalfway, OnHalfway], stability: Stability
) -> list[LesionChange]:
    """One row a lesion, kind by kind, the largest changes first."""
    volumes = [volumes_of(numbered(visit.mask), visit.mask.space.voxel_ml) for visit in visits]
    counts = len(volumes[0]), len(volumes[1])
    places = [changes.places_by_number(visit.labels, count) for visit, count in zip(on_halfway, counts, strict=True)]
    middle = (_middle_mm(on_halfway[0].brain) + _middle_mm(on_halfway[1].brain)) / 2
    followed = _Followed(visits, on_halfway, volumes, places, stability, float(middle[0]))
    rows = [followed.row(link) for link in linked(on_halfway[0].labels, on_halfway[1].labels, counts)]
    rows.sort(key=lambda row: (changes.KINDS.index(row.kind), -abs(row.change_ml), -row.later_ml, row.centre_mm))
    return [replace(row, id=number) for number, row in enumerate(rows, start=1)]


def _region(visit: FinishedVisit, numbers: Sequence[int]) -> str:
    """The region of the largest of a visit's lesions with these numbers; empty where nobody knows."""
    known = visit.summary.lesions or ()
    return derivatives.region_of(known[numbers[0] - 1]) if numbers and numbers[0] <= len(known) else ""


def _facts(visit: FinishedVisit) -> VisitFacts:
    threshold = visit.summary.threshold
    return VisitFacts(
        visit.name,
        visit.mask.volume_ml,
        int(numbered(visit.mask).max(initial=0)),
        visit.brain.volume_ml,
        visit.flair.space.spacing_mm,
        float("nan") if threshold is None else threshold.value,
        visit.flair_sha256,
    )


def _notes(earlier: FinishedVisit, later: FinishedVisit, other_voxels: bool) -> tuple[str, ...]:
    """What a reader should mind."""
    notes = []
    if other_voxels:
        notes.append(
            "The visits' voxels differ, which alone changes what is marked; the smallest changes allow for it."
        )
    if _sounds_exchanged(earlier.name, later.name):
        notes.append(f"{earlier.name} was given as the earlier visit and {later.name} as the later: new is what went.")
    images = [sorted(role for role in visit.summary.inputs or () if role in ROLES) for visit in (earlier, later)]
    if all(images) and images[0] != images[1]:
        shown = [" and ".join(roles) for roles in images]
        other = f"{earlier.name} was made of {shown[0]}, {later.name} of {shown[1]}"
        notes.append(f"{other}: that alone may change volumes.")
    made = [(visit.summary.versions or {}).get("flairline", "unknown") for visit in (earlier, later)]
    if made[0] != made[1]:
        notes.append(f"The visits were segmented by different versions of flairline: {made[0]} and {made[1]}.")
    for visit in (earlier, later):
        quality = visit.summary.qc
        notes += [f"{visit.name} is flagged: {flag}." for flag in (quality.words if quality is not None else ())]
    return tuple(notes)


def _sounds_exchanged(earlier: str, later: str) -> bool:
    """Whether two names differ in their numbers alone, and the earlier visit has the larger."""
    numberless = {re.sub(r"\d+", "", name) for name in (earlier, later)}
    return len(numberless) == 1 and natural(earlier) > natural(later)


def _line(lesion: LesionChange) -> list[Any]:
    volumes = [lesion.earlier_ml, lesion.later_ml, lesion.change_ml, lesion.smallest_change_ml]
    numbers = [";".join(map(str, own)) for own in (lesion.earlier_lesions, lesion.later_lesions)]
    shown = [f"{volume:.6g}" if volume == volume else None for volume in volumes]
    centre = [f"{value:.2f}" for value in lesion.centre_mm]
    return [lesion.id, lesion.kind, *shown, lesion.side, lesion.region or None, *centre, *numbers]


def _middle_mm(brain: Mask) -> NDArray[np.float64]:
    places = np.argwhere(brain.array).mean(axis=0)
    return brain.space.vox_to_ras[:3, :3] @ places + brain.space.vox_to_ras[:3, 3]


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
