"""Recipes, methods and protocols by name."""

import pytest

import flairline as fl
from flairline.errors import UnknownNameError


def test_unknown_names_are_refused_with_the_closest(demo):
    for call in (fl.recipe, fl.method, fl.protocol, lambda name: fl.segment(demo[0], method=name)):
        with pytest.raises(UnknownNameError):
            call("nonesuch")
