"""What was found in a scan as BIDS derivatives, and what a whole folder of derivatives says of itself.

What BIDS has no name for (scores, tables of lesions, pages, this program's own states) bears names of its own, which
.bidsignore tells the validator.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flairline.cohort.layout import Visit
from flairline.drawing.mosaic import thumbnail
from flairline.errors import OutputError
from flairline.imaging.points import PointMap
from flairline.io.files import write_bytes, write_json, write_text
from flairline.io.nifti import write_mask, write_volume
from flairline.io.tables import tsv_text
from flairline.io.versions import version_of
from flairline.preprocess.prepared import Prepared
from flairline.preprocess.register import read_itk, write_itk
from flairline.report import build
from flairline.report.scan_page import page_of
from flairline.report.segmented import read_object
from flairline.segmentation import Found
from flairline.summary import Summary, plain
from flairline.types import Lesion

NAME = "flairline"
BIDS_VERSION = "1.10.0"
README = (
    "# flairline\n\nMasks of what is abnormal in each FLAIR, found without lesion labels, on the FLAIR's own grid,"
    " with volumes and one page a scan.\nResearch use only, not for diagnosis.\n"
)
RAW = "raw"
"""How the sources' data set is called in URIs: ``bids:raw:sub-01/anat/sub-01_FLAIR.nii.gz``."""
IGNORED = {
    "*.html": "pages, one a scan, and the cohort's",
    "lesions.json": "the dictionary of the tables of lesions",
    "group_*": "the group's tables",
    "verdicts.json": "verdicts saved from the cohort's page",
    "logs": "tracebacks",
    "state": "which scan is done; locks",
    "work": "preprocessing while it runs",
    "sub-*/**/*_lesions.tsv": "BIDS has no table of lesions",
    "sub-*/**/*_score.nii.gz": "BIDS has no suffix for a score that is no probability",
    "sub-*/**/*_score.json": "its sidecar",
    "sub-*/**/*_xfm.txt": "BIDS has no transforms yet (BEP014); named as fMRIPrep names them",
    "sub-*/**/*_summary.json": "all that is known of a scan's result",
    "sub-*/**/*_thumbnail.webp": "the picture that the cohort's page shows",
}
"""What the validator does not know, and what it is. It wants the bare name of a folder that it is to leave alone."""
LESION_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "id": {"Description": "Number of the lesion in its scan; 1 is the largest"},
    "volume_ml": {"Description": "Volume", "Units": "mL"},
    "voxels": {"Description": "Voxels of the FLAIR's grid"},
    "side": {"Description": "left or right of the brain's centroid; n/a where the file says no orientation"},
    "region": {"Description": "What lies at its centroid in the atlas; n/a where the scan was not registered"},
    "centre_r_mm": {"Description": "Centroid, to the right, in the scanner's coordinates", "Units": "mm"},
    "centre_a_mm": {"Description": "Centroid, to the front, in the scanner's coordinates", "Units": "mm"},
    "centre_s_mm": {"Description": "Centroid, to the top, in the scanner's coordinates", "Units": "mm"},
    "probability": {"Description": "How often such a component is a lesion; n/a where the method does not say"},
}


def prefix_of(visit: Visit) -> str:
    """How the paths of a visit's derivatives begin, below OUT."""
    return f"{visit.folder}/anat/{visit.name}"


def summary_path(visit: Visit) -> str:
    """Where the summary of a visit lies, below OUT."""
    return f"{prefix_of(visit)}_summary.json"


def lesions_path(visit: Visit) -> str:
    """Where the table of a visit's lesions lies, below OUT."""
    return f"{prefix_of(visit)}_lesions.tsv"


def page_path(visit: Visit) -> str:
    """Where the page of a visit lies, below OUT."""
    return f"{visit.name}.html"


def thumbnail_path(visit: Visit) -> str:
    """Where the picture for the cohort's page lies, below OUT."""
    return f"{prefix_of(visit)}_thumbnail.webp"


def score_path(visit: Visit, calibrated: bool) -> str:
    """Where the score lies, below OUT: a probability map where it is calibrated."""
    kind = "label-lesion_probseg" if calibrated else "desc-anomaly_score"
    return f"{prefix_of(visit)}_space-orig_{kind}.nii.gz"


