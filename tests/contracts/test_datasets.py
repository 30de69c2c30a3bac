"""What every data set that is found must keep to, whoever wrote it."""

import inspect

import pytest

from flairline import registry
from flairline.errors import FlairlineError

DATASETS = registry.names("datasets")


@pytest.fixture(params=DATASETS)
def dataset(request):
    return registry.load("datasets", request.param)


def test_it_is_made_from_a_path_and_lists_cases(dataset):
    first, *others = inspect.signature(dataset).parameters.values()
    assert first.name == "path"
    assert all(parameter.default is not inspect.Parameter.empty for parameter in others)
    assert callable(dataset.cases) and dataset.cases.__doc__


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_place_without_data_is_refused_in_one_line_or_has_no_cases(dataset, tmp_path, kind):
    if dataset.made_on_the_spot:
        pytest.skip("it makes its scans on the spot")
    place = tmp_path / "place"
    if kind == "empty":
        place.mkdir()
    try:
        assert list(dataset(place).cases()) == []
    except FlairlineError as error:
        assert "\n" not in str(error) and str(place) in str(error)


def test_a_published_data_set_says_whose_it_is_and_how_to_get_it(dataset):
    if not hasattr(dataset, "title"):
        pytest.skip("it is the user's own")
    for fact in ("title", "licence", "how_to_get", "address", "citation", "layout"):
        assert getattr(dataset, fact), fact
    assert dataset.name == dataset.__module__.rsplit(".", 1)[1]
