"""Whatever a header or a table says: a result that agrees with nibabel or ITK, or one line; never another exception."""

from __future__ import annotations

import random
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, io_orientation

from flairline.cases.table import CaseTable
from flairline.errors import FlairlineError
from flairline.io.masks import has_fractions
from flairline.io.nifti import read_mask, read_volume

SHAPE = (5, 6, 7)
ONE_LINE = 2000
"""No message is longer."""

fuzzed = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], derandomize=True
)


def is_one_line(error: FlairlineError) -> bool:
    text = str(error)
    return bool(text) and "\n" not in text and len(text) < ONE_LINE and "Traceback" not in text


def sound_nifti(kind: type = nib.Nifti1Image, dtype: str = "int16") -> bytes:
    angle = np.radians(10)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1.0, 1.5, 2.0])
    affine[:3, 3] = 30, -20, 10
    array = np.random.default_rng(0).integers(1, 100, SHAPE).astype(dtype)
    image = kind(array, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 2)
    image.header.set_xyzt_units("mm")
    return image.to_bytes()


BASES = {
    "NIfTI-1": sound_nifti(),
    "NIfTI-1 of floats": sound_nifti(dtype="float32"),
    "NIfTI-2": sound_nifti(nib.Nifti2Image),
}
FLOATS = [0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, float("nan"), float("inf"), -float("inf"), 352.0, 1000.0, 0.001]


@st.composite
def damaged_nifti(draw: st.DrawFn) -> bytes:
    """A file whose header has other bytes, other values in a field, another length."""
    name = draw(st.sampled_from(sorted(BASES)))
    content = bytearray(BASES[name])
    header = nib.Nifti2Header if name == "NIfTI-2" else nib.Nifti1Header
    fields = header.template_dtype.fields
    for field in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        dtype, at = fields[field][0], fields[field][1]
        base, size = dtype.base, dtype.itemsize
        if base.kind == "f":
            value = np.array(draw(st.sampled_from(FLOATS)) if draw(st.booleans()) else draw(st.floats(width=32)), base)
        elif base.kind in "iu":
            low, high = np.iinfo(base).min, np.iinfo(base).max
            value = np.array(draw(st.one_of(st.integers(max(low, -3), min(high, 9)), st.integers(low, high))), base)
        else:
            value = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), base)
        bytes_ = value.tobytes()
        index = draw(st.integers(0, max(size // len(bytes_) - 1, 0)))
        content[at + index * len(bytes_) : at + (index + 1) * len(bytes_)] = bytes_
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(0, 351))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 4)) == 0:
        content = content[: draw(st.integers(0, len(content)))]
    return bytes(content)


def agrees_with_nibabel(path: Path) -> bool:
    """Whether what was read is one of the two affines that nibabel reads, or its default, in one of NIfTI's units."""
    volume = read_volume(path)
    stored = volume.space.stored
    image = nib.load(path)
    header = image.header
    # Below zero is a handedness of -1 to the NIfTI library and to ITK; nibabel, as it loads, makes 1 of all but -1.
    raw = type(header)(path.read_bytes()[: header.sizeof_hdr], header.endianness, check=False)
    header["pixdim"][0] = -1 if raw["pixdim"][0] < 0 else 1
    affines = [header.get_base_affine()]
    affines += [header.get_sform()] if header["sform_code"] > 0 else []
    try:
        affines += [header.get_qform()] if header["qform_code"] > 0 else []
    except ValueError:
        return True  # a quaternion longer than nibabel allows; test_headers compares it with ITK
    scaled = [np.diag([unit, unit, unit, 1.0]) @ affine for affine in affines for unit in (1.0, 1000.0, 0.001)]
    place = any(np.allclose(affine, stored.vox_to_ras, rtol=1e-4, atol=1e-3, equal_nan=True) for affine in scaled)
    values = np.asarray(image.dataobj).reshape(stored.shape).astype(np.float32)
    turned = apply_orientation(values, io_orientation(stored.vox_to_ras))
    return place and np.array_equal(turned, volume.array, equal_nan=True)


@settings(fuzzed, max_examples=300)
@given(content=damaged_nifti())
@example(content=b"")
@example(content=b"\x1f\x8b")
@pytest.mark.filterwarnings("ignore")
def test_any_nifti_header_gives_nibabels_geometry_or_one_line(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed.nii"
    path.write_bytes(content)
    try:
        volume = read_volume(path)
    except FlairlineError as error:
        assert is_one_line(error)
        return
    assert np.isfinite(volume.space.vox_to_ras).all() and min(volume.space.spacing_mm) > 0
    try:
        nib.load(path)
    except Exception:  # what nibabel cannot open, flairline has mended; test_headers has these by name
        return
    if not 0 <= nib.load(path).dataobj.offset < 352:
        assert agrees_with_nibabel(path)


@settings(fuzzed, max_examples=100)
@given(content=damaged_nifti())
@pytest.mark.filterwarnings("ignore")
def test_any_nifti_is_a_mask_or_one_line(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed-mask.nii"
    path.write_bytes(content)
    try:
        mask = read_mask(path)
    except FlairlineError as error:
        assert is_one_line(error)
        return
    values = read_volume(path).array
    if not has_fractions(values):
        np.testing.assert_array_equal(mask.array, values > 0)


SNIPPETS = [
    "dataset",
    "SUBJECT",
    "flair",
    "Truth",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    '"',
    "a.nii",
    ".\\a.nii",
    "cohort",
    "\0",
    "é",
    "",
    " ",
]


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]))
    parts = draw(st.lists(st.one_of(st.sampled_from(SNIPPETS), st.text(max_size=8)), max_size=30))
    start = "dataset,subject,flair\n" if draw(st.booleans()) else ""
    content = (start + "".join(parts)).encode(encoding, "replace")
    return content + draw(st.binary(max_size=3))


