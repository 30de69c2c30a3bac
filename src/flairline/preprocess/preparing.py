"""From a scan as it left the scanner to a `Scan` on its own grid, with the way to the atlas and back.

The steps are declared with what they read (`schedule`). Their results are kept under a hash of that, so a second run
repeats nothing and an interrupted one goes on where it stopped. Steps that do not need each other run beside each
other.

::

    flair ──► flair_brain ──┐
                            ├──► flair_to_t1 ──► brain ──► (bias) ──► figures
    t1 ─────► t1_brain ─────┤
                            └──► atlas_to_t1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flairline.errors import BrainError, GridError
from flairline.imaging.points import PointMap, carry_mask, carry_volume, identity
from flairline.io.nifti import read_volume
from flairline.preprocess import quality, steps
from flairline.preprocess.atlas import Atlas, load_atlas
from flairline.preprocess.bias import correct_bias
from flairline.preprocess.brain import (
    EXTRACTORS,
    BrainSource,
    Extractor,
    check_brain,
    default_extractor,
    extract_brain,
    seen_in,
)
from flairline.preprocess.cache import FIGURES, POINTS, Cache, Figures, mask_on, volume_on
from flairline.preprocess.images import Images, KnownBrains, Role, known_brains, reading_notes, truth_notes
from flairline.preprocess.prepared import Prepared, different_grids
from flairline.preprocess.schedule import Input, Part, Schedule, Slot, Step
from flairline.preprocess.settings import PreprocessSettings
from flairline.preprocess.steps import BrainImage, OnAtlas, Pair
from flairline.types import Case, Mask, Progress, Scan, Volume


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a case before the first step: images, brains, and what their grids and backgrounds say."""

    case: Case
    images: Images
    settings: PreprocessSettings
    brains: KnownBrains

    @property
    def pair_lies_in_place(self) -> bool:
        """T1 and FLAIR are stripped and on one grid: they are taken to lie on each other."""
        flair, t1 = self.images.flair, self.images.t1
        return t1 is not None and flair.space.same_grid(t1.space) and all(map(self.images.is_stripped, self.by_role))

    @property
    def brain_is_carried(self) -> bool:
        """Whether the scan's brain is the T1's, carried to the FLAIR."""
        return self.images.t1 is not None and self.settings.strip_on == "t1" and "flair" not in self.brains.found

    @property
    def goes_to_atlas(self) -> bool:
        """Whether the scan is registered to the atlas."""
        to_atlas = self.settings.to_atlas
        return to_atlas == "always" or (to_atlas == "raw" and not self.images.is_stripped("flair"))

    @property
    def registered_role(self) -> Role:
        """The image that is registered to the atlas."""
        return "flair" if self.images.t1 is None else "t1"

    @property
    def by_role(self) -> dict[Role, Volume]:
        """The images that there are."""
        return self.images.by_role()

    @property
    def searched_roles(self) -> list[Role]:
        """Images whose brain is searched for: all of which it is not known, unless the user gave one."""
        roles: tuple[Role, ...] = ("t1", "flair")
        return [] if self.brains.is_given else [r for r in roles if r in self.by_role and r not in self.brains.found]

    @property
    def extractor(self) -> Extractor:
        """What searches for brains. Raises `MissingExtraError` where nothing was asked for and nothing is there."""
        asked = [extractor for extractor in EXTRACTORS if extractor == self.settings.brain]
        return asked[0] if asked else default_extractor()

    @property
    def brain_source(self) -> BrainSource:
        """Where the scan's brain came from."""
        role: Role = "t1" if self.brain_is_carried else "flair"
        if role in self.searched_roles:
            return BrainSource.extracted(self.extractor, role)
        found = self.brains.found
        # A given brain that is not of this image was carried from the other one.
        return (found[role] if role in found else next(iter(found.values()))).source

    def lies_on(self, atlas: Atlas) -> bool:
        """Whether that image lies on the atlas's grid already."""
        role = self.registered_role
        return self.images.is_stripped(role) and self.by_role[role].space.same_grid(atlas.space)


