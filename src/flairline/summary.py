"""What was found in one scan, as `summary.json` says it: the schema of that file, and what pages are drawn from.

A field that is None is not known and not in the file. What another version wrote beyond these fields is kept under
`further` when a file is read, and written back. Volumes are in ml, lengths and places in mm, times in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from flairline.errors import InputError
from flairline.io.files import write_json
from flairline.types import Lesion, Mask, Threshold

SUMMARY = "summary.json"
INTENDED_USE = "research use only, not for diagnosis"

Json = Mapping[str, Any]
"""An object of a JSON file."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class InputFile:
    """A file that a scan was read from: its name without folders, and its sha256."""

    file: str | None = None
    sha256: str | None = None
    further: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Parameters:
    """What a result was made with: fields of the method, of the protocol that judged it, of the component rule."""

    method: Json | None = None
    protocol: Json | None = None
    components: Json | None = None
    further: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Preprocessing:
    """The steps that a scan went through before it was scored; None for one that did not run.

    Attributes
    ----------
    converter
        What made NIfTI of DICOM files.
    brain, brain_of
        Where the brain came from ("given", "background", or the tool that extracted it), and of which image it is.
    flair_to_t1, to_atlas
        The registration's engine.
    bias
        What corrected the bias field.
    atlas
        Which atlas the scan was brought to.
    placed_on
        The atlas that the lesions' regions come from, where the scan was laid onto it roughly, for them alone.
    versions
        Of the tools that ran.
    """

    converter: str | None = None
    brain: str | None = None
    brain_of: str | None = None
    flair_to_t1: str | None = None
    bias: str | None = None
    atlas: str | None = None
    to_atlas: str | None = None
    placed_on: str | None = None
    versions: Mapping[str, str] | None = None
    further: Json = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Json) -> Preprocessing:
        """As `Summary.from_json`."""
        return _read(cls, content, _PREPROCESSING)


