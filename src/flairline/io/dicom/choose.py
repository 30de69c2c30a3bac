"""Which series of a DICOM folder is the FLAIR and which the T1, and why."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flairline.errors import InputError
from flairline.io.dicom.headers import FileHeader, Frame, Headers, read_headers
from flairline.io.dicom.series import MIN_SLICES, Series, checked, grouped, same_image

MOST_LISTED = 12
"""A study may have many series; a line names so many."""
FLAIR_INVERSION_MS = (1500.0, 3200.0)
FLAIR_MIN_ECHO_MS = 60.0
T1_MAX_ECHO_MS = 30.0
T1_MAX_REPETITION_MS = 1000.0
T1_INVERSION_MS = (400.0, 1400.0)
FLAIR_WORDS = re.compile(r"flair|dark.?fluid|tirm", re.IGNORECASE)
T1_WORDS = re.compile(r"t1|mp.?rage|spgr|bravo|tfl", re.IGNORECASE)
FLAIR_KIND, T1_KIND = "FLUID_ATTENUATED", "T1"
"""What multi-frame images say of their contrast."""
MADE_WORDS = re.compile(
    r"(?<![a-z])(e?adc|dwi|dti|tracew?|trace|perf\w*|subtr\w*|m[ai]p|mip|fused)(?![a-z])", re.IGNORECASE
)
"""Words of images that are computed, from a diffusion scan for example, and may bear a FLAIR's name beside."""
MADE_KINDS = frozenset(
    {"ADC", "EADC", "DIFFUSION", "DIFFUSION_ANISO", "TRACEW", "TRACE", "FA", "PERFUSION", "SUBTRACTION"}
    | {"PROJECTION", "PROJECTION IMAGE", "MIP", "MAX_IP", "MIN_IP"}
)


@dataclass(frozen=True)
class Study:
    """What was chosen from a folder. `name` is made from the study's UID: a folder may be called after the patient."""

    name: str
    flair: Series
    t1: Series | None
    reasons: tuple[str, ...]


def choose_study(folder: Path, flair_series: int | None = None, t1_series: int | None = None) -> Study:
    """Find the FLAIR and the T1 in a DICOM folder by their sequence parameters.

    Parameters
    ----------
    folder
        Searched through all its subfolders.
    flair_series, t1_series
        Series numbers that overrule the choice.

    Raises
    ------
    InputError
        No DICOM, several patients, no FLAIR, two FLAIRs, a slice missing, or slices that drift sideways.
    """
    headers = read_headers(folder)
    left_out = _left_out(headers)
    if not headers.frames:
        images = sorted(path.name for path in folder.rglob("*.nii*") if path.is_file())
        instead = (
            f"It has NIfTI files ({', '.join(images[:3])}{' ...' if images[3:] else ''}): name them." if images else ""
        )
        msg = " ".join(filter(None, [f"Wanted a folder of DICOM slices, but {folder} has none.", left_out, instead]))
        raise InputError(msg)
    patient_note = _check_one_patient(folder, headers.frames)
    series = grouped(headers.frames)
    flair, why_flair = _choose_flair(folder, series, flair_series, left_out)
    t1, why_t1 = _choose_t1(folder, [each for each in series if each is not flair], t1_series)
    flair = checked(flair)
    try:
        t1 = None if t1 is None else checked(t1)
    except InputError as error:
        if t1_series is not None:
            raise
        t1, why_t1 = None, f"T1: none; the FLAIR is prepared alone. {error}"
    notes = [
        f"{role}, series {each.number}: {note}."
        for role, each in (("FLAIR", flair), ("T1", t1))
        if each is not None
        for note in each.notes
    ]
    return Study(_study_name(flair), flair, t1, (why_flair, why_t1, *notes, *filter(None, [patient_note, left_out])))


def _study_name(flair: Series) -> str:
    studies = {frame.header.study_uid or flair.uid for frame in flair.frames}
    return "study-" + hashlib.sha256("".join(sorted(studies)).encode()).hexdigest()[:8]


