"""A phantom that the tests of the verbs share."""

from __future__ import annotations

import pytest

import flairline as fl


@pytest.fixture(scope="package")
def demo() -> tuple[fl.Scan, fl.Mask]:
    """A scan and its truth."""
    return fl.demo_scan()
