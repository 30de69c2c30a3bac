"""What tests of the benchmark share: small heads that are judged as the paper's data sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flairline.evaluation import protocols
from flairline.evaluation.protocols import Protocol
from flairline.types import Case


@pytest.fixture
def small() -> Protocol:
    """Experiment I on the heads' own grid."""
    return replace(protocols.load("experiment-1"), in_plane=None, slices=(3, 17), needs_sri24=False)


@pytest.fixture
def cases(tmp_path, save, make_head) -> list[Case]:
    made = []
    names = [("mslub", "patient01", ""), ("mslub", "patient02", ""), ("msseg2015", "training01", "01")]
    for number, (dataset, subject, session) in enumerate(names):
        head = make_head(number)
        paths = {
            name: save(tmp_path / "in" / dataset / subject / f"{name}.nii.gz", array.astype(np.int16))
            for name, array in (("flair", head.flair), ("brain", head.brain), ("truth", head.truth))
        }
        made.append(Case(dataset, subject, **paths, session=session))
    return made


@pytest.fixture
def patients(cases) -> list[Case]:
    """Two patients of one data set."""
    return cases[:2]
