import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from flairline import recipes, registry
from flairline.errors import FlairlineError, MissingExtraError, MissingPackageError, UnknownNameError


class Entry:
    """As importlib.metadata gives it."""

    def __init__(self, name, value, package=None):
        self.name, self.value = name, value
        self.dist = None if package is None else SimpleNamespace(name=package)


THEIRS = """
from pathlib import Path
from flairline.postprocess.recipe import Recipe
from flairline.postprocess.threshold import GivenValue
from flairline.types import MethodInfo, Volume

class Method:
    info = MethodInfo("them", "none", "nothing", recipes=("theirs", "theirs-bright"), default_rank=0)

    def fit(self, healthy=()):
        return lambda scan: scan.flair

    def recipe(self, name, model=None):
        return Recipe(name, "theirs", threshold=GivenValue(7.0 if name == "theirs" else 9.0))
"""


@pytest.mark.parametrize("kind", registry.KINDS)
def test_names_are_sorted_and_no_shared_code_is_among_them(kind):
    names = registry.names(kind)
    assert names and names == sorted(set(names)) and not [name for name in names if name.startswith("_")]
    assert registry.CONTRACT not in names


def test_a_folder_of_methods_holds_methods_and_what_a_method_is():
    folder = Path(registry.__file__).parent / "methods"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {*registry.own_names("methods"), registry.CONTRACT}


def test_an_unknown_name_names_the_closest():
    with pytest.raises(UnknownNameError, match=r"No method is called 'histec'\. Did you mean 'histeq'"):
        registry.load("methods", "histec")
    with pytest.raises(UnknownNameError, match="Known: "):
        registry.load("metrics", "_counts")
    with pytest.raises(UnknownNameError):
        registry.names("animals")


def test_another_package_may_add_a_method(tmp_path, monkeypatch):
    (tmp_path / "their_module.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    entries = {"flairline.methods": [Entry("theirs", "their_module")]}
    monkeypatch.setattr(registry, "entry_points", lambda group: entries.get(group, []))
    assert "theirs" in registry.names("methods") and "theirs" in recipes.names()
    assert registry.load("methods", "theirs").info.paper == "them"
    assert "theirs-bright" in recipes.names() and "theirs" not in registry.own_names("methods")
    assert recipes.load("theirs").threshold.value == 7 and recipes.load("theirs-bright").threshold.value == 9
    (row,) = [row for row in recipes.listing() if row["name"] == "theirs-bright"]
    assert row["kind"] == "recipe of theirs"
    assert "theirs" not in registry.names("metrics")


def test_a_missing_dependency_is_named_and_so_is_who_wants_it(tmp_path, monkeypatch):
    """It is no extra of flairline's: `deep` would not bring it."""
    (tmp_path / "needs_more.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [Entry("more", "needs_more", "their-package")] if group == "flairline.methods" else [],
    )
    with pytest.raises(MissingPackageError) as error:
        registry.load("methods", "more")
    for named in ("more", "their-package", "'a_package_that_nobody_has'", "pip install"):
        assert named in str(error.value)
    assert "deep" not in str(error.value) and "\n" not in str(error.value)
    (row,) = [row for row in recipes.listing() if row["name"] == "more"]
    assert row["needs"] == "package a_package_that_nobody_has, not installed"


def test_a_broken_plug_in_is_a_bug_and_not_a_missing_extra(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import flairline.no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry("broken", "broken")])
    with pytest.raises(ModuleNotFoundError):
        registry.load("methods", "broken")
    sys.modules.pop("broken", None)


def test_every_error_is_one_line_of_one_tree():
    import flairline.errors as errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 9 and all(issubclass(kind, FlairlineError) for kind in kinds)
    assert str(UnknownNameError("method", "zzz", ["a"])) == "No method is called 'zzz'. Known: a."
    assert "pip install 'flairline[deep]'" in str(MissingExtraError("ae", "deep"))
