"""The rules of the house that a program can hold: folders, layers, imports, sizes, names, tests that mirror the source.

Every test names what breaks its rule, with file and line. No rule has a list of exceptions; what a rule leaves out is
said in its docstring.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from flairline import registry

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
TESTS = ROOT / "tests"
MAX_FILE_LINES = 400
MAX_BODY_LINES = 60
MAX_ARGUMENTS = 8
PLAIN_WORDS = {"asymmetry", "intensity", "multimodal"}
"""Names of methods that are words of a brain scan as well: a sentence may hold them, a whole string may not."""
KINDS_OF_NETWORK = {"vae"}
"""In learning/ this is a bottleneck, and stands so in model folders; the method of that name has it from there."""

TESTED_BY = {
    # Plug-ins: a contract runs over each that is found, so that a new one needs no test file.
    "flairline.methods.*": "contracts/test_methods.py",
    "flairline.metrics.*": "contracts/test_metrics.py",
    "flairline.datasets.*": "contracts/test_datasets.py",
    "flairline.report.sections.*": "contracts/test_report_sections.py",
    # Commands: each is a door, and what it lets in or refuses is tested for all alike.
    "flairline.cli.*": "cli/test_bad_input.py",
    # Looked at from one side of a folder, because they are one thing in several files.
    "flairline.benchmarking.paper.reconstruction_figure": "benchmarking/paper/test_reconstruction.py",
    "flairline.benchmarking.paper.*": "benchmarking/paper/test_tables.py",
    "flairline.benchmarking.*": "benchmarking/test_judge.py",
    "flairline.evaluation.judged_scan": "evaluation/test_counts.py",
    "flairline.cases.people_bids": "cases/test_people.py",
    "flairline.cases.fetch": "datasets/test_fetch.py",
    "flairline.cases.[cf]*": "datasets/test_folders.py",
    "flairline.io.fetch": "preprocess/test_brain_and_atlas.py",
    "flairline.learning.networks.*": "learning/networks/test_networks.py",
    "flairline.learning.slices.*": "learning/slices/test_fit_slices.py",
    "flairline.postprocess.*": "postprocess/test_steps.py",
    "flairline.preprocess.symmetry": "methods/test_asymmetry.py",
    "flairline.preprocess.*": "preprocess/test_preparing.py",
    "flairline.report.*": "report/test_collect.py",
    # What one method alone is made of is tested where its scores are.
    "flairline.imaging.equalise": "methods/test_histeq.py",
    "flairline.imaging.points": "preprocess/test_register.py",
    "flairline.io.dicom.segmentation": "io/test_dicom_segmentation.py",
    "flairline.io.dicom.headers": "io/test_dicom_faults.py",
    "flairline.io.dicom.*": "io/test_dicom.py",
    "flairline.io.logs": "test_segmentation.py",
    "flairline.learning.atlas.*": "methods/test_atlas_zscore.py",
    "flairline.learning.volumes.*": "methods/test_synthetic_unet.py",
    "flairline.learning.*": "methods/test_synthetic_unet.py",
    "flairline.synthesis.*": "methods/test_synthetic_unet.py",
}
"""Modules without a test file at the mirrored path -> the test file that holds them to their word."""


@dataclass(frozen=True)
class Module:
    """One file of the source."""

    path: Path

    @cached_property
    def name(self) -> str:
        """As it is imported: ``flairline.io.nifti``, a folder by its own name."""
        parts = self.path.relative_to(SRC).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        """The folder it lies in, as it is imported."""
        return ".".join(self.path.relative_to(SRC).parts[:-1])

    @property
    def is_folder(self) -> bool:
        return self.path.name == "__init__.py"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def at(self, node: ast.AST) -> str:
        """Where a node stands: ``src/flairline/recipes.py:87``."""
        return f"{self.path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Import:
    """One module imported by another, and the name taken from it where it is ``from module import name``."""

    importer: Module
    module: str
    name: str | None
    bound_as: str
    when: str
    """``module`` when the file is imported, ``typing`` for type checkers alone, ``late`` inside a function."""
    node: ast.stmt


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file under src/."""
    return tuple(Module(path) for path in sorted(SRC.rglob("*.py")))


@cache
def module_names() -> frozenset[str]:
    return frozenset(module.name for module in modules())


