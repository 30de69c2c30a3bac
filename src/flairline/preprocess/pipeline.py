"""From a scan as it left the scanner to a `Scan` on its own grid, with the way to the atlas and back.

The pipeline is a list of declared steps (`Step`): what each reads, writes and depends on. A step's results are kept
under a hash of those, so a second run repeats nothing and an interrupted one goes on where it stopped. Steps that do
not need each other run beside each other (`_schedule`).

::

    flair ──► flair_brain ──┐
                            ├──► flair_to_t1 ──► brain ──► (bias) ──► figures
    t1 ─────► t1_brain ─────┤
                            └──► atlas_to_t1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flairline.errors import BrainError, GridError, InputError, UnknownNameError
from flairline.io.nifti import read_mask, read_volume
from flairline.preprocess import quality, register
from flairline.preprocess.assemble import different_grids
from flairline.preprocess.atlas import Atlas, load_atlas
from flairline.preprocess.bias import correct_bias
from flairline.preprocess.brain import (
    EXTRACTORS,
    brain_from_background,
    check_brain,
    default_extractor,
    extract_brain,
    is_stripped,
)
from flairline.preprocess.cache import Artefact, Cache
from flairline.preprocess.register import Engine, PointMap, carry_mask, carry_volume
from flairline.preprocess.schedule import Progress, Schedule, Step
from flairline.types import Case, Mask, Scan, Space, Volume

BRAINS = ("auto", "none", *EXTRACTORS)
STRIP_ON = ("t1", "flair")


@dataclass(frozen=True)
class PreprocessSettings:
    """How a scan is prepared.

    Parameters
    ----------
    brain
        "auto" (deepbet, else ROBEX; a stripped scan keeps its brain), "deepbet", "robex", "hdbet", "none" (the scan is
        stripped), or a file.
    strip_on
        Which image says where the brain is: "t1" (as the paper's code) or "flair" (as its text). The FLAIR where there
        is no T1.
    registration
        "greedy", or "dipy", the paper's engine.
    atlas
        "mni", "sri24" or a file.
    bias
        Correct the bias field of the FLAIR with N4.
    to_atlas
        "raw" registers scans with skull, "always" stripped ones too, "never" none.
    """

    brain: str = "auto"
    strip_on: Literal["t1", "flair"] = "t1"
    registration: Engine = "greedy"
    atlas: str = "mni"
    bias: bool = False
    to_atlas: Literal["raw", "always", "never"] = "raw"


@dataclass(frozen=True)
class Prepared:
    """A scan ready for a method, and how to bring what the method says to the atlas and back.

    `scan` is in native space, on the FLAIR's own grid. `atlas` and `atlas_to_native` are None where the scan was not
    registered. `notes` say in words what was found and decided; `seconds` are those of each step, 0 where it was kept
    from an earlier run.
    """

    scan: Scan
    atlas: Atlas | None = None
    atlas_to_native: PointMap | None = None
    atlas_to_t1: PointMap | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    t1: Volume | None = None
    flair_to_t1: PointMap | None = None

    @property
    def flags(self) -> list[quality.Flag]:
        """Figures outside their limits, with reasons."""
        return quality.flags(self.figures)

    def atlas_scan(self) -> Scan:
        """The scan on the atlas's grid: each image interpolated once, from its own grid, and zero outside the brain."""
        atlas, to_native = self._registered()
        brain = carry_mask(self.scan.brain, atlas.space, to_native)
        t1 = None
        if self.t1 is not None and self.atlas_to_t1 is not None:
            t1 = _within(carry_volume(self.t1, atlas.space, self.atlas_to_t1), brain)
        t2 = None if self.scan.t2 is None else _within(carry_volume(self.scan.t2, atlas.space, to_native), brain)
        flair = _within(carry_volume(self.scan.flair, atlas.space, to_native), brain)
        identity = None if self.scan.mni_to_native is None else np.eye(4)
        return Scan.of(self.scan.subject, flair, brain, t1, t2, self.scan.sources, identity)

    def to_atlas(self, image: Volume) -> Volume:
        """A native image or score on the atlas's grid, by one linear interpolation."""
        atlas, to_native = self._registered()
        return carry_volume(image, atlas.space, to_native)

    def mask_to_atlas(self, mask: Mask, min_partial_volume: float = 0.5) -> Mask:
        """A native mask on the atlas's grid, set where its partial volume reaches `min_partial_volume`."""
        atlas, to_native = self._registered()
        return carry_mask(mask, atlas.space, to_native, min_partial_volume)

    def to_native(self, image: Volume) -> Volume:
        """An image or score of the atlas's grid on the FLAIR's, by one linear interpolation; zero outside the brain."""
        _, to_native = self._registered()
        return _within(carry_volume(image, self.scan.space, to_native.inverse()), self.scan.brain)

    def mask_to_native(self, mask: Mask, min_partial_volume: float = 0.5) -> Mask:
        """A mask of the atlas's grid on the FLAIR's."""
        _, to_native = self._registered()
        return carry_mask(mask, self.scan.space, to_native.inverse(), min_partial_volume)

    def to_truth(self, truth: Space, on_atlas: bool) -> PointMap:
        """From points of native space, or of the atlas, to those of a rater's grid.

        That grid is any one in the FLAIR's coordinates, or the T1's own.
        """
        to_truth = register.identity("native", "native")
        if on_atlas:
            _, to_truth = self._registered()
        if self.t1 is not None and self.flair_to_t1 is not None and truth.same_grid(self.t1.space):
            to_truth = replace(to_truth, target="flair").then(self.flair_to_t1)
        return to_truth

    def write_transforms(self, folder: Path) -> list[Path]:
        """Write both directions as ITK files, named as BIDS does: from-A_to-B carries images of A onto B's grid.

        Such a file maps points of B to A (see `register`). Writes nothing where the scan was not registered.
        """
        if self.atlas is None or self.atlas_to_native is None:
            return []
        name, to_native = self.atlas.name, self.atlas_to_native
        paths = [folder / f"from-native_to-{name}_xfm.tfm", folder / f"from-{name}_to-native_xfm.tfm"]
        register.write_itk(paths[0], to_native)
        register.write_itk(paths[1], to_native.inverse())
        return paths

    def _registered(self) -> tuple[Atlas, PointMap]:
        if self.atlas is None or self.atlas_to_native is None:
            msg = f"{self.scan.subject} was not registered to an atlas. Ask for it with --space atlas or --space both."
            raise InputError(msg)
        return self.atlas, self.atlas_to_native


SPACES = ("native", "atlas", "both")


def preprocess_settings(brain: str, strip_on: str, registration: str, atlas: str, bias: bool) -> PreprocessSettings:
    """Settings from what a user typed; a brain that is a file leaves `brain` at "auto".

    Raises
    ------
    InputError
        A word is not known.
    """
    if brain not in BRAINS and not Path(brain).exists():
        raise UnknownNameError("brain extraction or file", brain, BRAINS)
    if strip_on not in STRIP_ON:
        raise UnknownNameError("image to strip on", strip_on, STRIP_ON)
    if registration not in register.ENGINES:
        raise UnknownNameError("registration", registration, register.ENGINES)
    named = brain if brain in BRAINS else "auto"
    return PreprocessSettings(named, strip_on, registration, atlas, bias)  # type: ignore[arg-type]


def checked_space(space: str) -> Literal["native", "atlas", "both"]:
    """`space` if it is known. Raises `UnknownNameError`."""
    if space not in SPACES:
        raise UnknownNameError("space", space, SPACES)
    return space  # type: ignore[return-value]


def is_raw(case: Case) -> bool:
    """Whether a case needs preparing: a head around the brain and no brain given, or images on different grids."""
    if case.flair is None or (case.brain is not None and case.t1 is None):
        return False
    flair = read_volume(case.flair)
    if case.t1 is not None and not read_volume(case.t1).space.same_grid(flair.space):
        return True
    return case.brain is None and not is_stripped(flair)


def prepare(
    case: Case,
    settings: PreprocessSettings | None = None,
    work: Path | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Find the brain of a case and, where it has a skull or the settings say so, the way to the atlas.

    Parameters
    ----------
    case
        FLAIR, and where there are, T1 (on any grid), T2 (on the FLAIR's) and brain (on the FLAIR's or T1's grid).
    settings
        None is the default.
    work
        Folder to keep steps' results in; None keeps nothing.
    progress
        Called with each step's name before it runs.

    Raises
    ------
    InputError
        A file cannot be read, there is no brain, T1 and FLAIR are of different heads, or the registration failed.
    OutputError
        `work` cannot be written to.
    """
    settings = settings or PreprocessSettings()
    return _Preparation(case, settings, work, progress or (lambda _: None)).run()


class _Preparation:
    """One case on its way: `state` holds images and results by name, `known` the images whose brain needs no search."""

    def __init__(self, case: Case, settings: PreprocessSettings, work: Path | None, progress: Progress) -> None:
        if case.flair is None:
            msg = f"The case {case.subject!r} has no FLAIR. Fill the column flair."
            raise InputError(msg)
        self.case, self.settings, self.progress, self.work = case, settings, progress, work
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self.state: dict[str, Any] = {"flair": self._image("flair", case.flair)}
        if case.t1 is not None:
            self.state["t1"] = self._image("t1", case.t1)
        self.stripped = {name: is_stripped(image) for name, image in self.state.items()}
        self.atlas: Atlas | None = None

    def run(self) -> Prepared:
        self._given_brains()
        self._known_brains()
        self.known = frozenset(name for name in ("flair", "t1") if f"{name}_brain" in self.state)
        with Schedule(self.state, Cache(self.work), self._grid_of, self.progress) as schedule:
            self.seconds = schedule.seconds
            schedule.start(self._brain_steps())
            if self.settings.to_atlas == "always" or (self.settings.to_atlas == "raw" and not self.stripped["flair"]):
                self.atlas = load_atlas(self.settings.atlas, self.work)
                self.state["atlas"], self.state["atlas_brain"] = self.atlas.t1, self.atlas.brain
            schedule.start(self._other_steps())
            schedule.finish()
        return self._prepared()

    def _image(self, name: str, path: Path) -> Volume:
        image = read_volume(path)
        if image.space.stored is not None and image.space.stored.note:
            self.notes.append(f"{name}: {image.space.stored.note}")
        return image

    def _given_brains(self) -> None:
        """A brain from a file: on the FLAIR's grid or on the T1's."""
        named = self.settings.brain if self.settings.brain not in BRAINS else None
        path = self.case.brain or (Path(named) if named else None)
        if path is None:
            return
        brain = read_mask(path)
        for name in ("flair", "t1"):
            if name in self.state and brain.space.same_grid(self.state[name].space):
                self.state[f"{name}_brain"] = Mask(brain.array, self.state[name].space)
                check_brain(self.state[name], self.state[f"{name}_brain"], str(getattr(self.case, name)))
                self.notes.append(f"The brain is the given file's, on the grid of the {name}.")
                return
        raise GridError(different_grids(path, brain.space, self.case.flair, self.state["flair"].space))

    def _known_brains(self) -> None:
        """What differs from the background, where a scan is stripped."""
        given = any(f"{name}_brain" in self.state for name in ("flair", "t1"))
        for name in ("flair", "t1"):
            if name not in self.state or f"{name}_brain" in self.state:
                continue
            if self.settings.brain == "none" or (self.stripped[name] and self.settings.brain == "auto"):
                self.state[f"{name}_brain"] = brain_from_background(self.state[name], str(getattr(self.case, name)))
                self.notes.append(f"The {name} is skull-stripped: its brain is what differs from the background.")
            elif self.stripped[name] and given:
                self.state[f"{name}_brain"] = brain_from_background(self.state[name], str(getattr(self.case, name)))

    def _extractor(self) -> str:
        named = self.settings.brain
        return named if named in EXTRACTORS else default_extractor()

    @property
    def _given(self) -> bool:
        """Whether the user gave a brain: it is believed, and carried to the other image."""
        return self.case.brain is not None or self.settings.brain not in BRAINS

    def _brain_steps(self) -> list[Step]:
        if self._given and self.known:
            return []
        images = [name for name in ("t1", "flair") if name in self.state and name not in self.known]
        return [_brain_step(name, self._extractor()) for name in images]

    def _other_steps(self) -> list[Step]:
        steps: list[Step] = []
        if "t1" in self.state:
            steps.append(self._pair_step(set(self.known) if self._given else {"flair", "t1"}))
        if self.atlas is not None:
            steps.append(self._atlas_step())
        steps.append(self._native_brain_step())
        if self.settings.bias:
            steps.append(Step("bias", 2, ("flair", "brain"), ("corrected",), _bias))
        steps.append(self._figures_step(independent_brains=not self._given))
        return steps

    def _pair_step(self, brains: set[str]) -> Step:
        """FLAIR to T1; where only one brain is known, the other image's is carried from it."""
        flair, t1 = self.state["flair"], self.state["t1"]
        if flair.space.same_grid(t1.space) and all(self.stripped.values()):
            self.notes.append("T1 and FLAIR are stripped and on one grid: they are taken to lie on each other.")
            return Step("pair-same", 1, (), ("flair_to_t1",), _same_place)
        parameters = {"engine": self.settings.registration, **_engine_parameters()}
        reads: tuple[str, ...] = ("flair", "flair_brain", "t1", "t1_brain")
        writes: tuple[str, ...] = ("flair_to_t1",)
        run: Callable[..., Mapping[str, Artefact]] = _pair
        if brains == {"flair"}:
            reads, writes, run = ("flair", "flair_brain", "t1"), ("flair_to_t1", "t1_brain"), _pair_by_flair
        elif brains == {"t1"}:
            reads, writes, run = ("flair", "t1", "t1_brain"), ("flair_to_t1", "flair_brain"), _pair_by_t1
        return Step("pair", 1, reads, writes, _with_engine(run, self.settings.registration), parameters)

    def _native_brain_step(self) -> Step:
        if "t1" in self.state and self.settings.strip_on == "t1" and "flair" not in self.known:
            return Step("brain", 1, ("flair", "t1_brain", "flair_to_t1"), ("brain",), _carried_brain)
        return Step("brain", 1, ("flair_brain",), ("brain",), _own_brain)

    def _atlas_step(self) -> Step:
        assert self.atlas is not None
        name = "t1" if "t1" in self.state else "flair"
        if self.stripped[name] and self.state[name].space.same_grid(self.atlas.space):
            self.notes.append(
                f"The {name} lies on the grid of the atlas {self.atlas.name!r} already: nothing to register."
            )
            return Step(
                "atlas-same",
                1,
                (),
                (f"atlas_to_{name}",),
                lambda: {f"atlas_to_{name}": register.identity("atlas", name)},
            )
        parameters = {"engine": self.settings.registration, **_engine_parameters()}

        def run(**images: Any) -> dict[str, Artefact]:
            matrix = register.register_affine(
                images["atlas"],
                images["atlas_brain"],
                images[name],
                images[f"{name}_brain"],
                self.settings.registration,
            )
            return {f"atlas_to_{name}": PointMap("atlas", name, matrix)}

        return Step("atlas", 1, ("atlas", "atlas_brain", name, f"{name}_brain"), (f"atlas_to_{name}",), run, parameters)

    def _figures_step(self, independent_brains: bool) -> Step:
        reads = ["flair", "brain"]
        if "t1" in self.state:
            reads += ["t1", "t1_brain", "flair_to_t1"] + ["flair_brain"] * independent_brains
        if self.atlas is not None:
            reads += ["atlas", "atlas_brain", "atlas_to_t1" if "t1" in self.state else "atlas_to_flair"]
        return Step("figures", 2, tuple(reads), ("figures",), _figures)

    def _grid_of(self, name: str) -> Space | None:
        """Whose grid a step's image lies on."""
        image = self.state.get("t1" if name.startswith("t1_") else "flair")
        return None if image is None else image.space

    def _prepared(self) -> Prepared:
        state = self.state
        flair = state.get("corrected", state["flair"])
        self._check_pair()
        self._check_head()
        check_brain(flair, state["brain"], str(self.case.flair))
        t1 = state.get("t1")
        t1_native = None if t1 is None else carry_volume(t1, flair.space, state["flair_to_t1"])
        atlas_to_native, atlas_to_t1 = None, state.get("atlas_to_t1")
        if self.atlas is not None:
            if t1 is None:
                atlas_to_native = replace(state["atlas_to_flair"], target="native")
            else:
                to_flair = state["flair_to_t1"].inverse()
                atlas_to_native = replace(state["atlas_to_t1"].then(to_flair), target="native")
            atlas_to_native = replace(atlas_to_native, source=self.atlas.name)
        scan = Scan.of(
            self.case.subject,
            _finite_outside(flair, state["brain"]),
            state["brain"],
            None if t1_native is None else _finite_outside(t1_native, state["brain"]),
            self._t2(flair, state["brain"]),
            {name: str(path) for name in ("flair", "t1", "t2", "brain") if (path := getattr(self.case, name))},
            atlas_to_native.ras_to_ras if atlas_to_native is not None and self.settings.atlas == "mni" else None,
        )
        return Prepared(
            scan,
            self.atlas,
            atlas_to_native,
            atlas_to_t1,
            state["figures"],
            tuple(self.notes),
            self.seconds,
            t1,
            state.get("flair_to_t1"),
        )

    def _check_pair(self) -> None:
        overlap = self.state["figures"].get("t1_flair_overlap", float("nan"))
        if overlap < quality.MIN_T1_FLAIR_OVERLAP:
            msg = (
                f"The brains of the T1 {self.case.t1} and the FLAIR {self.case.flair} overlap by a Dice of"
                f" {overlap:.3f} after registration; one head gives at least {quality.MIN_T1_FLAIR_OVERLAP}. Check that"
                " both are whole heads of one person, or leave the T1 out."
            )
            raise BrainError(msg)

    def _check_head(self) -> None:
        """Refuse what an extractor took for a brain but what no brain looks like; a given brain is believed."""
        figures = self.state["figures"]
        overlap, stretch = figures.get("atlas_overlap", 1.0), figures.get("atlas_stretch", 1.0)
        extracted = any(step.startswith("brain-") for step in self.seconds)
        if extracted and overlap < quality.MIN_ATLAS_OVERLAP and stretch > quality.MAX_ATLAS_STRETCH:
            msg = (
                f"What was taken for the brain of {self.case.t1 or self.case.flair} looks like none: on the atlas"
                f" it overlaps by a Dice of {overlap:.2f} and is stretched {stretch:.1f} times more one way"
                " than another. Check that the file shows a head, or give the brain as a file (--brain)."
            )
            raise BrainError(msg)

    def _t2(self, flair: Volume, brain: Mask) -> Volume | None:
        if self.case.t2 is None:
            return None
        t2 = self._image("t2", self.case.t2)
        if not t2.space.same_grid(flair.space):
            raise GridError(different_grids(self.case.t2, t2.space, "the FLAIR", flair.space))
        return _finite_outside(Volume(t2.array, flair.space), brain)


def _brain_step(name: str, extractor: str) -> Step:
    def run(**images: Volume) -> dict[str, Artefact]:
        return {f"{name}_brain": extract_brain(images[name], extractor, f"the {name}")}

    return Step(f"brain-{name}", 1, (name,), (f"{name}_brain",), run, {"extractor": extractor}, fills_memory=True)


def _with_engine(run: Callable[..., Mapping[str, Artefact]], engine: Engine) -> Callable[..., Mapping[str, Artefact]]:
    return lambda **images: run(engine, **images)


def _engine_parameters() -> dict[str, Any]:
    return {"levels": register.GREEDY_LEVELS, "fixed_mm": register.FIXED_MM, "threads": register.THREADS}


def _pair(engine: Engine, flair: Volume, flair_brain: Mask, t1: Volume, t1_brain: Mask) -> dict[str, Artefact]:
    matrix = register.register_rigid(t1, t1_brain, flair, flair_brain, engine)
    return {"flair_to_t1": PointMap("t1", "flair", matrix).inverse()}


def _pair_by_t1(engine: Engine, flair: Volume, t1: Volume, t1_brain: Mask) -> dict[str, Artefact]:
    flair_to_t1 = PointMap("t1", "flair", register.register_rigid(t1, t1_brain, flair, None, engine)).inverse()
    return {"flair_to_t1": flair_to_t1, "flair_brain": carry_mask(t1_brain, flair.space, flair_to_t1)}


def _pair_by_flair(engine: Engine, flair: Volume, flair_brain: Mask, t1: Volume) -> dict[str, Artefact]:
    flair_to_t1 = PointMap("flair", "t1", register.register_rigid(flair, flair_brain, t1, None, engine))
    return {"flair_to_t1": flair_to_t1, "t1_brain": carry_mask(flair_brain, t1.space, flair_to_t1.inverse())}


def _same_place() -> dict[str, Artefact]:
    return {"flair_to_t1": register.identity("flair", "t1")}


def _carried_brain(flair: Volume, t1_brain: Mask, flair_to_t1: PointMap) -> dict[str, Artefact]:
    """The T1's brain on the FLAIR's grid, by its partial volume."""
    return {"brain": carry_mask(t1_brain, flair.space, flair_to_t1)}


def _own_brain(flair_brain: Mask) -> dict[str, Artefact]:
    return {"brain": flair_brain}


def _bias(flair: Volume, brain: Mask) -> dict[str, Artefact]:
    return {"corrected": correct_bias(flair, brain)}


def _figures(flair: Volume, brain: Mask, **others: Any) -> dict[str, Artefact]:
    figures = quality.brain_figures(flair, brain)
    to_flair = others.get("atlas_to_flair")
    image, image_brain, to_image = flair, brain, to_flair
    if "t1" in others:
        figures |= quality.pair_figures(
            flair, others.get("flair_brain"), others["t1"], others["t1_brain"], others["flair_to_t1"]
        )
        image, image_brain, to_image = others["t1"], others["t1_brain"], others.get("atlas_to_t1")
        to_flair = None if to_image is None else to_image.then(others["flair_to_t1"].inverse())
    if "atlas" in others and to_image is not None and to_flair is not None:
        maps = {"image": to_image, "flair": to_flair}
        figures |= quality.atlas_figures(image, image_brain, flair.space, others["atlas"], others["atlas_brain"], maps)
    return {"figures": figures}


def _within(image: Volume, brain: Mask) -> Volume:
    return Volume(np.where(brain.array, image.array, np.float32(0)), image.space)


def _finite_outside(image: Volume, brain: Mask) -> Volume:
    """NaN and infinite values outside the brain would spread through filters; zero does not."""
    return Volume(np.where(np.isfinite(image.array) | brain.array, image.array, np.float32(0)), image.space)
