"""The house rules as functions: sources in, breaches out. Nothing here imports the engine.

`sources` maps a path from the top of the repository to the text of that file. A breach is a
sentence that begins with the place.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

Sources = Mapping[str, str]

# The layers of engine/, lowest first: a module imports from its own row and from those above it.
# A new file or folder of engine/ gets its place here, on purpose.
LAYERS = (
    ("errors", "sync", "freeing", "modes", "sparse", "exact", "values"),
    ("hooks", "graph", "versions", "releasing"),
    ("runtime", "ops", "printing"),
    ("recorded", "opnode", "recording", "differentiable", "inplace", "methods", "tensor"),
    ("surface", "creation", "autograd", "function", "func", "capture", "check", "checkpointing"),
    ("nn", "optim", "hogwild", "linalg", "fft", "special", "scipy", "listing"),
    ("__init__",),
)
WALLS = (("ops", "runtime"), ("runtime", "ops"))

THREAD_MODULES = {"threading", "_thread", "queue", "_queue", "concurrent"}
THREAD_DOOR = "engine.sync"
ENGINE_NEEDS = {"numpy", "threadpoolctl"}
DOORS = {"scipy": "engine.ops._scipy"}  # a package of an extra, and the one module that imports it

# What the harness may import: the engine's public face and its observation hooks. Only its mutants,
# which are there to break the engine from inside, import more.
BREAKERS = "stress.mutants."
PUBLIC = {
    "engine",
    "engine.autograd",
    "engine.errors",
    "engine.func",
    "engine.hogwild",
    "engine.nn",
    "engine.nn.functional",
    "engine.optim",
    "engine.sync",
}

LONGEST_FUNCTION = 60
LONGEST_FILE = 400

_RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """`importer` imports `target`, or the attribute `name` of it, at `place`."""

    place: str
    importer: str
    target: str
    name: str | None


def module_name(path: str) -> str:
    """The dotted name of the module at `path`."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(sources: Sources) -> list[Import]:
    """Every import statement, also those inside functions, with relative names resolved."""
    modules = {module_name(path) for path in sources}
    return [found for path, text in sources.items() for found in _imports(path, text, modules)]


def _imports(path: str, text: str, modules: set[str]) -> Iterator[Import]:
    importer = module_name(path)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(f"{path}:{node.lineno}", importer, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            base = _base(path, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                target, name = (inner, None) if inner in modules else (base, alias.name)
                yield Import(f"{path}:{node.lineno}", importer, target, name)


def _base(path: str, node: ast.ImportFrom) -> str:
    """The module that `from … import` names."""
    if not node.level:
        return node.module or ""
    package = PurePosixPath(path).parts[: -node.level]
    return ".".join((*package, node.module) if node.module else package)


def layer(module: str) -> str:
    """The first part of an engine module's name below `engine`; `__init__` for the package."""
    return f"{module}.__init__".split(".")[1]


def layer_breaches(sources: Sources) -> list[str]:
    """Imports inside engine/ that point upwards or through a wall, and modules without a layer."""
    breaches = [
        f"{path}: `{layer(module_name(path))}` has no place in the layers (tests/house.py)"
        for path in sources
        if _top(module_name(path)) == "engine" and layer(module_name(path)) not in _RANK
    ]
    for found in imports(sources):
        if {_top(found.importer), _top(found.target)} != {"engine"}:
            continue
        here, there = layer(found.importer), layer(found.target)
        if here not in _RANK or there not in _RANK:
            continue
        if _RANK[there] > _RANK[here]:
            breaches.append(f"{found.place}: {here} imports {there}, which stands above it")
        if (here, there) in WALLS:
            breaches.append(f"{found.place}: {here} imports {there} through the wall")
    return breaches


def cycle_breaches(sources: Sources) -> list[str]:
    """Engine modules that import each other in a circle."""
    graph: dict[str, set[str]] = {}
    for found in imports(sources):
        if {_top(found.importer), _top(found.target)} == {"engine"}:
            graph.setdefault(found.importer, set()).add(found.target)
    # A package's __init__ that gathers its parts is the way in, not a step back.
    for importer, targets in graph.items():
        targets -= {importer, *_packages_around(importer)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["engine: imports go round in a circle: " + " -> ".join(error.args[1])]
    return []


def _packages_around(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts)))


def door_breaches(sources: Sources) -> list[str]:
    """Modules of engine/ other than the door that import threading primitives."""
    return [
        f"{found.place}: only {THREAD_DOOR} imports {found.target}"
        for found in imports(sources)
        if _top(found.importer) == "engine" and found.importer != THREAD_DOOR
        if _top(found.target) in THREAD_MODULES
    ]


def foreign_breaches(sources: Sources) -> list[str]:
    """Imports that leave their part of the repository by another way than its public face."""
    return [message for found in imports(sources) for message in _foreign(found)]


def _foreign(found: Import) -> Iterator[str]:
    here, there = _top(found.importer), _top(found.target)
    allowed = ENGINE_NEEDS | {"engine"} | sys.stdlib_module_names
    if here == "engine" and there not in allowed and DOORS.get(there) != found.importer:
        yield f"{found.place}: engine imports {there}"
    if here == "stress" and there == "tests":
        yield f"{found.place}: stress imports tests"
    if here == "stress" and there == "engine" and not found.importer.startswith(BREAKERS):
        private = found.name is not None and found.name.startswith("_")
        if found.target not in PUBLIC or private:
            what = f"{found.target}.{found.name}" if found.name else found.target
            yield f"{found.place}: stress imports {what}, which is not public"


def size_breaches(sources: Sources) -> list[str]:
    """Files and functions that are too long."""
    breaches = []
    for path, text in sources.items():
        lines = len(text.splitlines())
        if lines > LONGEST_FILE:
            breaches.append(f"{path}: {lines} lines, more than {LONGEST_FILE}")
        breaches += [
            f"{path}:{function.lineno}: {function.name} has {length} lines, "
            f"more than {LONGEST_FUNCTION}"
            for function, length in functions(text)
            if length > LONGEST_FUNCTION
        ]
    return breaches


def functions(text: str) -> list[tuple[_Function, int]]:
    """Every function with its number of lines, docstring not counted."""
    return [
        (node, _length(node)) for node in ast.walk(ast.parse(text)) if isinstance(node, _Function)
    ]


def _length(function: _Function) -> int:
    assert function.end_lineno is not None
    docstring = ast.get_docstring(function, clean=False)
    hidden = docstring.count("\n") + 1 if docstring is not None else 0
    return function.end_lineno - function.lineno + 1 - hidden


def docstring_breaches(sources: Sources) -> list[str]:
    """Modules, and their public functions and classes, without a docstring."""
    breaches = []
    for path, text in sources.items():
        tree = ast.parse(text)
        if tree.body and not ast.get_docstring(tree):
            breaches.append(f"{path}: the module has no docstring")
        breaches += [
            f"{path}:{node.lineno}: {node.name} has no docstring"
            for node in tree.body
            if isinstance(node, _Function | ast.ClassDef)
            if not node.name.startswith("_") and not ast.get_docstring(node)
        ]
    return breaches


def _top(module: str) -> str:
    return module.partition(".")[0]
