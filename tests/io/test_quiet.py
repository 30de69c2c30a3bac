"""What libraries print of odd files does not reach the terminal."""

from __future__ import annotations

import logging
import struct
import subprocess
import sys
import warnings

import nibabel as nib
import numpy as np
import pytest

from flairline.io.quiet import quiet


def test_loggers_below_a_name_are_silent_meanwhile_and_come_back(caplog):
    log = logging.getLogger("some.library")
    with quiet("some"):
        log.error("unheard")
        warnings.warn("unheard", stacklevel=1)
    log.error("heard")
    assert [record.message for record in caplog.records] == ["heard"]


def test_a_level_comes_back_where_the_work_failed():
    log = logging.getLogger("some.other")
    log.setLevel(logging.INFO)
    with pytest.raises(ValueError, match="broken"), quiet("some.other"):
        raise ValueError("broken")
    assert log.level == logging.INFO


def with_odd_header(content: bytearray, what: str) -> None:
    """Puts into a header what nibabel or numpy speaks of by themselves."""
    if what == "code":
        struct.pack_into("<2h", content, 252, 9, 2)
    elif what == "type":
        struct.pack_into("<2h", content, 70, 1, 1)
    else:
        struct.pack_into("<4f", content, 280, *[np.nan] * 4)


@pytest.mark.parametrize(("what", "code"), [("code", 0), ("type", 1), ("sform", 0)])
def test_nothing_is_printed_of_an_odd_header(what, code, tmp_path):
    """In a process of its own: here pytest hears every logger, and Python's last resort says nothing."""
    image = nib.Nifti1Image(np.ones((5, 6, 7), np.float32), np.eye(4))
    image.set_qform(np.eye(4), 1)
    image.set_sform(np.eye(4), 1)
    content = bytearray(image.to_bytes())
    with_odd_header(content, what)
    (tmp_path / "a.nii").write_bytes(content)
    program = (
        "import sys\nfrom flairline.errors import ImageError\nfrom flairline.io.nifti import read_volume\n"
        "try: read_volume(sys.argv[1])\nexcept ImageError: sys.exit(1)"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.nii")], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", "")
