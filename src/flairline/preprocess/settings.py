"""How a scan is prepared, as data, and what a user may write for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from flairline.errors import UnknownNameError
from flairline.preprocess.brain import EXTRACTORS
from flairline.preprocess.register import ENGINES, Engine

BRAINS = ("auto", "none", *EXTRACTORS)

StripOn = Literal["t1", "flair"]
ResultSpace = Literal["native", "atlas", "both"]


@dataclass(frozen=True)
class PreprocessSettings:
    """How a scan is prepared.

    Attributes
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
    stripped
        What is done with a scan that is stripped and whose images lie on one grid. "auto" takes it as it lies where
        the settings above are the defaults, because nobody asked for more; "as_it_lies" always; "prepare" never.
    grid
        Whose grid a scan that is taken as it lies is on: the "flair"'s own, or the "truth"'s, onto which the FLAIR is
        resampled where the two differ. A prepared scan is always on the FLAIR's.
    """

    brain: str = "auto"
    strip_on: StripOn = "t1"
    registration: Engine = "greedy"
    atlas: str = "mni"
    bias: bool = False
    to_atlas: Literal["raw", "always", "never"] = "raw"
    stripped: Literal["auto", "as_it_lies", "prepare"] = "auto"
    grid: Literal["flair", "truth"] = "flair"

    @property
    def takes_stripped_as_it_lies(self) -> bool:
        """Whether a stripped scan on one grid needs nothing done to it."""
        asks_for_nothing = replace(self, grid="flair") == PreprocessSettings()
        return self.stripped == "as_it_lies" or (self.stripped == "auto" and asks_for_nothing)

    @property
    def brain_file(self) -> Path | None:
        """The file that `brain` names, None where it is a word."""
        return None if self.brain in BRAINS else Path(self.brain)

    def for_judging(self, atlas: str | None) -> PreprocessSettings:
        """The same for a scan with a truth: on the grid of `atlas` (a name or file), or where it and its truth lie."""
        if atlas is None:
            return replace(self, atlas="mni", to_atlas="never", stripped="as_it_lies", grid="truth")
        return replace(self, atlas=atlas, to_atlas="always", stripped="prepare")


def preprocess_settings(brain: str, strip_on: str, registration: str, atlas: str, bias: bool) -> PreprocessSettings:
    """Settings from what a user typed; a brain that is a file leaves `brain` at "auto".

    Raises
    ------
    UnknownNameError
        A word is not known.
    """
    if brain not in BRAINS and not Path(brain).exists():
        raise UnknownNameError("brain extraction or file", brain, BRAINS)
    if strip_on not in get_args(StripOn):
        raise UnknownNameError("image to strip on", strip_on, get_args(StripOn))
    if registration not in ENGINES:
        raise UnknownNameError("registration", registration, ENGINES)
    named = brain if brain in BRAINS else "auto"
    return PreprocessSettings(named, strip_on, registration, atlas, bias)  # type: ignore[arg-type]


def checked_space(space: str) -> ResultSpace:
    """`space` if it is known. Raises `UnknownNameError`."""
    if space not in get_args(ResultSpace):
        raise UnknownNameError("space", space, get_args(ResultSpace))
    return space  # type: ignore[return-value]
