"""The nouns of flairline. Axes, spaces and units are said here, once.

Arrays are (x, y, z) with x growing to the patient's right, y to the front and z to the top (RAS+), whatever the file
said: `io.nifti` turns them on the way in and back on the way out, and nothing else moves axes. An oblique grid keeps
its rotation in the affine; its array axes are those closest to RAS+. Lengths end in ``_mm``, volumes in ``_ml``.
A *score* is a float, higher is more abnormal, and zero outside the brain. A *mask* is what was found, a *truth* what
a rater drew, a *brain* where the brain is; these three are boolean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

ROLES = ("flair", "t1", "t2")
"""What an image of a scan can be, in the order of tables. Only "flair" is required."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def no_progress(what: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


AFFINE_TOLERANCE_MM = 5e-2
"""Two grids are the same if no voxel corner lies further apart than this (headers store float32 and rounded texts)."""


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """How a grid lies in its file, so that results can go back onto it.

    `shape` and `vox_to_ras` are those of the file; `to_ras` is nibabel's orientation array that leads from the file's
    axes to RAS+; the codes are the NIfTI header's. `note` says what the reader had to decide, empty where nothing.
    `sides_known` is False where the header says neither position nor orientation, so that left may be right.
    """

    shape: tuple[int, int, int]
    vox_to_ras: NDArray[np.float64]
    to_ras: NDArray[np.float64]
    qform_code: int = 1
    sform_code: int = 1
    note: str = ""
    sides_known: bool = True


@dataclass(frozen=True, eq=False)
class Space:
    """A voxel grid: shape in RAS+ order, affine from voxel to RAS millimetres, and which space it is in."""

    shape: tuple[int, int, int]
    vox_to_ras: NDArray[np.float64]
    name: Literal["native", "atlas"] = "native"
    stored: StoredGrid | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel sides in mm, in RAS+ order."""
        x, y, z = np.linalg.norm(self.vox_to_ras[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def sides_known(self) -> bool:
        """Whether left and right can be told. Where the file's header says no orientation, no side is named."""
        return self.stored is None or self.stored.sides_known

    def without_sides(self) -> Space:
        """The same grid, of which no side is known."""
        as_it_is = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
        stored = self.stored or StoredGrid(self.shape, self.vox_to_ras, as_it_is)
        return replace(self, stored=replace(stored, sides_known=False))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(abs(np.linalg.det(self.vox_to_ras[:3, :3]))) / 1000.0

    def same_grid(self, other: Space, tolerance_mm: float = AFFINE_TOLERANCE_MM) -> bool:
        """Whether both grids put every voxel within `tolerance_mm` of the same place."""
        if self.shape != other.shape:
            return False
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
        corners[:, :3] *= np.array(self.shape) - 1
        apart = (corners @ (self.vox_to_ras - other.vox_to_ras).T)[:, :3]
        return bool(np.linalg.norm(apart, axis=1).max() <= tolerance_mm)

    def describe(self) -> str:
        """Shape and affine in one line, for messages."""
        rows = "; ".join(" ".join(f"{value:.4g}" for value in row) for row in self.vox_to_ras[:3])
        return f"{'x'.join(map(str, self.shape))}, affine [{rows}]"


@dataclass(frozen=True, eq=False)
class Volume:
    """A float32 image (x, y, z) on a `Space`."""

    array: FloatArray
    space: Space

    def __post_init__(self) -> None:
        _check_shape(self.array, self.space)


@dataclass(frozen=True, eq=False)
class Mask:
    """A boolean image (x, y, z) on a `Space`."""

    array: BoolArray
    space: Space

    def __post_init__(self) -> None:
        _check_shape(self.array, self.space)

    @property
    def volume_ml(self) -> float:
        """Volume of what is set, in ml."""
        return float(np.count_nonzero(self.array)) * self.space.voxel_ml


@dataclass(frozen=True, eq=False)
class Scan:
    """One subject at one time: images by role, where the brain is, all on one grid.

    Attributes
    ----------
    images
        Role (`ROLES`) -> image. The role "flair" is always there.
    sources
        The file each image came from, by role, with its sha256 where it was computed.
    atlas_to_native
        4x4 matrix from points of the symmetric atlas MNI152 to this scan's (RAS mm) where it was registered to it.
    """

    subject: str
    images: Mapping[str, Volume]
    brain: Mask
    sources: Mapping[str, str] = field(default_factory=dict)
    atlas_to_native: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if "flair" not in self.images:
            msg = f"wanted a scan with the role 'flair', found {', '.join(self.images) or 'no image'}"
            raise ValueError(msg)

    @classmethod
    def of(
        cls,
        subject: str,
        flair: Volume,
        brain: Mask,
        t1: Volume | None = None,
        t2: Volume | None = None,
        sources: Mapping[str, str] | None = None,
        atlas_to_native: NDArray[np.float64] | None = None,
    ) -> Scan:
        """A scan from its images, None where there is none."""
        images = {role: image for role, image in zip(ROLES, (flair, t1, t2), strict=True) if image is not None}
        return cls(subject, images, brain, sources or {}, atlas_to_native)

    def with_images(self, **images: Volume | None) -> Scan:
        """This scan with other images in some roles; None takes one away."""
        merged = {**self.images, **images}
        return replace(self, images={role: image for role, image in merged.items() if image is not None})

    @property
    def flair(self) -> Volume:
        """The FLAIR, which every scan has."""
        return self.images["flair"]

    @property
    def t1(self) -> Volume | None:
        """The T1, if there is one."""
        return self.images.get("t1")

    @property
    def t2(self) -> Volume | None:
        """The T2, if there is one."""
        return self.images.get("t2")

    @property
    def space(self) -> Space:
        """The grid of all images of this scan."""
        return self.flair.space

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel sides in mm."""
        return self.space.spacing_mm


Scorer = Callable[[Scan], Volume]
"""What `fit` returns: scan in, score out, on the scan's own grid, zero outside the brain."""