@dataclass(frozen=True, eq=False)
class Results:
    """What the steps gave; None for those that the case does not need."""

    brain: Mask
    figures: Figures
    flair_to_t1: PointMap | None
    corrected: Volume | None
    on_atlas: OnAtlas | None
    seconds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class _Side:
    """What steps read of one image: itself and its brain, found in it or carried from the other image."""

    image: Slot[Volume]
    brain: Input[Mask]


def prepared_by_steps(
    case: Case, images: Images, settings: PreprocessSettings, store_folder: Path | None, progress: Progress
) -> Prepared:
    """Find the brain of a case and, where it has a skull or the settings say so, the way to the atlas.

    Parameters and errors are those of `read.read_scan`.
    """
    facts = Facts(case, images, settings, known_brains(case, images, settings))
    results = _run(facts, store_folder, progress)
    _check_pair(case, results.figures)
    if facts.searched_roles:
        _check_head(case, results.figures)
    return _prepared(facts, results)


def _run(facts: Facts, store_folder: Path | None, progress: Progress) -> Results:
    """Run the steps that the case needs. The atlas is read while brains are searched for."""
    settings = facts.settings
    with Schedule(Cache(store_folder), progress) as schedule:
        images = {role: Slot.holding(image, volume_on(image.space)) for role, image in facts.by_role.items()}
        brains = _own_brains(facts, images, schedule)
        atlas = load_atlas(settings.atlas, store_folder) if facts.goes_to_atlas else None
        pair = None if facts.images.t1 is None else schedule.add(_pair_step(facts, images, brains))
        sides = _sides(images, brains, pair)
        to_image = None if atlas is None else schedule.add(_atlas_step(facts, sides, atlas))
        brain = schedule.add(_brain_step(facts, sides, pair))
        corrected = schedule.add(_bias_step(images["flair"], brain)) if settings.bias else None
        on_atlas = None if atlas is None or to_image is None else _AtlasInput(atlas, to_image)
        own_brain = None if facts.brains.is_given else brains.get("flair")
        figures = schedule.add(_figures_step(sides, brain, pair, own_brain, on_atlas))
        schedule.finish()
        return Results(
            brain.value,
            figures.value,
            None if pair is None else pair.value.flair_to_t1,
            None if corrected is None else corrected.value,
            None if on_atlas is None else on_atlas.value,
            schedule.seconds,
        )


def _own_brains(facts: Facts, images: Mapping[Role, Slot[Volume]], schedule: Schedule) -> dict[Role, Slot[Mask]]:
    """The brains that are known, and those that are searched for in heads."""
    brains = {role: Slot.holding(found.mask, mask_on(found.mask.space)) for role, found in facts.brains.found.items()}
    for role in facts.searched_roles:
        brains[role] = schedule.add(_search_step(role, images[role], facts.extractor))
    return brains


def _search_step(role: Role, head: Slot[Volume], extractor: Extractor) -> Step[Mask]:
    return Step(
        f"brain-{role}",
        2,
        (head,),
        lambda: extract_brain(head.value, extractor, f"the {role}"),
        mask_on(head.value.space),
        {"extractor": extractor},
        fills_memory=True,
    )


def _pair_step(facts: Facts, images: Mapping[Role, Slot[Volume]], brains: Mapping[Role, Slot[Mask]]) -> Step[Pair]:
    """FLAIR to T1; where only one brain is known, the other image's is carried from it."""
    flair, t1, engine = images["flair"], images["t1"], facts.settings.registration
    form = steps.pair_form(flair.value.space, t1.value.space)
    if facts.pair_lies_in_place:
        return Step("pair-same", 1, (), steps.pair_in_place, form)
    flair_brain, t1_brain = brains.get("flair"), brains.get("t1")

    def run() -> Pair:
        if t1_brain is None:
            assert flair_brain is not None
            return steps.pair_by_flair(BrainImage(flair.value, flair_brain.value), t1.value, engine)
        with_brain = BrainImage(t1.value, t1_brain.value)
        if flair_brain is None:
            return steps.pair_by_t1(flair.value, with_brain, engine)
        return steps.pair(BrainImage(flair.value, flair_brain.value), with_brain, engine)

    reads = tuple(each for each in (flair, flair_brain, t1, t1_brain) if each is not None)
    which = {"brains": [role for role in ("flair", "t1") if role in brains]}
    return Step("pair", 3, reads, run, form, {**steps.engine_parameters(engine), **which})


