"""MSLUB: 30 patients with multiple sclerosis, University Medical Center Ljubljana, consensus of three raters.

Files are open_ms_data/cross_sectional/coregistered_resampled/patient01/{FLAIR,T1W,T2W,brainmask,consensus_gt}.nii.gz,
or, as the laboratory itself distributes them, patient01/patient01_FLAIR.nii.gz and so on. The same patients in MNI
space (cross_sectional/MNI) are read where they alone are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flairline.cases.fetch import RemoteFile
from flairline.cases.folder import FolderDataset, Foreign, Pattern
from flairline.errors import UnknownNameError

_SUBJECT = r"(?P<subject>patient\d{2})/(?:patient\d{2}_)?"
_MNI = r"(?P<subject>patient\d{2})/"
_END = r"\.nii(?:\.gz)?"
_BRAIN_MNI = rf"_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI{_END}"
_TRUTH_MNI = rf"_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI{_END}"
_RIGHT = "Give cross_sectional/coregistered_resampled."

_REPOSITORY = "https://raw.githubusercontent.com/muschellij2/open_ms_data/65704901f60650824565aa5a4818611aa89716f4"
_RESAMPLED = tuple(f"{name}.nii.gz" for name in ("FLAIR", "T1W", "T2W", "brainmask", "consensus_gt"))
_IN_MNI = (
    "FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
    "T1_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
    "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz",
)


@dataclass(frozen=True)
class Dataset(FolderDataset):
    """MSLUB. The label 1 is lesion."""

    name: ClassVar[str] = "mslub"
    title: ClassVar[str] = "MSLUB (cross-sectional)"
    published_as: ClassVar[str] = "MSLUB"
    licence: ClassVar[str] = "CC BY"
    how_to_get: ClassVar[str] = "flairline datasets fetch mslub"
    address: ClassVar[str] = "https://github.com/muschellij2/open_ms_data"
    citation: ClassVar[str] = "Lesjak et al., Neuroinformatics 16, 2018, doi:10.1007/s12021-017-9348-7"
    n_published: ClassVar[int] = 30
    subjects: ClassVar[tuple[str, ...]] = tuple(f"patient{number:02d}" for number in range(1, 31))
    layout: ClassVar[str] = "cross_sectional/coregistered_resampled/patient01/FLAIR.nii.gz"
    patterns: ClassVar[tuple[Pattern, ...]] = (
        Pattern("flair", f"{_SUBJECT}FLAIR{_END}", version=0),
        Pattern("t1", f"{_SUBJECT}T1W{_END}", version=0),
        Pattern("t2", f"{_SUBJECT}T2W{_END}", version=0),
        Pattern("brain", f"{_SUBJECT}brainmask{_END}", version=0),
        Pattern("truth", f"{_SUBJECT}consensus_gt{_END}", version=0),
        Pattern("flair", f"{_MNI}FLAIR{_BRAIN_MNI}", version=1),
        Pattern("t1", f"{_MNI}T1{_BRAIN_MNI}", version=1),
        Pattern("t2", f"{_MNI}T2{_BRAIN_MNI}", version=1),
        Pattern("truth", f"{_MNI}GOLD_STANDARD{_TRUTH_MNI}", version=1),
    )
    foreign: ClassVar[tuple[Foreign, ...]] = (
        Foreign(r"/longitudinal/", f"the longitudinal part, which has no lesion truth. {_RIGHT}"),
        Foreign(r"/raw/(?:patient\d{2}[/_])", f"the raw part, whose images do not share a grid. {_RIGHT}"),
        Foreign(r"/coregistered/patient\d{2}/", f"the part that is not resampled to the FLAIR. {_RIGHT}"),
    )

    parts: ClassVar[tuple[str, ...]] = ("coregistered_resampled", "MNI")
    """What `datasets fetch` can get; the first is what the benchmark wants."""

    @classmethod
    def remote_files(cls, part: str = "coregistered_resampled") -> list[RemoteFile]:
        """What `flairline datasets fetch mslub` gets, into DIR/cross_sectional/PART. Raises `UnknownNameError`."""
        if part not in cls.parts:
            raise UnknownNameError("part of mslub", part, cls.parts)
        known = _known_hashes()
        names = _RESAMPLED if part == "coregistered_resampled" else _IN_MNI
        paths = [f"cross_sectional/{part}/{patient}/{name}" for patient in cls.subjects for name in names]
        return [RemoteFile(path, f"{_REPOSITORY}/{path}", known.get(path)) for path in paths]


def _known_hashes() -> dict[str, str]:
    """sha256 of the files of which a copy was at hand; all others, the whole first part among them, are unverified."""
    lines = Path(__file__).with_name("mslub_sha256.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return dict(line.split("\t") for line in lines)