MethodRole = Literal["baseline", "control", "learned", "default"]
"""What a method is for. A control is cheap and runs beside every other one: who does not beat it learned nothing."""


@dataclass(frozen=True)
class MethodInfo:
    """What `flairline methods` says of a method, without importing what the method needs.

    Attributes
    ----------
    paper
        Who published it, with an address where there is one.
    training
        What it learns from, and by which command.
    cost
        What a scan costs.
    extra
        The optional dependency that it needs; None: the core is enough.
    marks_fixed_share
        True if a fixed threshold marks the same share of every brain, healthy or not.
    published_as
        Its name in the paper's tables (benchmarking/paper/published/tables.csv); empty where they lack it.
    role
        What it is for.
    reads
        The method whose model folders it reads, where that is another one; empty: its own.
    channels
        The roles of the images that it can use.
    iterative
        True if scoring takes minutes a scan.
    learns_from
        What its `train` learns from; empty: it needs no training and reads no model folder.
    reconstructs
        True if its scorer has `reconstruction`: what a healthy brain would look like in the scan's place.
    recipes
        Names of the recipes that its `recipe` gives; its own among them where the usual post-processing does not fit.
    default_rank
        Its turn when the recipe `default` asks the methods, from 1; 0: it is not asked.
    """

    paper: str
    training: str
    cost: str
    extra: str | None = None
    marks_fixed_share: bool = False
    published_as: str = ""
    role: MethodRole = "baseline"
    reads: str = ""
    channels: tuple[str, ...] = ("flair",)
    iterative: bool = False
    learns_from: Literal["", "scans", "label maps"] = ""
    reconstructs: bool = False
    recipes: tuple[str, ...] = ()
    default_rank: int = 0


@dataclass(frozen=True)
class Threshold:
    """A threshold that knows where it came from; `mask = score >= value`.

    `rule` says how it was found ("given", "quantile 0.98 of the brain", "oracle" ...), `chosen_on` on what
    ("user", "this scan", "the labels of brats2015" ...). A threshold that was chosen on the labels that it is then
    judged by has the rule "oracle".
    """

    value: float
    rule: str
    chosen_on: str

    ORACLE: ClassVar[str] = "oracle"


@dataclass(frozen=True)
class Lesion:
    """One 26-connected component of a mask: a row, the same in summary.json, on the page and in tables.

    Attributes
    ----------
    volume_ml, voxels
        How large it is.
    centre_mm
        Its centroid in native millimetres (right, anterior, superior positive).
    side
        "left" or "right" of the brain's centroid.
    probability
        How often a component of such scores and such a volume is a lesion; None where the model says nothing.
    centre_atlas_mm, tissue, lobe
        Its centroid in the atlas and what lies there; None where the scan was not placed there, or its sides are not
        known.
    region
        Where in the brain it lies, one of `imaging.regions.REGIONS`; None where the scan was not placed in the atlas.
    further
        What another version wrote of it.
    """

    volume_ml: float
    voxels: int | None = None
    centre_mm: tuple[float, float, float] | None = None
    side: str | None = None
    probability: float | None = None
    centre_atlas_mm: tuple[float, float, float] | None = None
    tissue: str | None = None
    lobe: str | None = None
    region: str | None = None
    further: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One row of a table of cases: file paths, None where there is none.

    `extra` are the table's further columns; `notes` say, in words, what was decided before the files were read.
    """

    dataset: str
    subject: str
    flair: Path | None = None
    t1: Path | None = None
    t2: Path | None = None
    brain: Path | None = None
    truth: Path | None = None
    score: Path | None = None
    mask: Path | None = None
    session: str = ""
    site: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name within its data set: "subject", or "subject_session"."""
        return "_".join(part for part in (self.subject, self.session) if part)

    @property
    def key(self) -> str:
        """Its name among all data sets: "dataset/subject" or "dataset/subject_session"."""
        return f"{self.dataset}/{self.label}"

    @property
    def patient(self) -> str:
        """Whose scan it is, with all sessions: "dataset/subject"."""
        return f"{self.dataset}/{self.subject}"


def _check_shape(array: NDArray, space: Space) -> None:
    if array.shape != space.shape:
        msg = f"array of shape {array.shape} on a grid of shape {space.shape}"
        raise ValueError(msg)
