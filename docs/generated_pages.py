"""Pages of the site that the program writes about itself: its commands, and its methods. A hook of mkdocs.

What is public and has no docstring ends the build, as a broken link does. The theme's search needs a worker, which a
browser refuses to a page opened from a folder; what stands in for it would come from another host and is packed along.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

import flairline
from flairline import recipes
from flairline.cli.main import app

sys.path.insert(0, str(Path(__file__).parents[1]))
from hatch_build import npm

SHIM, SHIM_VERSION = "iframe-worker", "1.0.4"  # MIT
ELSEWHERE = f"https://unpkg.com/{SHIM}/shim"
EMPTY_HEAD = re.compile(r"<th[^>]*></th>")
SHIM_PLACE = f"assets/javascripts/{SHIM}.js"


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take the search's stand-in from the site itself; name its dialog; a head of a column without words is none."""
    own = output.replace(ELSEWHERE, get_relative_url(SHIM_PLACE, page.url))
    return EMPTY_HEAD.sub("<td></td>", own.replace('role="dialog"', 'role="dialog" aria-label="Search"'))


def on_post_build(config: MkDocsConfig) -> None:
    """Fetch the stand-in from npm, and see that no page asks another host for anything.

    The page of what is not found goes: it finds its style at the top of a host alone, not in a folder.
    """
    (Path(config.site_dir) / "404.html").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        npm("pack", f"{SHIM}@{SHIM_VERSION}", cwd=Path(name))
        with tarfile.open(Path(name) / f"{SHIM}-{SHIM_VERSION}.tgz") as packed:
            script = packed.extractfile("package/shim/index.js")
            assert script is not None
            place = Path(config.site_dir) / SHIM_PLACE
            place.write_bytes(b"/* iframe-worker, Copyright Martin Donath, MIT */\n" + script.read())
    fetched = re.compile(r'(?:<script[^>]*src|<link[^>]*rel="stylesheet"[^>]*href)="(https?:[^"]*)"')
    for path in Path(config.site_dir).rglob("*.html"):
        for asked in fetched.findall(path.read_text(encoding="utf-8")):
            msg = f"Wanted a site that needs no network, but {path.name} asks for {asked}."
            raise PluginError(msg)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    missing = sorted(undocumented())
    if missing:
        msg = f"Wanted a docstring of every public name, found none of {', '.join(missing)}. Write one."
        raise PluginError(msg)
    for path, text in (
        ("reference/commands.md", commands()),
        ("reference/methods.md", methods()),
        ("reference/api.md", api()),
    ):
        files.append(File.generated(config, path, content=text))
    for path in sorted((Path(config.docs_dir) / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook(path)))
    return files


def notebook(path: Path) -> str:
    """A notebook as a page: its text, and its code as code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    parts = [source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in sources]
    return "\n\n".join([*parts, f"*The notebook: docs/notebooks/{path.name}.*\n"])


def undocumented() -> Iterator[str]:
    """Public names, and public methods of public classes, that say nothing of themselves."""
    for name in flairline.__all__:
        value = getattr(flairline, name)
        is_code = inspect.isfunction(value) or inspect.isclass(value)  # a type's alias and a module are neither
        if is_code and not inspect.getdoc(value):
            yield f"flairline.{name}"
        for member, function in inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else ():
            if not member.startswith("_") and not inspect.getdoc(function):
                yield f"flairline.{name}.{member}"


def commands() -> str:
    """Every command with its arguments and options, as the program knows them."""
    group = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "*For whoever writes a script. From the program itself: `flairline COMMAND --help` says the same.*",
        "",
        "Exit codes: 0 done; 1 some inputs failed and are named, the rest is done; 2 nothing could be done.",
    ]
    for name, command in _leaves("flairline", group):
        lines += ["", f"## {name}", "", _plain(command.help), ""]
        context = typer.Context(command)
        rows = [(option, _plain(getattr(option, "help", ""))) for option in command.get_params(context)]
        if rows:
            lines += ["| option | what | default |", "|---|---|---|"]
        for option, what in rows:
            names = ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))
            if option.param_type_name == "argument":
                names = f"`{option.metavar or option.name.upper()}`"
            lines.append(f"| {names} | {what} | {_default(option.default)} |")
    return "\n".join(lines) + "\n"


def methods() -> str:
    """`flairline methods` as a table."""
    lines = [
        "# Methods and recipes",
        "",
        "*For whoever chooses one. From the program itself: `flairline methods`.",
        "What they do: [Methods](../methods.md).*",
        "",
        "| name | kind | paper | training | cost | needs |",
        "|---|---|---|---|---|---|",
    ]
    for row in recipes.listing():
        cells = (f"`{row['name']}`", row["kind"], row["paper"], row["training"], row["cost"], row["needs"])
        lines.append(f"| {' | '.join(_plain(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def api() -> str:
    """The public names of `import flairline as fl`, by the module that they come from."""
    homes: dict[str, list[str]] = {}
    for name in flairline.__all__:
        value = getattr(flairline, name)
        if (inspect.isfunction(value) or inspect.isclass(value)) and value is not flairline.Summary:
            homes.setdefault(value.__module__, []).append(value.__name__)
    lines = [
        "# Python",
        "",
        "*For whoever works in a notebook or a script. From the docstrings; by example: [Python](../guide/python.md).*",
        "",
        "All names are those of `import flairline as fl`.",
        "`Summary` is [the schema of summary.json](files.md#summaryjson).",
    ]
    for module, names in homes.items():
        lines += ["", f"## {module}"]
        for name in names:
            lines += ["", f"::: {module}.{name}"]
    return "\n".join(lines) + "\n"


def _leaves(path: str, command: object) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command that does something, with its words."""
    if not isinstance(command, typer.core.TyperGroup):
        yield path, command  # type: ignore[misc]
        return
    for name, below in command.commands.items():
        yield from _leaves(f"{path} {name}", below)


def _plain(text: str | None) -> str:
    """One line that a cell of a table can hold."""
    bare = re.sub(r"\[/?(?:bold|dim)\]", "`", text or "")  # an example is in bold on the terminal
    return " ".join(bare.split()).replace("|", "\\|").replace("<", "&lt;")


def _default(value: object) -> str:
    return "" if value is None or value == () or callable(value) else f"`{value}`"
