import sys

import pytest

from flairline import recipes, registry
from flairline.errors import FlairlineError, MissingExtraError, UnknownNameError


class Entry:
    """As importlib.metadata gives it."""

    def __init__(self, name, value):
        self.name, self.value = name, value


@pytest.mark.parametrize("kind", registry.KINDS)
def test_names_are_sorted_and_no_shared_code_is_among_them(kind):
    names = registry.names(kind)
    assert names and names == sorted(set(names)) and not [name for name in names if name.startswith("_")]


def test_an_unknown_name_names_the_closest():
    with pytest.raises(UnknownNameError, match=r"No method is called 'histec'\. Did you mean 'histeq'"):
        registry.load("methods", "histec")
    with pytest.raises(UnknownNameError, match="Known: "):
        registry.load("metrics", "_counts")
    with pytest.raises(UnknownNameError):
        registry.names("animals")


def test_another_package_may_add_a_method(tmp_path, monkeypatch):
    (tmp_path / "their_module.py").write_text("class Method:\n    name = 'theirs'\n")
    monkeypatch.syspath_prepend(tmp_path)
    entries = {"flairline.methods": [Entry("theirs", "their_module")]}
    monkeypatch.setattr(registry, "entry_points", lambda group: entries.get(group, []))
    assert "theirs" in registry.names("methods") and "theirs" in recipes.names()
    assert registry.load("methods", "theirs").name == "theirs"
    assert "theirs" not in registry.names("metrics")


def test_a_missing_dependency_is_an_extra_that_is_named(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [Entry("more", "needs_more")] if group == "flairline.methods" else []
    )
    with pytest.raises(MissingExtraError, match=r"more .*a_package_that_nobody_has.* pip install"):
        registry.load("methods", "more")
    (row,) = [row for row in recipes.listing() if row["name"] == "more"]
    assert "not installed" in row["needs"]


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
