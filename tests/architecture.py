"""The house's rules as a function from a package's folder to the places that break them."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FLOORS = (
    {"errors"},
    {"checks"},
    {"status", "fingerprint", "streams", "arrays", "threads"},
    {"kernels"},
    {"model"},
    {"economy"},
    {"simulate", "estimate"},
    {"study"},
    {"run", "store"},
    {"workflow"},
    {"summary"},
    {"report"},
    {"cli"},
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
ENGINE = {"kernels", "model", "economy", "simulate", "estimate"}

VAGUE_NAMES = {"utils", "util", "core", "base", "helpers", "helper", "common", "misc", "tools"}
LONGEST_FILE, LONGEST_FUNCTION, MOST_ARGUMENTS, FEWEST_FILES = 400, 60, 7, 3
EXEMPTION = re.compile(r"#\s*(noqa|ruff:|type:\s*ignore|mypy:|pyright:|pylint:|fmt:|pragma:)")

# What is imported nowhere, and what a part may not import because another part is the place for it.
STRANGERS = {"pyblp"}
STRANGERS_TO = {"study": {"dask", "distributed", "multiprocessing", "concurrent"}, "economy": {"random"}}
COMPILER = "kernels.compile"  # compiles kernels and keeps them on disk; none is written there
KERNEL_IMPORTS = {"__future__", "collections", "math", "typing", "numba", "numpy"}
KERNEL_CALLS = {"print", "open", "input", "exec", "eval"}
KERNEL_ATTRIBUTES = {"random", "load", "save", "savez", "loadtxt", "savetxt", "tofile", "fromfile"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file; `name` is dotted and begins with the package, `part` is its room in the house."""

    path: Path
    package: str
    name: str
    source: str
    tree: ast.Module

    @property
    def is_init(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def is_root(self) -> bool:
        return self.name == self.package

    @property
    def part(self) -> str:
        return "" if self.is_root else self.name.split(".")[1]

    def imports(self) -> Iterator[str]:
        """Yield the full name of everything imported anywhere: in functions and under TYPE_CHECKING too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                names = [f"{origin}.{alias.name}" for alias in node.names]
                yield from [origin] if origin == self.package else names
            elif (
                isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args
            ):
                name = node.args[0]
                yield name.value if isinstance(name, ast.Constant) else f"{self.package}.<computed>"

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        here = self.name.split(".")
        above = here[: len(here) - node.level + self.is_init]
        return ".".join([*above, *([node.module] if node.module else [])])


def violations(folder: Path) -> list[str]:
    """Return one line for each place in the package at `folder` that breaks a rule of the house.

    Raises FileNotFoundError for a folder that is no package: an empty house breaks no rule.
    """
    (folder / "__init__.py").stat()
    modules = list(_modules(folder))
    found = [line for module in modules for line in _in_module(module)]
    return sorted([*found, *_cycles(modules), *_rooms(folder)])


def _modules(folder: Path) -> Iterator[Module]:
    for path in sorted(folder.rglob("*.py")):
        dotted = [folder.name, *path.relative_to(folder).with_suffix("").parts]
        name = ".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)
        source = path.read_text(encoding="utf-8")
        yield Module(path, folder.name, name, source, ast.parse(source))


def _in_module(module: Module) -> Iterator[str]:
    for rule in (_names, _imports, _sizes, _exemptions, _inits):
        yield from (f"{module.name}: {line}" for line in rule(module))
    if module.part == "kernels" and not module.name.endswith(COMPILER):
        yield from (f"{module.name}: {line}" for line in _kernels(module))
    if module.part == "economy":
        yield from (f"{module.name}: {line}" for line in _randomness(module))


def _names(module: Module) -> Iterator[str]:
    vague = VAGUE_NAMES.intersection(module.name.split("."))
    if vague:
        yield f"the name {vague.pop()} says nothing"
    if not module.is_root and module.part not in FLOOR_OF:
        yield f"the part {module.part} has no floor"


def _imports(module: Module) -> Iterator[str]:
    for name in module.imports():
        words = name.split(".")
        if words[0] != module.package:
            if words[0] in STRANGERS | STRANGERS_TO.get(module.part, set()):
                yield f"imports {words[0]}"
        elif not module.is_root:
            yield from _inside(module, words)


def _inside(module: Module, words: list[str]) -> Iterator[str]:
    target = words[1] if len(words) > 1 else ""
    if target not in FLOOR_OF:
        yield f"imports from the package root: {'.'.join(words)}"
    elif target == module.part:
        return
    elif FLOOR_OF[target] > FLOOR_OF.get(module.part, -1):
        yield f"imports {target}, which is above it"
    elif FLOOR_OF[target] == FLOOR_OF[module.part]:
        yield f"imports {target}, which is on its own floor"
    elif module.part in ("summary", "report") and target in ENGINE:
        yield f"imports {target}; summaries come from labelled data only"


def _sizes(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > LONGEST_FILE:
        yield f"has {lines} lines, more than {LONGEST_FILE}"
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            yield from _function(node)


def _function(node: Function) -> Iterator[str]:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if length > LONGEST_FUNCTION:
        yield f"{node.name} has {length} lines, more than {LONGEST_FUNCTION}"
    named = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    arguments = [name for name in named if name not in ("self", "cls")]
    if len(arguments) > MOST_ARGUMENTS:
        yield f"{node.name} has {len(arguments)} arguments, more than {MOST_ARGUMENTS}"


def _exemptions(module: Module) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type == tokenize.COMMENT and EXEMPTION.search(token.string):
            yield f"exempts itself: {token.string}"


def _inits(module: Module) -> Iterator[str]:
    if module.is_init and not module.is_root and module.source.strip():
        yield "is an __init__ that is not empty"


def _kernels(module: Module) -> Iterator[str]:
    outside = {name.split(".")[0] for name in module.imports()} - {module.package}
    yield from (f"a kernel imports {name}" for name in sorted(outside - KERNEL_IMPORTS))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _called(node) in KERNEL_CALLS:
            yield f"a kernel calls {_called(node)}"
        elif isinstance(node, ast.Attribute) and node.attr in KERNEL_ATTRIBUTES:
            yield f"a kernel uses {ast.unparse(node)}"
        elif isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] != ["NamedTuple"]:
            yield f"a kernel defines the class {node.name}"
        elif isinstance(node, ast.For) and not any(
            isinstance(n, ast.For) for s in node.body for n in ast.walk(s)
        ):
            yield from _stores_and_sums(node)


def _stores_and_sums(loop: ast.For) -> Iterator[str]:
    """Yield what an innermost loop sums although it stores, so that the order depends on addresses.

    What is only counted may be: integers add up to the same in any order.
    """
    changes = [node for node in ast.walk(loop) if isinstance(node, ast.AugAssign)]
    sums = [node for node in changes if not isinstance(node.value, ast.Constant | ast.IfExp)]
    if any(isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) for node in ast.walk(loop)):
        for node in sums:
            if isinstance(node.target, ast.Name) and isinstance(node.op, ast.Add | ast.Sub):
                yield f"a kernel sums {node.target.id} in a loop that stores"


def _randomness(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "random":
            yield f"an economy uses {ast.unparse(node)}"


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _cycles(modules: list[Module]) -> Iterator[str]:
    """Yield each module that imports itself through others, in the graph of all imports."""
    known = {module.name: {_file(name, modules) for name in module.imports()} for module in modules}
    for start in known:
        reached: set[str] = set()
        ahead = [name for name in known[start] if name]
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead.extend(known.get(name, ()))
        if start in reached:
            yield f"{start}: imports itself through others"


def _file(imported: str, modules: list[Module]) -> str:
    """Return the module that an imported name is or lives in, '' for one from outside."""
    names = {module.name for module in modules}
    words = imported.split(".")
    ends = (".".join(words[:length]) for length in range(len(words), 1, -1))
    return next((end for end in ends if end in names), "")


def _rooms(folder: Path) -> Iterator[str]:
    """Yield the folders with fewer than three files."""
    files = defaultdict(set)
    for path in folder.rglob("*.py"):
        if path.name != "__init__.py" and path.parent != folder:
            files[path.parent].add(path.name)
    for room in sorted({path.parent for path in folder.rglob("*.py")} - {folder}):
        if len(files[room]) < FEWEST_FILES:
            yield f"{room.name}/: has {len(files[room])} files; a folder has three or is a module"