@dataclass(frozen=True)
class Flag:
    """A quality figure outside its limits, and what that may mean. `figure` is None where words are all there is."""

    figure: str | None = None
    value: float | None = None
    reason: str | None = None
    further: Json = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The flag for people."""
        reason = str(self.reason or self.further.get("text") or "")
        return ": ".join(filter(None, ((self.figure or "").replace("_", " "), reason)))


@dataclass(frozen=True)
class Quality:
    """Quality figures by name, the flags that they raised, and what preprocessing found and took.

    `seconds` are those of the steps of preprocessing; None for a scan that was taken as it is. `atlas` is the name of
    the atlas that it was brought to.
    """

    figures: Mapping[str, float] | None = None
    flags: tuple[Flag, ...] | None = None
    notes: tuple[str, ...] | None = None
    atlas: str | None = field(default=None, metadata={"null_beside": "seconds"})
    seconds: Mapping[str, float] | None = None
    further: Json = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Json) -> Quality:
        """As `Summary.from_json`."""
        return _read(cls, content, _QUALITY)

    @property
    def words(self) -> list[str]:
        """The flags for people; empty where none was raised."""
        return [text for flag in self.flags or () if (text := flag.words)]

    @property
    def numbers(self) -> dict[str, float]:
        """Every figure that is a number; older files have them beside `flags`."""
        known = {**self.further, **(self.figures or {})}
        return {name: float(value) for name, value in known.items() if _is_number(value)}


@dataclass(frozen=True)
class Corrected:
    """The mask that a person gave in place of what was segmented, and what was measured before."""

    file: str | None = None
    sha256: str | None = None
    volume_before_ml: float | None = None
    n_lesions_before: int | None = None
    further: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """Everything that is known of one result, in the order of the file.

    Attributes
    ----------
    recipe, method, why
        What ran, and why that recipe was chosen.
    threshold
        By which the mask was made of the score.
    note
        What a reader must know of the volumes; empty if nothing.
    lesion_volume_ml, n_lesions, lesions
        What was marked: its volume, and its 26-connected components, the largest first.
    region_ml
        Volume that was marked in each region of the brain; None where the scan was not placed in the atlas.
    brain_volume_ml, marked_share_of_brain
        The brain's volume, and the share of it that was marked.
    subject, session, site, dataset
        Whose scan it is.
    voxel_mm, space
        Voxel sides (x, y, z in RAS+), and the space of the results ("native").
    seconds
        How long it took.
    columns
        Further columns of the table of cases (age, sex, scanner).
    corrected
        Where a person corrected the mask: the volumes, lesions and regions above are that mask's.
    truth_ml, metrics
        Volume of the truth and figures against it by metric name, where a benchmark judged the scan.

    Examples
    --------
    >>> summary = Summary.from_json({"subject": "sub-1", "lesion_volume_ml": 2.5, "of_a_newer_version": 1})
    >>> summary.lesion_volume_ml
    2.5
    >>> summary.to_json()
    {'lesion_volume_ml': 2.5, 'subject': 'sub-1', 'of_a_newer_version': 1}
    """

    recipe: str | None = None
    method: str | None = None
    why: str | None = None
    threshold: Threshold | None = None
    note: str | None = None
    parameters: Parameters | None = None
    lesion_volume_ml: float | None = None
    n_lesions: int | None = None
    lesions: tuple[Lesion, ...] | None = None
    region_ml: Mapping[str, float] | None = None
    brain_volume_ml: float | None = None
    marked_share_of_brain: float | None = None
    subject: str | None = None
    session: str | None = None
    site: str | None = None
    dataset: str | None = None
    voxel_mm: tuple[float, ...] | None = None
    space: str | None = None
    inputs: Mapping[str, InputFile] | None = None
    preprocessing: Preprocessing | None = None
    qc: Quality | None = None
    versions: Mapping[str, str] | None = None
    seconds: float | None = None
    intended_use: str | None = None
    columns: Mapping[str, str] | None = None
    corrected: Corrected | None = None
    truth_ml: float | None = None
    metrics: Mapping[str, float] | None = None
    further: Json = field(default_factory=dict)

    def measured(self, mask: Mask, brain: Mask, lesions: Sequence[Lesion]) -> Summary:
        """This summary with the volumes of a mask and a brain (x, y, z on one grid) and the lesions of the mask."""
        return replace(
            self,
            lesion_volume_ml=mask.volume_ml,
            n_lesions=len(lesions),
            lesions=tuple(lesions),
            brain_volume_ml=brain.volume_ml,
            marked_share_of_brain=mask.volume_ml / brain.volume_ml,
        )

    @classmethod
    def from_json(cls, content: Json) -> Summary:
        """What a file says. Raises `ValueError`, which names the key, where it says something else than wanted."""
        summary = _read(cls, content, _SUMMARY)
        # A threshold is a noun of its own and keeps nothing further.
        beyond = {name: value for name, value in (content.get("threshold") or {}).items() if name not in _THRESHOLD}
        return replace(summary, further={**summary.further, "threshold": beyond}) if beyond else summary

    def to_json(self) -> dict[str, Any]:
        """What a file says, as dicts and lists, in the file's order."""
        return plain(self)

    @classmethod
    def read(cls, path: Path) -> Summary:
        """The summary in a file. Raises `InputError` if it cannot be read."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            msg = f"Cannot read {path}: {error}. Run again with --overwrite."
            raise InputError(msg) from error

    def write(self, path: Path) -> None:
        """Write the file whole or not at all; NaN becomes null. Raises `OutputError`."""
        write_json(path, self.to_json())


def plain(content: Any) -> Any:
    """A record of this module, a lesion or a threshold as dicts and lists, without what is not known."""
    if is_dataclass(content):
        known = vars(content)
        kept = {name: value for name, value in known.items() if value is not None}
        beside = {part.name: part.metadata.get("null_beside") for part in fields(content)}
        shown = {name: plain(known[name]) for name in known if name in kept or beside[name] in kept}
        further = shown.pop("further", {})
        within = {name: {**shown[name], **further[name]} for name in shown.keys() & further.keys() if shown[name]}
        return {**shown, **further, **within}
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    return content


Reader = Callable[[Any], Any]
"""From a value of a JSON file to that of a field. Raises `ValueError`."""


def _read(record: Callable[..., Record], content: Any, readers: Mapping[str, Reader]) -> Record:
    """A record of what a JSON object says; null is as good as nothing, and both stay under `further`."""
    known: dict[str, Any] = {}
    entries = _object(content)
    for name, reader in readers.items():
        if entries.get(name) is not None:
            try:
                known[name] = reader(entries[name])
            except ValueError as error:
                msg = f"{name}: {error}"
                raise ValueError(msg) from error
    further = {name: value for name, value in entries.items() if name not in known}
    try:
        return record(**known, further=further)
    except TypeError as error:  # it names what is missing
        raise ValueError(str(error)) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    if not _is_number(value):
        msg = f"wanted a number, found {value!r}"
        raise ValueError(msg)
    return value


def _number_or_nan(value: Any) -> Any:
    """A number; null, which is how NaN is written, is NaN again."""
    return float("nan") if value is None else _number(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"wanted a text, found {value!r}"
        raise ValueError(msg)
    return value


def _object(value: Any) -> Json:
    if not isinstance(value, Mapping):
        msg = f"wanted an object, found {value!r}"
        raise ValueError(msg)
    return value


def _list_of(reader: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            msg = f"wanted a list, found {value!r}"
            raise ValueError(msg)
        return tuple(reader(entry) for entry in value)

    return read


def _object_of(reader: Reader) -> Reader:
    return lambda value: {str(name): reader(entry) for name, entry in _object(value).items()}


def _record_of(record: type[Any], readers: Mapping[str, Reader]) -> Reader:
    return lambda value: _read(record, value, readers)


def _threshold(value: Any) -> Threshold:
    entries = _object(value)
    number, rule, chosen_on = (entries.get(name) for name in _THRESHOLD)
    return Threshold(_number_or_nan(number), _text(rule or ""), _text(chosen_on or ""))


def _flag(value: Any) -> Flag:
    """A flag; a text is one, too."""
    return Flag(reason=value) if isinstance(value, str) else _read(Flag, value, _FLAG)


_THRESHOLD = ("value", "rule", "chosen_on")
_FLAG: Mapping[str, Reader] = {"figure": _text, "value": _number, "reason": _text}
_LESION: Mapping[str, Reader] = {
    "volume_ml": _number,
    "voxels": _number,
    "centre_mm": _list_of(_number_or_nan),
    "side": _text,
    "probability": _number,
    "centre_atlas_mm": _list_of(_number_or_nan),
    "tissue": _text,
    "lobe": _text,
    "region": _text,
}
_PREPROCESSING: Mapping[str, Reader] = {
    **dict.fromkeys(("converter", "brain", "brain_of", "flair_to_t1", "bias", "atlas", "to_atlas", "placed_on"), _text),
    "versions": _object,
}
_QUALITY: Mapping[str, Reader] = {
    "figures": _object,
    "flags": _list_of(_flag),
    "notes": _list_of(_text),
    "atlas": _text,
    "seconds": _object,
}
_CORRECTED: Mapping[str, Reader] = {
    **dict.fromkeys(("file", "sha256"), _text),
    **dict.fromkeys(("volume_before_ml", "n_lesions_before"), _number),
}
_SUMMARY: Mapping[str, Reader] = {
    **dict.fromkeys(
        ("recipe", "method", "why", "note", "subject", "session", "site", "dataset", "space", "intended_use"), _text
    ),
    **dict.fromkeys(("lesion_volume_ml", "brain_volume_ml", "marked_share_of_brain", "truth_ml"), _number),
    "threshold": _threshold,
    "parameters": _record_of(Parameters, dict.fromkeys(("method", "protocol", "components"), _object)),
    "n_lesions": _number,
    "region_ml": _object_of(_number),
    "lesions": _list_of(_record_of(Lesion, _LESION)),
    "voxel_mm": _list_of(_number_or_nan),
    "inputs": _object_of(_record_of(InputFile, {"file": _text, "sha256": _text})),
    "preprocessing": _record_of(Preprocessing, _PREPROCESSING),
    "qc": _record_of(Quality, _QUALITY),
    "versions": _object,
    "seconds": _number,
    "columns": _object_of(_text),
    "corrected": _record_of(Corrected, _CORRECTED),
    "metrics": _object,
}