def _left_out(headers: Headers) -> str:
    """What was found and cannot be used, in one line; empty if nothing was."""
    parts = []
    images = headers.placeless
    if images:
        listed = sorted({f"series {each.number} {each.description!r}" for each in images})
        parts.append(
            "Left out, because the place, size or spacing of their slices is not said:"
            f" {', '.join(listed)} ({len(images)} files)."
        )
    if headers.damaged:
        names = ", ".join(path.name for path in headers.damaged[:3]) + (" ..." if len(headers.damaged) > 3 else "")
        parts.append(f"Left out, because their headers are damaged: {len(headers.damaged)} files ({names}).")
    return " ".join(parts)


def _check_one_patient(folder: Path, frames: Sequence[Frame]) -> str:
    """Refuse several patients; a note where one is written in several ways."""
    ways: dict[tuple[str, str, str], FileHeader] = {}
    for frame in frames:
        ways.setdefault(frame.header.patient, frame.header)
    patients: list[list[FileHeader]] = []
    for header in ways.values():
        known = next((each for each in patients if any(_same_patient(header, other) for other in each)), None)
        if known is None:
            patients.append([header])
        else:
            known.append(header)
    if len(patients) > 1:
        files = " and ".join(str(each[0].file.relative_to(folder)) for each in patients[:2])
        msg = (
            f"Wanted one patient's DICOM, but {folder} holds {len(patients)} patients' (for example {files})."
            " Give each patient's folder by itself."
        )
        raise InputError(msg)
    if len(ways) == 1:
        return ""
    return f"The patient is written in {len(ways)} ways (number, name or birth date); they were taken for one."


def _same_patient(one: FileHeader, other: FileHeader) -> bool:
    """Whether two ways of writing a patient agree in all that both say: capitals, signs and leading zeros aside."""
    pairs = [(_bare(a), _bare(b)) for a, b in zip(one.patient, other.patient, strict=True) if _bare(a) and _bare(b)]
    if not pairs:  # an anonymiser has emptied the one; within one study there is one patient
        return bool(one.study_uid) and one.study_uid == other.study_uid
    return all(a == b for a, b in pairs)


def _bare(written: str) -> str:
    return re.sub(r"[\W_]", "", written).casefold().lstrip("0")


def _made_of(series: Series) -> bool:
    """Whether a series is computed from others, as an ADC map is."""
    return bool(MADE_WORDS.search(series.description.replace("_", " ")) or series.kinds & MADE_KINDS)


def _like_flair(series: Series) -> str:
    """Why a series would be a FLAIR if it had enough slices; empty if it is none."""
    if series.is_localizer or _made_of(series):
        return ""
    inverted = FLAIR_INVERSION_MS[0] <= series.inversion_time_ms <= FLAIR_INVERSION_MS[1]
    if inverted and series.echo_time_ms >= FLAIR_MIN_ECHO_MS:
        return "a long inversion time and a long echo time"
    if FLAIR_KIND in series.kinds and not series.echo_time_ms < FLAIR_MIN_ECHO_MS:
        return "the contrast that it says of itself"
    if FLAIR_WORDS.search(series.description) and not series.echo_time_ms < FLAIR_MIN_ECHO_MS:
        return "its description"  # what is called T1 FLAIR has a short echo time
    return ""


def _is_flair(series: Series) -> str:
    """Why a series is a FLAIR; empty if it is none."""
    return _like_flair(series) if len(series.frames) >= MIN_SLICES else ""


def _is_t1(series: Series) -> str:
    """Why a series is a T1; empty if it is none."""
    if series.is_localizer or len(series.frames) < MIN_SLICES or _is_flair(series) or _made_of(series):
        return ""
    inverted = T1_INVERSION_MS[0] <= series.inversion_time_ms <= T1_INVERSION_MS[1]
    if series.echo_time_ms <= T1_MAX_ECHO_MS and (inverted or series.repetition_time_ms <= T1_MAX_REPETITION_MS):
        return "a short echo time and a short repetition or inversion time"
    if T1_KIND in series.kinds and series.is_multiframe and not series.echo_time_ms > T1_MAX_ECHO_MS:
        return "the contrast that it says of itself"
    if T1_WORDS.search(series.description) and not series.echo_time_ms > T1_MAX_ECHO_MS:
        return "its description"
    return ""