def mask_path(visit: Visit, what: str = "label-lesion") -> str:
    """Where the mask of the lesions (or, ``desc-brain``, of the brain) lies, below OUT."""
    return f"{prefix_of(visit)}_space-orig_{what}_mask.nii.gz"


def paths_of(out: Path, visit: Visit) -> list[str]:
    """Whatever `write_found` may write of a visit, with any parameters: paths below OUT, there or not."""
    images = [mask_path(visit), mask_path(visit, "desc-brain"), score_path(visit, True), score_path(visit, False)]
    sidecars = [path.removesuffix(".nii.gz") + ".json" for path in images]
    ways = (out / visit.folder / "anat").glob(f"{visit.name}_from-*_to-*_mode-image_xfm.txt")
    transforms = [path.relative_to(out).as_posix() for path in ways]
    others = [lesions_path(visit), summary_path(visit), thumbnail_path(visit), page_path(visit)]
    return [*images, *sidecars, *transforms, *others]


def write_found(out: Path, visit: Visit, found: Found, *, calibrated: bool) -> list[str]:
    """Write the derivatives of one scan, each whole or not at all; their paths below OUT.

    The page and every image are the same bytes whenever the same scan is made with the same parameters; what differs
    from run to run (seconds) stands in the summary alone.

    Raises
    ------
    OutputError
        OUT cannot be written to.
    """
    paths = [*_write_images(out, visit, found, calibrated), *_write_transforms(out, visit, found.prepared)]
    table = lesions_path(visit)
    write_text(out / table, tsv_text(list(LESION_COLUMNS), lesion_lines(found.summary.lesions or ())))
    found.summary.write(out / summary_path(visit))
    return [*paths, table, summary_path(visit), *write_page(out, visit, found)]


def write_page(out: Path, visit: Visit, found: Found) -> list[str]:
    """Write a scan's page and the picture that the cohort's page shows; their paths below OUT. Raises `OutputError`."""
    page = page_of(replace(found, summary=without_seconds(found.summary)), index=build.COHORT_PAGE)
    picture = thumbnail(found.scan.flair, found.scan.brain, {"mask": found.mask.array})
    write_bytes(out / thumbnail_path(visit), picture)
    build.write_page(out / page_path(visit), page)
    return [thumbnail_path(visit), page_path(visit)]


def lesion_lines(lesions: Sequence[Lesion]) -> list[list[Any]]:
    """The lines of a table of lesions, by `LESION_COLUMNS`."""
    lines = []
    for number, lesion in enumerate(lesions, start=1):
        centre = lesion.centre_mm or (math.nan,) * 3
        place = [lesion.side or None, region_of(lesion) or None, *centre]
        lines.append([number, lesion.volume_ml, lesion.voxels, *place, lesion.probability])
    return lines


def region_of(lesion: Lesion) -> str:
    """What lies at a lesion's centroid, in one word; empty where nobody knows."""
    row = plain(lesion)
    return str(row.get("region") or " ".join(str(row[part]) for part in ("lobe", "tissue") if row.get(part)))


def without_seconds(summary: Summary) -> Summary:
    """The summary without what differs from one run to the next."""
    quality = None if summary.qc is None else replace(summary.qc, seconds=None, atlas=None)
    return replace(summary, seconds=None, qc=quality)


def check_folder(out: Path, root: Path) -> None:
    """Refuse an OUT that holds a data set of others, whose description and README would be written over.

    Raises
    ------
    OutputError
        It is the BIDS folder itself, or its dataset_description.json is not of this program.
    InputError
        Its dataset_description.json cannot be read.
    """
    description = out / "dataset_description.json"
    if out.resolve() == root.resolve():
        found = "the BIDS folder itself"
    elif description.exists() and NAME not in _makers(description):
        found = f"another data set, by {description}"
    else:
        return
    msg = f"Wanted a folder of its own for the derivatives, but {out} is {found}. Give {out}/derivatives/{NAME}."
    raise OutputError(msg)


def _makers(description: Path) -> list[str]:
    """The programs in GeneratedBy; none in a raw data set. Raises `InputError` where the file cannot be read."""
    made_by = read_object(description).get("GeneratedBy")
    entries = made_by if isinstance(made_by, list) else []
    return [str(entry.get("Name")) for entry in entries if isinstance(entry, dict)]