def _sides(
    images: Mapping[Role, Slot[Volume]], brains: Mapping[Role, Slot[Mask]], pair: Slot[Pair] | None
) -> dict[Role, _Side]:
    """Each image with its brain: its own, or the one that the pair's registration carried."""
    sides: dict[Role, _Side] = {}
    for role, image in images.items():
        brain: Input[Mask]
        if role in brains:
            brain = brains[role]
        else:
            assert pair is not None
            brain = Part(pair, steps.carried_to_flair if role == "flair" else steps.carried_to_t1)
        sides[role] = _Side(image, brain)
    return sides


def _atlas_step(facts: Facts, sides: Mapping[Role, _Side], atlas: Atlas) -> Step[PointMap]:
    role, engine = facts.registered_role, facts.settings.registration
    if facts.lies_on(atlas):
        return Step("atlas-same", 1, (), lambda: identity("atlas", role), POINTS)
    side = sides[role]

    def run() -> PointMap:
        return steps.atlas_to(BrainImage(side.image.value, side.brain.value), role, atlas, engine)

    reads = (*_atlas_slots(atlas), side.image, side.brain)
    return Step("atlas", 3, reads, run, POINTS, steps.engine_parameters(engine))


def _brain_step(facts: Facts, sides: Mapping[Role, _Side], pair: Slot[Pair] | None) -> Step[Mask]:
    """The scan's brain on the FLAIR's grid; one of the T1 by its partial volume."""
    flair = sides["flair"]
    form = mask_on(flair.image.value.space)
    if pair is None or not facts.brain_is_carried:
        return Step("brain", 1, (flair.brain,), lambda: flair.brain.value, form)
    t1_brain, image, flair_to_t1 = sides["t1"].brain, flair.image, Part(pair, steps.flair_to_t1)

    def run() -> Mask:
        return seen_in(carry_mask(t1_brain.value, image.value.space, flair_to_t1.value), image.value)

    return Step("brain", 2, (image, t1_brain, pair), run, form)


def _bias_step(flair: Slot[Volume], brain: Slot[Mask]) -> Step[Volume]:
    return Step("bias", 2, (flair, brain), lambda: correct_bias(flair.value, brain.value), flair.form)


@dataclass(frozen=True, eq=False)
class _AtlasInput:
    """What steps read of an atlas that is registered."""

    atlas: Atlas
    to_image: Slot[PointMap]

    @property
    def slots(self) -> tuple[Slot[Any], ...]:
        return (*_atlas_slots(self.atlas), self.to_image)

    @property
    def value(self) -> OnAtlas:
        return OnAtlas(self.atlas, self.to_image.value)


def _atlas_slots(atlas: Atlas) -> tuple[Slot[Volume], Slot[Mask]]:
    return Slot.holding(atlas.t1, volume_on(atlas.space)), Slot.holding(atlas.brain, mask_on(atlas.space))


def _figures_step(
    sides: Mapping[Role, _Side],
    brain: Slot[Mask],
    pair: Slot[Pair] | None,
    own_flair_brain: Slot[Mask] | None,
    on_atlas: _AtlasInput | None,
) -> Step[Figures]:
    flair = sides["flair"].image
    reads: tuple[Input[Any], ...] = (flair, brain, *(on_atlas.slots if on_atlas is not None else ()))

    def atlas() -> OnAtlas | None:
        return None if on_atlas is None else on_atlas.value

    if pair is None:
        return Step("figures", 2, reads, lambda: steps.figures_alone(flair.value, brain.value, atlas()), FIGURES)
    t1 = sides["t1"]

    def run() -> Figures:
        own = None if own_flair_brain is None else own_flair_brain.value
        with_brain, t1_with_brain = BrainImage(flair.value, brain.value), BrainImage(t1.image.value, t1.brain.value)
        return steps.figures_of_pair(with_brain, t1_with_brain, pair.value.flair_to_t1, own, atlas())

    reads = (*reads, t1.image, t1.brain, pair, *(() if own_flair_brain is None else (own_flair_brain,)))
    independent = {"own_flair_brain": own_flair_brain is not None}
    return Step("figures", 2, reads, run, FIGURES, independent)


