"""Versions of what numbers depend on."""

from __future__ import annotations

import platform

import numpy as np

from flairline.io import versions


def test_python_and_every_library_is_named_with_its_version():
    found = versions.versions()
    assert list(found) == [*versions.LIBRARIES, "python"]
    assert found["numpy"] == np.__version__ and found["python"] == platform.python_version()
    assert all(found.values())


def test_what_is_not_installed_as_a_package_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(versions, "LIBRARIES", ("no-such-package-at-all",))
    assert versions.versions()["no-such-package-at-all"] == "not installed as a package"
