"""Mask and lesions as DICOM: a Segmentation with a segment for each lesion, and a structured report on it.

The report follows template TID 1500 of DICOM PS3.16 ("Measurement Report"): one group for all lesions together, then
one for each, with its volume, its side and region, and the segment that it is. Regions are words of the consensus on
multiple sclerosis that SNOMED CT lacks; they stand in a private scheme beside the site's own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from flairline.errors import InputError, MissingExtraError
from flairline.imaging.measure import lesion_numbers
from flairline.io.dicom import Series, source_headers, write_segmentation
from flairline.io.files import write_bytes
from flairline.io.quiet import quiet
from flairline.segmentation import Found
from flairline.types import Lesion

MASK, REPORT = "mask.dcm", "report.dcm"
SCHEME = "99FLAIRLINE"
"""Where the codes of regions come from, which SNOMED CT lacks."""


@dataclass(frozen=True)
class Place:
    """How a region is said in DICOM: the site's name in pydicom's list of SNOMED CT, and its own code in `SCHEME`."""

    site: str
    code: str


PLACES = {
    "infratentorial": Place("Brain", "INFRATENTORIAL"),
    "grey matter": Place("GrayMatter", "GREY_MATTER"),
    "periventricular": Place("CerebralWhiteMatter", "PERIVENTRICULAR"),
    "juxtacortical": Place("CerebralWhiteMatter", "JUXTACORTICAL"),
    "deep white matter": Place("CerebralWhiteMatter", "DEEP_WHITE"),
}
"""Region -> its codes. A lesion without a region lies in the brain."""
SERIES_NUMBER = 2000
"""Added to the source's, as the Segmentation's 1000 is."""


def write_dicom(found: Found, folder: Path, source: Series) -> list[Path]:
    """Write mask.dcm and report.dcm of a scan that came from a DICOM series, and return both.

    Raises
    ------
    MissingExtraError
        highdicom is not installed.
    InputError
        The source lacks what DICOM refers to it by, or highdicom refuses its headers.
    OutputError
        The folder cannot be written to.
    """
    numbers = lesion_numbers(found.mask) if found.summary.lesions else None
    write_segmentation(folder / MASK, found.mask, source, found.summary.recipe or "", numbers)
    write_bytes(folder / REPORT, report_of(found, folder / MASK, source))
    return [folder / MASK, folder / REPORT]


def report_of(found: Found, segmentation_file: Path, source: Series) -> bytes:
    """The structured report on a Segmentation that `write_dicom` wrote, as the bytes of a file.

    Raises
    ------
    MissingExtraError
        highdicom is not installed.
    InputError
        As `write_dicom`.
    """
    try:
        import highdicom
        import pydicom
    except ModuleNotFoundError as error:
        what = "--dicom-seg"
        raise MissingExtraError(what, "dicom") from error
    try:
        with quiet("highdicom", "pydicom"):  # they warn of values outside the standard, which came from the source
            segmentation = pydicom.dcmread(segmentation_file)
            name = segmentation.SOPInstanceUID
            report = highdicom.sr.EnhancedSR(
                evidence=[segmentation, *source_headers(source)],
                content=_content(found, segmentation),
                series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=[name, "report's series"]),
                series_number=max(source.number, 0) + SERIES_NUMBER,
                sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=[name, "report"]),
                instance_number=1,
                manufacturer="flairline",
                is_complete=True,
                series_description="flairline, research use only",
            )
            buffer = BytesIO()
            report.save_as(buffer)
            return buffer.getvalue()
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # of headers outside the standard
        reason = " ".join(str(error).split())
        msg = f"A DICOM report on {source.describe()} cannot be written: {reason}. Run without --dicom-seg."
        raise InputError(msg) from error


def _content(found: Found, segmentation: Any) -> Any:
    """The tree of TID 1500."""
    from highdicom import sr
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=["flairline"]),
            name="flairline",
            model_name=found.summary.recipe or "flairline",
        ),
    )
    lesions = found.summary.lesions or ()
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.BrainMRI,
        imaging_measurements=[
            _together(found, segmentation),
            *(_alone(number, lesion, segmentation) for number, lesion in enumerate(lesions, start=1)),
        ],
        title=codes.DCM.ImagingMeasurementReport,
    )


def _together(found: Found, segmentation: Any) -> Any:
    """The group of all lesions: how many, and their volume."""
    from highdicom import sr
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    count = sr.CodedConcept("LESION_COUNT", SCHEME, "Number of lesions")
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=generate_uid(entropy_srcs=[segmentation.SOPInstanceUID, "all lesions"]), identifier="all lesions"
        ),
        finding_type=codes.SCT.Lesion,
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        measurements=[
            _volume(found.mask.volume_ml),
            sr.Measurement(count, len(found.summary.lesions or ()), codes.UCUM.NoUnits),
        ],
    )


def _alone(number: int, lesion: Lesion, segmentation: Any) -> Any:
    """The group of a lesion: the segment that it is, its volume, side and region."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    segment = segmentation.SegmentSequence[number - 1]
    sides = {"left": codes.SCT.Left, "right": codes.SCT.Right}
    name = lesion.region or ""
    place = PLACES.get(name)
    site = codes.SCT.Brain if place is None else getattr(codes.SCT, place.site)
    region = []
    if place is not None:
        asked = sr.CodedConcept("REGION", SCHEME, "Region of the brain")
        region.append(sr.QualitativeEvaluation(asked, sr.CodedConcept(place.code, SCHEME, name)))
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            number,
            source_series=sr.SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID),
        ),
        finding_type=codes.SCT.Lesion,
        finding_sites=[sr.FindingSite(site, sides.get(lesion.side or ""))],
        measurements=[_volume(lesion.volume_ml)],
        qualitative_evaluations=region,
    )


def _volume(volume_ml: float) -> Any:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    return sr.Measurement(codes.SCT.Volume, volume_ml, sr.CodedConcept("ml", "UCUM", "milliliter"))