def write_description(out: Path, root: Path) -> None:
    """Write what is said of all derivatives: dataset_description.json, .bidsignore, the dictionary of the lesions.

    Raises
    ------
    OutputError
        OUT cannot be written to.
    """
    link = root.resolve().as_uri()
    generated: dict[str, Any] = {"Name": NAME, "Version": version_of("flairline")}
    if tag := os.environ.get("FLAIRLINE_CONTAINER"):  # the image says so of itself
        generated["Container"] = {"Type": "docker", "Tag": tag}
    write_json(
        out / "dataset_description.json",
        {
            "Name": "flairline: lesions found without labels",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [generated],
            "SourceDatasets": [{"URL": link}],
            "DatasetLinks": {RAW: link},
        },
    )
    write_text(out / ".bidsignore", "".join(f"# {why}\n{pattern}\n" for pattern, why in IGNORED.items()))
    if not (out / "README.md").exists():  # one may be the owner's
        write_text(out / "README.md", README)
    write_json(out / "lesions.json", LESION_COLUMNS)


def _write_images(out: Path, visit: Visit, found: Found, calibrated: bool) -> list[str]:
    """Mask, score and brain, each with its sidecar."""
    about = _about(visit)
    lesions, score, brain = mask_path(visit), score_path(visit, calibrated), mask_path(visit, "desc-brain")
    write_mask(out / lesions, found.mask)
    write_volume(out / score, found.score)
    write_mask(out / brain, found.scan.brain)
    parameters = found.summary.parameters
    components = {} if parameters is None else dict(parameters.components or {})
    sidecars = {
        lesions: {
            "Type": "Lesion",
            **about,
            "Description": "What is abnormal in the FLAIR: score >= threshold, in components of enough voxels",
            "Threshold": found.threshold.value,
            "ThresholdRule": found.threshold.rule,
            "ThresholdChosenOn": found.threshold.chosen_on,
            "Connectivity": components.get("connectivity"),
            "MinimumVoxels": components.get("min_voxels"),
            "MinimumVolumeMl": float(components.get("min_voxels") or 0) * found.mask.space.voxel_ml,
            "Recipe": found.summary.recipe,
            "Note": found.summary.note or "none",
        },
        score: {**about, "Description": _score_words(found, calibrated)},
        brain: {"Type": "Brain", **about, "Description": "Where the brain is: scores are zero outside it"},
    }
    written = []
    for path, sidecar in sidecars.items():
        name = path.removesuffix(".nii.gz") + ".json"
        write_json(out / name, sidecar)
        written += [path, name]
    return written


def _about(visit: Visit) -> dict[str, Any]:
    """What every image's sidecar says."""
    sources = [f"bids:{RAW}:{path}" for path in visit.files.values()]
    return {"Sources": sources, "SpatialReference": f"bids:{RAW}:{visit.files['flair']}"}


def _score_words(found: Found, calibrated: bool) -> str:
    if calibrated:
        return f"Probability to be abnormal, as the model of {found.summary.method} was calibrated to"
    return f"Score of {found.summary.method}: higher is more abnormal, zero outside the brain; no probability"


def read_transform(out: Path, visit: Visit) -> tuple[str, PointMap] | None:
    """The atlas that a scan was registered to, and the map of its points to the scan's; None where it was not.

    Raises
    ------
    InputError
        The transform cannot be read.
    """
    start = f"{prefix_of(visit).rpartition('/')[2]}_from-orig_to-"
    for path in sorted((out / visit.folder / "anat").glob(f"{start}*_mode-image_xfm.txt")):
        name = path.name.removeprefix(start).removesuffix("_mode-image_xfm.txt")
        return name, read_itk(path, "atlas", "native")
    return None


def _write_transforms(out: Path, visit: Visit, prepared: Prepared | None) -> list[str]:
    """Both directions where the scan was registered: from-A_to-B carries images of A onto B's grid."""
    if prepared is None or prepared.atlas is None or prepared.atlas_to_native is None:
        return []
    name, to_native = prepared.atlas.name, prepared.atlas_to_native
    ways = {f"from-orig_to-{name}": to_native, f"from-{name}_to-orig": to_native.inverse()}
    paths = []
    for way, points in ways.items():
        paths.append(f"{prefix_of(visit)}_{way}_mode-image_xfm.txt")
        write_itk(out / paths[-1], points)
    return paths