def _choose_flair(folder: Path, series: list[Series], number: int | None, left_out: str = "") -> tuple[Series, str]:
    if number is not None:
        named = _by_number(folder, series, number)
        return named, f"FLAIR: {named.describe()}, as asked for."
    found = [(each, why) for each in series if (why := _is_flair(each))]
    if not found:
        raise InputError(_no_flair(folder, series, left_out))
    # A study exported twice under new names shows the same series twice.
    found = [
        pair for index, pair in enumerate(found) if not any(same_image(pair[0], before) for before, _ in found[:index])
    ]
    if len(found) > 1:
        both = _listed([each for each, _ in found])
        if len({_study_of(each) for each, _ in found}) == len(found):
            raise InputError(_several_studies(folder, [each for each, _ in found]))
        msg = f"Wanted one FLAIR series in {folder}, found {len(found)}: {both}. Name one with --flair-series NUMBER."
        raise InputError(msg)
    chosen, why = found[0]
    copies = sum(same_image(chosen, each) for each in series if each is not chosen and _is_flair(each))
    twice = f" The same images are there {copies + 1} times." if copies else ""
    return chosen, f"FLAIR: {chosen.describe()}, by {why}.{twice}"


def _no_flair(folder: Path, series: list[Series], left_out: str) -> str:
    listed = _listed(series)
    parts = [
        f"Wanted a FLAIR series in {folder}, found none among: {listed}. Name one with --flair-series NUMBER.",
        *(
            f"Series {each.number} is like a FLAIR by {why}, but has {len(each.frames)} slices; wanted at least"
            f" {MIN_SLICES}."
            for each in series
            if (why := _like_flair(each))
        ),
        left_out,
    ]
    return " ".join(filter(None, parts))


def _choose_t1(folder: Path, series: list[Series], number: int | None) -> tuple[Series | None, str]:
    if number is not None:
        named = _by_number(folder, series, number)
        return named, f"T1: {named.describe()}, as asked for."
    found = [(each, why) for each in series if (why := _is_t1(each))]
    if not found:
        return None, "T1: none found; the FLAIR is prepared alone."
    # Contrast agent lights up vessels and tumours; more slices are thinner ones.
    chosen, why = min(found, key=lambda pair: (pair[0].has_contrast, -len(pair[0].frames), pair[0].number))
    others = f" ({len(found) - 1} more: with contrast, or fewer slices)" if len(found) > 1 else ""
    return chosen, f"T1: {chosen.describe()}, by {why}{others}."


def _by_number(folder: Path, series: list[Series], number: int) -> Series:
    found = [each for each in series if each.number == number]
    if len(found) > 1 and all(same_image(found[0], each) for each in found[1:]):
        found = found[:1]
    if len(found) > 1 and len({_study_of(each) for each in found}) == len(found):
        raise InputError(_several_studies(folder, found))
    if len(found) != 1:
        msg = f"Wanted one series with the number {number}, found {len(found)}. There are: {_listed(series)}."
        raise InputError(msg)
    return found[0]


def _listed(series: Sequence[Series]) -> str:
    """Series in one line, no more than a reader can take in."""
    more = f"; and {len(series) - MOST_LISTED} more" if len(series) > MOST_LISTED else ""
    return "; ".join(each.describe() for each in series[:MOST_LISTED]) + more


def _study_of(series: Series) -> str:
    return series.frames[0].header.study_uid or series.uid


def _several_studies(folder: Path, series: Sequence[Series]) -> str:
    """Of several visits that lie in one folder no series' number names one."""
    where = ", ".join(str(each.files[0].relative_to(folder)) for each in series[:MOST_LISTED])
    return (
        f"Wanted one study, but {folder} holds {len(series)} with such a series each, one of each visit (their first"
        f" files: {where}). Give each study's folder by itself."
    )
