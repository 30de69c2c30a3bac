"""The structured report, opened again by highdicom and pydicom: volume, side, region and segment of every lesion."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.exports.structured_report import MASK, PLACES, REPORT, write_dicom
from flairline.imaging.regions import REGIONS
from flairline.io.dicom import choose_study, convert_study
from flairline.io.nifti import read_volume
from flairline.types import Mask, Scan

from .conftest import found_in

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
pytest.importorskip("dcm2niix")

from dicom_writer import FLAIR, SECRETS, image, write_enhanced, write_series
from pydicom.sr.codedict import codes

SIDES = {"left": codes.SCT.Left, "right": codes.SCT.Right}


@pytest.fixture(params=["slices", "multiframe", "turned"])
def series(request, tmp_path):
    """A FLAIR from the scanner, and its grid."""
    write = write_enhanced if request.param == "multiframe" else write_series
    write(tmp_path / "study", image(15.0 if request.param == "turned" else 0.0), 4, FLAIR)
    study = choose_study(tmp_path / "study")
    return study.flair, read_volume(convert_study(study, tmp_path / "work").flair)


def written(series, folder, regions):
    """The result and both files, as pydicom reads them."""
    source, flair = series
    array = np.zeros(flair.space.shape, bool)
    array[17:20, 19:23, 9:11] = True  # on the right
    array[4:6, 8:10, 3:5] = True
    brain = Mask(np.ones(flair.space.shape, bool), flair.space)
    found = found_in(Scan.of("sub-1", flair, brain), array, regions)
    assert write_dicom(found, folder, source) == [folder / MASK, folder / REPORT]
    return found, pydicom.dcmread(folder / MASK), highdicom.sr.srread(folder / REPORT)


def groups(report):
    """The groups of the lesions, by highdicom's reader of TID 1500."""
    return report.content.get_volumetric_roi_measurement_groups(
        graphic_type=None, reference_type=codes.DCM.ReferencedSegment
    )


def places_of(segmentation, number):
    """Centre (RAS mm) of a segment, by highdicom's reader."""
    seg = highdicom.seg.Segmentation.from_dataset(segmentation)
    volume = seg.get_volume(segment_numbers=[number])
    inside = np.argwhere(np.asarray(volume.array)[..., 0] > 0)
    return len(inside), volume.map_indices_to_reference(inside).mean(axis=0) * [-1, -1, 1]


def test_every_lesion_is_a_group_with_volume_place_and_segment(series, tmp_path):
    found, segmentation, report = written(series, tmp_path / "out", ("periventricular", "infratentorial"))
    assert len(groups(report)) == len(segmentation.SegmentSequence) == found.summary.n_lesions == 2
    for number, (lesion, group) in enumerate(zip(found.summary.lesions, groups(report), strict=True), start=1):
        (volume,) = group.get_measurements(name=codes.SCT.Volume)
        assert volume.value == pytest.approx(lesion.volume_ml) and volume.unit.value == "ml"
        (site,) = group.finding_sites
        assert site.laterality == SIDES[lesion.side]
        assert site.value == getattr(codes.SCT, PLACES[lesion.region].site)
        (region,) = group.get_qualitative_evaluations()
        assert region.value.meaning == lesion.region
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert segment.referenced_segment_numbers == [number]
        assert group.tracking_uid == segmentation.SegmentSequence[number - 1].TrackingUID
        voxels, centre_mm = places_of(segmentation, number)
        assert voxels == lesion.voxels
        np.testing.assert_allclose(centre_mm, lesion.centre_mm, atol=2e-2)
    assert {lesion.side for lesion in found.summary.lesions} == {"left", "right"}


def test_the_report_is_of_the_same_patient_and_study_and_lists_its_evidence(series, tmp_path):
    _, segmentation, report = written(series, tmp_path / "out", ())
    assert report.PatientID == SECRETS["PatientID"] and report.StudyInstanceUID == segmentation.StudyInstanceUID
    assert report.Modality == "SR" and report.SeriesInstanceUID != segmentation.SeriesInstanceUID
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for each in study.ReferencedSeriesSequence
        for item in each.ReferencedSOPSequence
    }
    assert segmentation.SOPInstanceUID in evidence
    assert {frame.header.uid for frame in series[0].frames} <= evidence
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_without_a_region_there_is_a_side_and_without_sides_neither(series, tmp_path):
    source, flair = series
    _, _, report = written(series, tmp_path / "out", ())
    assert [group.finding_sites[0].laterality for group in groups(report)] == [codes.SCT.Right, codes.SCT.Left]
    assert not any(group.get_qualitative_evaluations() for group in groups(report))
    nowhere = flair.space.without_sides()
    array = np.zeros(nowhere.shape, bool)
    array[3:5, 3:5, 3:5] = True
    scan = Scan.of("sub-1", type(flair)(flair.array, nowhere), Mask(np.ones(nowhere.shape, bool), nowhere))
    write_dicom(found_in(scan, array), tmp_path / "sideless", source)
    (group,) = groups(highdicom.sr.srread(tmp_path / "sideless" / REPORT))
    assert group.finding_sites[0].laterality is None


def test_a_mask_without_lesions_has_a_report_that_says_none(series, tmp_path):
    source, flair = series
    scan = Scan.of("sub-1", flair, Mask(np.ones(flair.space.shape, bool), flair.space))
    write_dicom(found_in(scan, np.zeros(flair.space.shape, bool)), tmp_path, source)
    report = highdicom.sr.srread(tmp_path / REPORT)
    (group,) = report.content.get_image_measurement_groups()
    assert [measured.value for measured in group.get_measurements()] == [0, 0]
    assert groups(report) == []


def test_the_same_mask_gives_the_same_names(series, tmp_path):
    _, _, report = written(series, tmp_path / "one", ())
    _, _, again = written(series, tmp_path / "two", ())
    assert report.SOPInstanceUID == again.SOPInstanceUID


def test_every_region_has_a_code_of_its_own_that_fits_into_its_field():
    assert set(PLACES) == set(REGIONS)
    found = [place.code for place in PLACES.values()]
    assert len(set(found)) == len(found) and all(len(code) <= 16 for code in found)
    assert all(place.site in dir(codes.SCT) for place in PLACES.values())


def test_the_series_of_a_clinic_gets_a_report(real_data, tmp_path):
    """Its sex is "0000", which the standard does not have."""
    study = choose_study(real_data / "dicom" / "philips_flair")
    flair = read_volume(convert_study(study, tmp_path).flair)
    found, segmentation, report = written((study.flair, flair), tmp_path / "out", ("juxtacortical", "grey matter"))
    assert report.PatientSex == "" and report.PatientID == segmentation.PatientID
    for number, (lesion, group) in enumerate(zip(found.summary.lesions, groups(report), strict=True), start=1):
        assert group.referenced_segment.referenced_segment_numbers == [number]
        assert group.get_measurements(name=codes.SCT.Volume)[0].value == pytest.approx(lesion.volume_ml)
        voxels, centre_mm = places_of(segmentation, number)
        assert voxels == lesion.voxels
        np.testing.assert_allclose(centre_mm, lesion.centre_mm, atol=2e-2)
