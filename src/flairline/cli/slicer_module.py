"""`slicer/flairline.xml`: the command `segment` as 3-D Slicer's module description, made of the command itself.

`python -m flairline.cli.slicer_module > slicer/flairline.xml` writes it; a test holds the file to the command. The
format is that of the Slicer Execution Model: Slicer draws a form of it, writes the images chosen there into files, and
calls the program beside the file with one flag a parameter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, get_args, get_type_hints
from xml.etree import ElementTree

from flairline.cli import segment

IMAGES = ("flairs", "t1", "t2")
"""Parameters for which a volume of the scene is chosen."""
FOLDERS = ("out", "work", "model")
"""Parameters for which a folder is chosen."""
WITHOUT = {
    "cases": "Slicer has the volumes of one scan",
    "flair_series": "Slicer reads DICOM itself and gives a volume",
    "t1_series": "as flair_series",
    "dicom_seg": "as flair_series",
    "open_page": "Slicer's computer may have no browser",
    "as_json": "Slicer shows what is printed",
    "jobs": "one scan needs one process",
}
"""Parameters of the command that Slicer's form lacks, and why."""
GROUPS = (
    ("Images", ("flairs", "t1", "t2", "brain")),
    ("Results", ("out", "label_map", "fill_t1", "fmriprep_roi", "report", "overwrite")),
)
"""Groups of the form: title and parameters."""
FOLDED = "More"
"""The group of all others, folded away."""
TITLES = {"flairs": "FLAIR", "t1": "T1", "t2": "T2", "out": "Folder for the results"}
"""What a parameter is called in the form where its own name does not say it."""
EXTENSIONS = ".nii.gz,.nii"


@dataclass(frozen=True)
class Parameter:
    """One parameter of the command.

    Attributes
    ----------
    flags
        As they are typed ("-o", "--out"); none for what is named by its place.
    turned_off_by
        The flag that turns off what is on by default; empty where there is none.
    """

    name: str
    type_name: str
    help: str
    default: Any
    flags: tuple[str, ...]
    turned_off_by: str = ""

    @property
    def is_turned_off(self) -> bool:
        """Whether Slicer's form offers to turn it off: Slicer gives a flag or none."""
        return bool(self.turned_off_by and self.default)

    @property
    def kind(self) -> str:
        """What Slicer calls its type.

        Raises
        ------
        ValueError
            A path that stands neither in `IMAGES` nor in `FOLDERS`, nor in `WITHOUT`.
        """
        known = {**dict.fromkeys(IMAGES, "image"), **dict.fromkeys(FOLDERS, "directory")}
        kind = known.get(self.name) or {"bool": "boolean", "str": "string"}.get(self.type_name)
        if kind is None:
            msg = f"wanted {self.name} ({self.type_name}) in IMAGES, FOLDERS or WITHOUT of {__name__}"
            raise ValueError(msg)
        return kind


def parameters_of(command: Callable[..., None]) -> dict[str, Parameter]:
    """The parameters of a command, by name, from its signature."""
    hints = get_type_hints(command, include_extras=True)
    return {each.name: _parameter(each, hints[each.name]) for each in signature(command).parameters.values()}


def _parameter(part: inspect.Parameter, hint: Any) -> Parameter:
    annotation, info = get_args(hint)
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    declared = [str(words) for words in (info.default, *(info.param_decls or ()))]  # the first flag stands as `default`
    flags = [flag for words in declared if words.startswith("-") for flag in words.split("/")]
    off = next((flag for flag in flags if flag.startswith("--no-")), "")
    on = tuple(flag for flag in flags if flag != off)
    return Parameter(part.name, kinds[0].__name__, info.help or "", part.default, on, off)


def description() -> str:
    """The XML text, of the command as it is now."""
    parameters = {name: each for name, each in parameters_of(segment.command).items() if name not in WITHOUT}
    root = ElementTree.Element("executable")
    for tag, text in (
        ("category", "Segmentation"),
        ("title", "flairline"),
        ("description", "Finds what is abnormal in a FLAIR scan of the brain. Research use only, not for diagnosis."),
        ("license", "Apache-2.0"),
        ("contributor", "The flairline developers"),
    ):
        ElementTree.SubElement(root, tag).text = text
    listed = {name for _, names in GROUPS for name in names}
    rest = tuple(name for name in parameters if name not in listed)
    for title, names in (*GROUPS, (FOLDED, rest)):
        group = ElementTree.SubElement(root, "parameters", {"advanced": "true"} if title == FOLDED else {})
        ElementTree.SubElement(group, "label").text = title
        ElementTree.SubElement(group, "description").text = title
        for name in names:
            _add(group, parameters[name])
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(group: ElementTree.Element, parameter: Parameter) -> None:
    """One parameter of the form."""
    kind, off = parameter.kind, parameter.is_turned_off
    entry = ElementTree.SubElement(group, kind, {"fileExtensions": EXTENSIONS} if kind == "image" else {})
    parts = {"name": f"no_{parameter.name}" if off else parameter.name}
    if parameter.flags:
        parts["longflag"] = parameter.turned_off_by if off else parameter.flags[-1]
    else:
        parts["index"] = "0"
    parts["label"] = TITLES.get(parameter.name) or parts["name"].replace("_", " ").capitalize()
    parts["description"] = f"Turn this off: {parameter.help}" if off else parameter.help
    if kind in ("image", "directory"):
        parts["channel"] = "output" if parameter.name == "out" else "input"
    elif kind == "boolean":
        parts["default"] = "false"
    elif parameter.default is not None:
        parts["default"] = str(parameter.default)
    for tag, text in parts.items():
        ElementTree.SubElement(entry, tag).text = text


if __name__ == "__main__":
    print(description(), end="")