def imports_of(module: Module) -> Iterator[Import]:
    """What a module imports of flairline."""

    def walk(node: ast.AST, when: str) -> Iterator[tuple[ast.stmt, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child, when
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from walk(child, "late")
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, "typing")
            else:
                yield from walk(child, when)

    for node, when in walk(module.tree, "module"):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "flairline":
                    yield Import(module, alias.name, None, alias.asname or "flairline", when, node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flairline":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in module_names():
                    yield Import(module, inner, None, alias.asname or alias.name, when, node)
                else:
                    yield Import(module, str(node.module), alias.name, alias.asname or alias.name, when, node)


@cache
def imports() -> tuple[Import, ...]:
    """Every import of flairline by flairline."""
    return tuple(found for module in modules() for found in imports_of(module))


def functions_of(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls_of(module: Module, names: set[str]) -> Iterator[ast.Call]:
    """Calls of a function by one of these plain names."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def docstrings_of(module: Module) -> set[int]:
    """Ids of the nodes that are docstrings, those that stand under an attribute included."""
    found = set()
    for node in ast.walk(module.tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)  # a lambda's body is one expression, no list
            for statement in statements if isinstance(statements, list) else []:
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    found.add(id(statement.value))
    return found


def keys_of(module: Module) -> set[int]:
    """Ids of the nodes that are keys of a dict: where it is written, looked up, or asked with ``get``."""
    found: set[int] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Dict):
            found |= {id(key) for key in node.keys}
        elif isinstance(node, ast.Subscript):
            found.add(id(node.slice))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".get") and node.args:
            found.add(id(node.args[0]))
    return found


def none(broken: list[str], rule: str) -> None:
    """Fail with the rule and everything that breaks it."""
    __tracebackhide__ = True
    if broken:
        pytest.fail(f"{rule}\n" + "\n".join(f"  {line}" for line in sorted(set(broken))), pytrace=False)


def test_the_rules_see_the_source():
    """A wrong path would make every rule below hold for nothing."""
    assert {"flairline", "flairline.types", "flairline.io.nifti", "flairline.methods.histeq"} <= module_names()
    assert len(imports()) > 100
    assert {found.when for found in imports()} == {"module", "typing", "late"}


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_plug_in_folder_holds_plug_ins_and_nothing_else(kind):
    """Every file defines its kind's symbol. Left out: ``methods/base.py``, folders of data, a plug-in's data."""
    folder = SRC / "flairline" / Path(*kind.split("."))
    symbol = registry.KINDS[kind]
    names = {path.stem for path in folder.glob("*.py")}
    broken = []
    for path in sorted(folder.iterdir()):
        if path.name in {"__init__.py", "__pycache__"} or (kind == "methods" and path.name == "base.py"):
            continue
        if path.is_dir():
            broken += [f"{code.relative_to(ROOT)}: code in a folder of data" for code in path.rglob("*.py")]
        elif path.suffix != ".py":
            if not any(path.name.startswith(name) for name in names):
                broken.append(f"{path.relative_to(ROOT)}: belongs to no plug-in")
        elif path.name.startswith("_"):
            broken.append(f"{path.relative_to(ROOT)}: shared code, which has its own folder")
        elif symbol not in defined_in(ast.parse(path.read_text(encoding="utf-8"))):
            broken.append(f"{path.relative_to(ROOT)}: defines no {symbol}")
    none(broken, f"{kind}/ holds files that define {symbol}, and nothing else.")


def defined_in(tree: ast.Module) -> set[str]:
    """Names that a module's own statements define."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def test_no_underscore_module_is_imported_from_another_package():
    broken = []
    for found in imports():
        parts = found.module.split(".")
        for depth, part in enumerate(parts):
            if part.startswith("_") and ".".join(parts[:depth]) != found.importer.package:
                broken.append(f"{found.importer.at(found.node)}: {found.module}")
    none(broken, "A module whose name starts with an underscore is its folder's own.")


def test_no_private_name_is_taken_from_another_package():
    """Neither imported by name nor reached through the module: ``from x import _y``, ``x._y``."""
    broken = [
        f"{found.importer.at(found.node)}: {found.module}.{found.name}"
        for found in imports()
        if found.name and found.name.startswith("_") and _package_of(found.module) != found.importer.package
    ]
    for module in modules():
        bound = {found.bound_as: found.module for found in imports_of(module) if found.name is None}
        broken += [
            f"{module.at(node)}: {bound[node.value.id]}.{node.attr}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in bound
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and _package_of(bound[node.value.id]) != module.package
        ]
    none(broken, "A name that starts with an underscore is its module's own.")


def _package_of(module: str) -> str:
    return module if (SRC / Path(*module.split("."))).is_dir() else module.rpartition(".")[0]


def test_no_file_is_longer_than_400_lines():
    lines = {module: module.text.count("\n") for module in modules()}
    none(
        [f"{module.path.relative_to(ROOT)}: {count}" for module, count in lines.items() if count > MAX_FILE_LINES],
        f"A file has at most {MAX_FILE_LINES} lines.",
    )


def test_no_function_body_is_longer_than_60_lines():
    """Signature and docstring are not counted."""
    broken = []
    for module in modules():
        for function in functions_of(module):
            body = function.body[1:] if ast.get_docstring(function) is not None else function.body
            if not body:
                continue
            count = (body[-1].end_lineno or 0) - body[0].lineno + 1
            if count > MAX_BODY_LINES:
                broken.append(f"{module.at(function)}: {function.name} has {count}")
    none(broken, f"A function's body has at most {MAX_BODY_LINES} lines.")


def test_no_function_takes_more_than_8_arguments():
    """self and cls are not counted. The command line's options are left out: each is a word of a shell."""
    broken = []
    for module in modules():
        if module.name.startswith("flairline.cli"):
            continue
        for function in functions_of(module):
            given = function.args
            names = [word.arg for word in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            names += [word.arg for word in (given.vararg, given.kwarg) if word]
            count = len([name for name in names if name not in {"self", "cls"}])
            if count > MAX_ARGUMENTS:
                broken.append(f"{module.at(function)}: {function.name} takes {count}")
    none(broken, f"A function takes at most {MAX_ARGUMENTS} arguments; what travels together is one frozen dataclass.")


def test_no_method_is_named_outside_methods():
    """Neither as a string nor as an identifier, nor imported. Docstrings and comments may say it.

    A name that is a plain word (`PLAIN_WORDS`) is left out where it is part of a sentence, a key, or an identifier.
    """
    broken = []
    for module in modules():
        if module.name.startswith("flairline.methods"):
            continue
        names = set(registry.names("methods"))
        if module.name.startswith("flairline.learning"):
            names -= KINDS_OF_NETWORK
        left_out, keys = docstrings_of(module), keys_of(module)
        broken += [
            f"{module.at(found.node)}: imports {found.module}"
            for found in imports_of(module)
            if found.module.startswith("flairline.methods.") and found.module.split(".")[2] in names
        ]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
                words = set(re.findall(r"\w+", node.value)) - PLAIN_WORDS
                if id(node) not in keys:
                    words.add(node.value)
                broken += [f"{module.at(node)}: {name!r} in a string" for name in names & words]
            for field in ("id", "attr", "arg", "name"):
                if getattr(node, field, None) in names - PLAIN_WORDS:
                    broken.append(f"{module.at(node)}: {getattr(node, field)} as an identifier")
    none(broken, "No file outside methods/ names a method: what it needs to know stands in MethodInfo.")


def test_the_layers_hold():
    """import-linter's contract of pyproject.toml, which has no exceptions and names every part of flairline."""
    tomllib = pytest.importorskip("tomllib")
    pytest.importorskip("importlinter")
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [part.strip() for layer in contract["layers"] for part in re.split(r"[|:]", layer)]
    parts = {name for name in module_names() if name.count(".") == 1}
    assert parts - {part.strip("()") for part in layers} == set(), "a part of flairline stands in no layer"
    assert contract.get("ignore_imports", []) == []
    # In a process of its own: import-linter configures logging and so disables every logger that is there already.
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    linted = subprocess.run(
        [*command, "--config", str(ROOT / "pyproject.toml"), "--no-cache"], capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


ORDER = (
    *("cli", "experiments", "cohort", "exports", "report", "benchmarking", "segmentation", "recipes"),
    *("metrics", "evaluation", "methods", "postprocess", "learning", "datasets", "cases", "synthesis", "preprocess"),
    *("drawing", "imaging", "io", "registry", "executor", "types", "errors"),
)
"""The layers of the design, top to bottom."""


def test_the_contract_of_import_linter_has_the_order_of_the_design():
    tomllib = pytest.importorskip("tomllib")
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    listed = [
        re.sub(r"[()\s]|flairline\.", "", part) for layer in contract["layers"] for part in re.split(r"[|:]", layer)
    ]
    known = [part for part in listed if part in ORDER]
    assert known == [part for part in ORDER if part in known]


@pytest.mark.parametrize("when", ["module", "typing", "late"])
def test_no_imports_go_in_circles(when):
    """As a file is imported; with what type checkers see as well; with late imports inside functions as well.

    Each of the three shows the circles that the one before does not have. A late import may spare a heavy library; it
    must not hide a circle.
    """
    seen = {"module": {"module"}, "typing": {"module", "typing"}, "late": {"module", "late"}}
    earlier = circles(seen["module"]) if when != "module" else []
    none([" <-> ".join(circle) for circle in circles(seen[when]) if circle not in earlier], "No imports go in circles.")


def circles(kinds: set[str]) -> list[list[str]]:
    """Groups of modules that reach each other by imports of these kinds (Tarjan's strongly connected components)."""
    edges: dict[str, set[str]] = defaultdict(set)
    for found in imports():
        if found.when in kinds and found.module in module_names() and found.module != found.importer.name:
            edges[found.importer.name].add(found.module)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in edges[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for name in sorted(module_names()):
        if name not in index:
            visit(name)
    return sorted(groups)


def test_every_folder_says_what_comes_in_what_goes_out_and_what_it_must_not_import():
    broken = []
    for module in modules():
        if not module.is_folder or module.name == "flairline":
            continue
        told_apart = " ".join((ast.get_docstring(module.tree) or "").split())
        wanted = (r"Comes in: \S.+?\.", r"Goes out: \S.+?\.", r"[^.]*\bimports?\b[^.]*")
        if not re.search(".*".join(wanted), told_apart):
            broken.append(f"{module.path.relative_to(ROOT)}: {told_apart[:60]!r}")
    none(broken, 'A folder\'s docstring has "Comes in: ...", "Goes out: ..." and what it must not import.')


def test_nothing_is_left_to_be_implemented():
    broken = [
        module.at(node)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    none(broken, "What cannot be done is no method of a class: no NotImplementedError.")


def test_nothing_is_probed_for_what_it_can_do():
    """``hasattr`` and ``getattr`` with a constant name.

    Left out is what is not ours: an exception that was caught, and the modules of other packages (an older torch lacks
    what a newer one has).
    """
    broken = []
    for module in modules():
        foreign = {node.name for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                foreign |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        broken += [
            f"{module.at(call)}: {ast.unparse(call)}"
            for call in calls_of(module, {"hasattr", "getattr"})
            if isinstance(call.args[1], ast.Constant) and ast.unparse(call.args[0]).split(".")[0] not in foreign
        ]
    none(broken, "A Protocol or a field says what an object can do; nobody tries it out.")


def test_no_method_and_no_source_is_taken_apart_by_its_type():
    """``isinstance`` against a class of methods/, of benchmarking/, or of a trained method's shared code."""
    homes = ("flairline.methods", "flairline.benchmarking", "flairline.learning.slices.slice_method")
    classes = {
        node.name
        for module in modules()
        if module.name.startswith(homes)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    broken = [
        f"{module.at(call)}: {ast.unparse(call)}"
        for module in modules()
        for call in calls_of(module, {"isinstance", "issubclass"})
        if classes & set(re.findall(r"\w+", ast.unparse(call.args[1])))
    ]
    none(broken, "What a method or a source can do stands in its Protocol.")


def test_every_module_has_a_test_file_at_the_mirrored_path():
    """``src/flairline/io/nifti.py`` -> ``tests/io/test_nifti.py``, or the file that `TESTED_BY` names."""
    broken = []
    for module in modules():
        if module.is_folder:
            continue
        inner = module.path.relative_to(SRC / "flairline")
        mirrored = TESTS / inner.parent / f"test_{inner.name}"
        named = [place for pattern, place in TESTED_BY.items() if fnmatch.fnmatchcase(module.name, pattern)]
        if not mirrored.exists() and not any((TESTS / place).exists() for place in named):
            broken.append(f"{module.path.relative_to(ROOT)}: no {mirrored.relative_to(ROOT)}")
    none(broken, "A module has its test file, or a line in TESTED_BY.")


def test_the_table_of_tests_is_not_out_of_date():
    names = [module.name for module in modules() if not module.is_folder]
    broken = []
    for pattern, place in TESTED_BY.items():
        found = fnmatch.filter(names, pattern)
        if not found:
            broken.append(f"{pattern}: there is no such module")
        if not (TESTS / place).exists():
            broken.append(f"{place}: there is no such test file")
    none(broken, "A line of TESTED_BY names modules and a test file.")