def _prepared(facts: Facts, results: Results) -> Prepared:
    """The scan on the FLAIR's grid, with all that was found on the way."""
    case, brain, images = facts.case, results.brain, facts.images
    flair = images.flair if results.corrected is None else results.corrected
    check_brain(flair, brain, str(case.flair))
    notes = [*images.notes(), *facts.brains.notes]
    if facts.pair_lies_in_place:
        notes.append("T1 and FLAIR are stripped and on one grid: they are taken to lie on each other.")
    t1 = None
    if images.t1 is not None and results.flair_to_t1 is not None:
        t1 = steps.finite_outside(carry_volume(images.t1, flair.space, results.flair_to_t1), brain)
    atlas = None if results.on_atlas is None else results.on_atlas.atlas
    if atlas is not None and facts.lies_on(atlas):
        role = facts.registered_role
        notes.append(f"The {role} lies on the grid of the atlas {atlas.name!r} already: nothing to register.")
    to_native = _atlas_to_native(results)
    t2, t2_notes = _t2(case, flair, brain)
    sources = {role: str(path) for role in ("flair", "t1", "t2", "brain") if (path := getattr(case, role))}
    to_mni = to_native.ras_to_ras if to_native is not None and facts.settings.atlas == "mni" else None
    scan = Scan.of(case.subject, steps.finite_outside(flair, brain), brain, t1, t2, sources, to_mni)
    truth = None if case.truth is None else read_volume(case.truth)
    return Prepared(
        case,
        scan,
        facts.brain_source,
        truth=truth,
        atlas=atlas,
        atlas_to_native=to_native,
        atlas_to_t1=results.on_atlas.to_image if results.on_atlas is not None and images.t1 is not None else None,
        figures=results.figures,
        notes=(*notes, *t2_notes, *truth_notes(truth)),
        seconds=results.seconds,
        t1=images.t1,
        flair_to_t1=results.flair_to_t1,
    )


def _atlas_to_native(results: Results) -> PointMap | None:
    if results.on_atlas is None:
        return None
    to_native = results.on_atlas.to_image
    if results.flair_to_t1 is not None:
        to_native = to_native.then(results.flair_to_t1.inverse())
    return PointMap(results.on_atlas.atlas.name, "native", to_native.ras_to_ras)


def _t2(case: Case, flair: Volume, brain: Mask) -> tuple[Volume | None, list[str]]:
    """The T2, which must lie on the FLAIR's grid, and what the reader had to decide about it."""
    if case.t2 is None:
        return None, []
    t2 = read_volume(case.t2)
    if not t2.space.same_grid(flair.space):
        raise GridError(different_grids(case.t2, t2.space, "the FLAIR", flair.space))
    return steps.finite_outside(Volume(t2.array, flair.space), brain), reading_notes("t2", t2)


def _check_pair(case: Case, figures: Figures) -> None:
    overlap = figures.get("t1_flair_overlap", float("nan"))
    if overlap < quality.MIN_T1_FLAIR_OVERLAP:
        msg = (
            f"The brains of the T1 {case.t1} and the FLAIR {case.flair} overlap by a Dice of"
            f" {overlap:.3f} after registration; one head gives at least {quality.MIN_T1_FLAIR_OVERLAP}. Check that"
            " both are whole heads of one person, or leave the T1 out."
        )
        raise BrainError(msg)


def _check_head(case: Case, figures: Figures) -> None:
    """Refuse what an extractor took for a brain but what no brain looks like; a given brain is believed."""
    overlap, stretch = figures.get("atlas_overlap", 1.0), figures.get("atlas_stretch", 1.0)
    if overlap < quality.MIN_ATLAS_OVERLAP and stretch > quality.MAX_ATLAS_STRETCH:
        msg = (
            f"What was taken for the brain of {case.t1 or case.flair} looks like none: on the atlas"
            f" it overlaps by a Dice of {overlap:.2f} and is stretched {stretch:.1f} times more one way"
            " than another. Check that the file shows a head, or give the brain as a file (--brain)."
        )
        raise BrainError(msg)