@settings(fuzzed, max_examples=200)
@given(content=tables())
@example(content=b"dataset,subject,flair\nd,1,a.nii\n")
@example(content=b"dataset,subject,flair\nd,1,~x/a.nii\n")
@example(content=b"dataset,subject,flair\nd,1,\x00\n")
def test_any_table_gives_cases_or_one_line(content, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "tables"
    folder.mkdir(exist_ok=True)
    (folder / "a.nii").write_bytes(b"x")
    (folder / "cases.csv").write_bytes(content)
    try:
        cases = CaseTable(folder / "cases.csv").cases()
    except FlairlineError as error:
        assert is_one_line(error)
        return
    for case in cases:
        assert case.flair is not None and case.flair.exists()
        f"{case.dataset}{case.subject}".encode()  # can be written


KEYWORDS = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "EchoTime", "RepetitionTime",
    "InversionTime", "SeriesNumber", "SeriesDescription", "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID",
    "SOPClassUID", "Modality", "ImageType", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate",
    "StudyTime", "FrameOfReferenceUID", "SpecificCharacterSet", "ContrastBolusAgent", "SliceThickness",
    "NumberOfFrames", "AccessionNumber", "InstanceNumber",
]  # fmt: skip
VALUES = [
    b"", b"0 ", b"4A", b"9000,0", b"1\\2 ", b"nan ", b"1e999 ", b"\xff\xfe", b"ISO 2022 IR 87", b"0000", b"x" * 70,
    b"-1\\0\\0\\0\\1\\0",
]  # fmt: skip


@pytest.fixture(scope="module")
def sound_dicom(tmp_path_factory):
    """The slices of a FLAIR in memory, classic and multi-frame."""
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("dcm2niix")
    from dicom_writer import FLAIR, image, write_enhanced, write_series

    folder = tmp_path_factory.mktemp("sound")
    write_series(folder / "classic", image(), 4, FLAIR)
    write_enhanced(folder / "frames", image(), 4, FLAIR)
    return {
        name: [pydicom.dcmread(file) for file in sorted((folder / name).iterdir())] for name in ("classic", "frames")
    }


def change_dicom(images: list, changes: list, folder: Path) -> None:
    """Write the slices with bytes put into attributes, or attributes taken out."""
    import copy

    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for index, sound in enumerate(images):
        slice_ = copy.deepcopy(sound)
        for keyword, value, everywhere in changes:
            if not (everywhere or index == 3):
                continue
            tag = Tag(tag_for_keyword(keyword))
            if value is None:
                slice_._dict.pop(tag, None)
            else:
                slice_._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
        slice_.save_as(folder / f"{index:03d}.dcm")


@settings(fuzzed, max_examples=40)
@given(
    kind=st.sampled_from(["classic", "frames"]),
    changes=st.lists(
        st.tuples(
            st.sampled_from(KEYWORDS),
            st.one_of(st.none(), st.sampled_from(VALUES), st.binary(max_size=12)),
            st.booleans(),
        ),
        max_size=3,
    ),
    seed=st.integers(0, 2**16),
)
@pytest.mark.filterwarnings("ignore")
def test_any_dicom_header_gives_a_study_in_its_place_or_one_line(kind, changes, seed, sound_dicom, tmp_path_factory):
    """Each study that is chosen has its voxels where the header says; some are converted to see it."""
    from dicom_writer import image

    from flairline.io.dicom import check_segmentation, choose_study, convert_study

    base = tmp_path_factory.getbasetemp()
    try:
        change_dicom(sound_dicom[kind], changes, base / "fuzzed-dicom")
    except Exception:  # pydicom does not write it
        return
    try:
        study = choose_study(base / "fuzzed-dicom")
        check_segmentation(study.flair)
        if random.Random(seed).random() > 0.4:
            return
        found = read_volume(convert_study(study, base / f"work-{seed}-{len(changes)}").flair)
    except FlairlineError as error:
        assert is_one_line(error)
        return
    moved = {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"}
    if not moved & {keyword for keyword, _, _ in changes} and len(study.flair.frames) == image().array.shape[2]:
        np.testing.assert_array_equal(found.array, image().array)
        assert found.space.same_grid(image().space)
