"""Options that several commands share: each is called and explained once."""

from typing import get_args

import pytest
from typer.models import OptionInfo

from flairline.cli import options

SHARED = {
    name: next(part for part in get_args(alias) if isinstance(part, OptionInfo))
    for name, alias in vars(options).items()
    if name.endswith("Option")
}


def flags_of(name: str) -> list[str]:
    """Within `Annotated` the first flag takes the place of the default."""
    return [SHARED[name].default, *SHARED[name].param_decls]


@pytest.mark.parametrize("name", SHARED)
def test_an_option_has_a_long_flag_and_a_sentence(name):
    flag = next(flag for flag in flags_of(name) if flag.startswith("--"))
    assert flag == flag.lower() and "_" not in flag
    assert SHARED[name].help.endswith(".")


def test_no_two_options_share_a_flag():
    flags = [flag for name in SHARED for flag in flags_of(name)]
    assert len(flags) == len(set(flags)) >= 10
