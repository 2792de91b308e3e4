"""One registry for each kind of thing: names are found by reading source, code is imported only on use.

A registration is a decorator with literal arguments, `@register("wgan_gp", family="adversarial", ...)`. The registry
reads those literals with `ast`, so listing eighty models imports none of them (and not torch). Packages outside the
repository join through the entry-point groups `ganbench.models`, `.datasets`, `.metrics`, `.scorers` and `.executors`;
a user's own file is named on the command line as `path/to/file.py:Class`.
"""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from ganbench.errors import DuplicateName, ImportFailed, UnknownName
from ganbench.registry.variants import single

USUAL = {"smoke": 200, "quick": 500, "standard": 5000}
USUAL_SMALL = {"smoke": 400, "quick": 2000, "standard": 10_000}
USUAL_MADE = {"smoke": 200, "quick": 500, "standard": 2000}  # of events made from conditions, by convolutions alone


@dataclass(frozen=True)
class Entry:
    """A registered thing before it is imported. Each kind adds what its decorator is told, under the same names."""

    name: str
    module: str  # dotted module, or the path of a file the user named
    attribute: str
    source: Path  # the file that defines it
    doc: str = ""  # docstring of the object, or of its module
    header: str = ""  # docstring of the module
    shares: bool = False  # whether its file registers others too, which the header then speaks of as well
    version: int = 1
    prefix: bool = False  # named with an argument, as in folder:PATH
    returns: tuple[str, ...] = ()  # names of the scores of a metric that returns more than one

    @property
    def summary(self) -> str:
        """First sentence of the documentation, for one-line listings."""
        texts = (self.doc, self.header) if self.shares else (self.header, self.doc)
        return next(filter(None, texts), "").strip().split("\n", 1)[0].rstrip(".")

    @staticmethod
    def said_by(node: ast.ClassDef | ast.FunctionDef) -> dict[str, Any]:
        """What its definition says beside the decorator."""
        return {}

    @property
    def code_hash(self) -> str:
        """sha256 of the file that defines it."""
        return hashlib.sha256(self.source.read_bytes()).hexdigest()

    def load(self) -> Any:
        """Import the module and return the registered object. Raises `ImportFailed` with the cause."""
        try:
            if self.module.endswith(".py"):
                module = _import_file(self.source)
            else:
                module = importlib.import_module(self.module)
            return getattr(module, self.attribute)
        except Exception as error:
            cause = traceback.format_exception_only(error)[-1].strip()
            raise ImportFailed(f"{self.name!r} ({self.source.name}) does not import: {cause}") from error


@dataclass(frozen=True)
class ModelInfo(Entry):
    """What `ganbench.model.register` says of a model."""

    family: str = ""  # empty for one whose file cannot be read
    paper: str = ""
    gives: tuple[str, ...] = ("sample",)
    needs: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    events: tuple[str, ...] = ("vector", "image")
    role: str = ""


@dataclass(frozen=True)
class DatasetInfo(Entry):
    """What `ganbench.datasets.base.dataset` says of a data set."""

    event: str = ""
    iterations: Mapping[str, int] | None = None
    small: bool = False
    step: float | None = None
    labelled: bool = False
    cond: str = ""
    paired: bool = True
    scorer: str = ""
    options: bool = False
    density: tuple[str, ...] = ()
    extra: str = ""
    greatest: Mapping[str, float] | None = None
    builtin: bool = False

    @property
    def budgets(self) -> Mapping[str, int]:
        """Iterations of one plain GAN for each scale."""
        return self.iterations or (USUAL_SMALL if self.small else USUAL_MADE if self.cond else USUAL)

    @property
    def may_have_labels(self) -> bool:
        """Whether it has labels, or only its files can tell."""
        return self.labelled or self.prefix


@dataclass(frozen=True)
class MetricInfo(Entry):
    """What `ganbench.metrics.base.metric` says of a metric."""

    direction: str = "none"
    needs: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    degree: int | None = None
    holds_for: Mapping[str, tuple[Any, ...]] | None = None
    power: int | None = 2
    bounds: tuple[float | None, float | None] | Mapping[str, tuple[float | None, float | None]] = (None, None)
    smallest: float = 0.0
    by_labels: str = ""

    @staticmethod
    def said_by(node: ast.ClassDef | ast.FunctionDef) -> dict[str, Any]:
        """`needs`: its arguments without a default, and `space`, which has one for those who call it from Python."""
        if not isinstance(node, ast.FunctionDef):
            return {}
        a = node.args
        optional = {arg.arg for arg in a.args[len(a.args) - len(a.defaults) :]}
        optional |= {arg.arg for arg, default in zip(a.kwonlyargs, a.kw_defaults, strict=True) if default is not None}
        names = [arg.arg for arg in (*a.args, *a.kwonlyargs)]
        return {"needs": tuple(name for name in names if name not in optional or name == "space")}

    def bounds_of(self, score: str) -> tuple[float | None, float | None]:
        """What one of its scores can be at least and at most; None where nothing bounds it."""
        if isinstance(self.bounds, tuple):
            return self.bounds
        return next((b for name, b in self.bounds.items() if fnmatch.fnmatchcase(score, name)), (None, None))

    @property
    def looks_through(self) -> bool:
        """Whether it sees events through a scorer."""
        return any("probs" in need or "features" in need for need in self.needs)


@dataclass(frozen=True)
class ScorerInfo(Entry):
    """What `ganbench.scorers.base.scorer` says of a scorer."""

    event_shape: tuple[int, ...] = ()
    needs_weights: bool = False
    needs_mixture: bool = False


@dataclass(frozen=True)
class ExecutorInfo(Entry):
    """What `ganbench.jobs.executors.base.executor` says of an executor."""

    options: tuple[str, ...] = ()


E = TypeVar("E", bound=Entry)


class Registry(Generic[E]):
    """Names of one kind -> entries; scans lazily, refuses duplicates, offers near matches for unknown names."""

    def __init__(self, kind: str, info: type[E], package: str, decorator: str, group: str | None = None) -> None:
        self.kind, self.info, self.package, self.decorator, self.group = kind, info, package, decorator, group

    @cached_property
    def entries(self) -> dict[str, E]:
        """All registered names, sorted. Raises `DuplicateName`."""
        found: dict[str, E] = {}
        for entry in [*self._scan_package(), *self._scan_entry_points()]:
            if entry.name in found:
                other = found[entry.name]
                raise DuplicateName(
                    f"{self.kind} {entry.name!r} is registered twice: {other.module}:{other.attribute} and "
                    f"{entry.module}:{entry.attribute}; rename one"
                )
            found[entry.name] = entry
        return dict(sorted(found.items()))

    def __iter__(self) -> Iterator[E]:
        return iter(self.entries.values())

    def get(self, name: str) -> E:
        """The entry for `name`, for one of the scores that a metric returns, for `prefix:argument`, or `file.py:Class`.

        Raises `UnknownName` with near matches.
        """
        if name in self.entries:
            return self.entries[name]
        scored = [entry for entry in self if name in entry.returns]
        if scored:
            return scored[0]
        stem, _, argument = name.partition(":")
        stem = stem.partition("[")[0]  # options, as in folder[resize=32]:PATH
        if argument and stem in self.entries and self.entries[stem].prefix:
            return self.entries[stem]
        if ".py:" in name:
            return self._from_file(name)
        raise UnknownName(self.kind, name, {*self.entries, *(r for e in self for r in e.returns)})

    def load(self, name: str) -> Any:
        """Import and return the object registered under `name`."""
        return self.get(name).load()

    def _scan_package(self) -> Iterator[E]:
        spec = importlib.util.find_spec(self.package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            for path in sorted(Path(root).rglob("*.py")):
                module = ".".join([self.package, *path.relative_to(root).with_suffix("").parts])
                yield from read_source(path, module.removesuffix(".__init__"), self.decorator, self.info)

    def _scan_entry_points(self) -> Iterator[E]:
        for point in importlib.metadata.entry_points(group=self.group) if self.group else ():
            source = module_path(point.module) or Path(point.module)  # what is not there is reported on use
            read = list(read_source(source, point.module, self.decorator, self.info)) if source.is_file() else []
            yield next(
                (e for e in read if e.attribute == point.attr), self.info(point.name, point.module, point.attr, source)
            )

    def _from_file(self, name: str) -> E:
        text, _, attribute = name.rpartition(":")
        path = Path(text)
        if not path.is_file():
            raise UnknownName(f"{self.kind} file", text, [])
        entries = list(read_source(path, str(path), self.decorator, self.info))
        for entry in entries:
            if entry.attribute == attribute:
                return entry
        raise UnknownName(f"{self.kind} class in {path.name}", attribute, [e.attribute for e in entries])


def scorer_name(reference: str, dataset: DatasetInfo) -> str:
    """What metrics look through on this data: `folder[scorer=imagenet_lite0]:PATH`, or the data set's own; "" for none.

    Raises `BadConfig` for options that cannot be read.
    """
    options = single(reference.partition(":")[0])[1] if dataset.options else {}
    return str(options.get("scorer", dataset.scorer))


def read_source(path: Path, module: str, decorator: str, info: type[E]) -> Iterator[E]:
    """Entries for every class or function in `path` that carries `@decorator("name", literal=...)`; imports nothing.

    Raises `ImportFailed` for a file that is not Python, or whose decorator says what there is no word for.
    """
    text = path.read_text(encoding="utf-8")
    if f"@{decorator}(" not in text:
        return
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ImportFailed(f"{path.name} line {error.lineno} is not Python: {error.msg}") from error
    header = ast.get_docstring(tree) or ""
    marked = [
        (node, call)
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator
    ]
    for node, call in marked:
        said = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
        name, doc = ast.literal_eval(call.args[0]), ast.get_docstring(node) or ""
        beside = info.said_by(node)
        known = {f.name for f in fields(info)} - beside.keys()
        if unknown := said.keys() - known:
            raise ImportFailed(f"{path.name}: @{decorator} takes {', '.join(sorted(known))}; got {min(unknown)}")
        yield info(name, module, node.name, path, doc, header, len(marked) > 1, **said, **beside)


@lru_cache(maxsize=4096)
def module_path(module: str) -> Path | None:
    """The file of a module, found without importing it or its parents."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for root in spec.submodule_search_locations or []:
        base = Path(root).joinpath(*rest)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _import_file(path: Path) -> Any:
    """Import a file under a name made from its contents, so that two files of one name do not collide."""
    name = f"ganbench_user_{path.stem}_{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


MODELS = Registry("model", ModelInfo, "baselines", "register", "ganbench.models")
DATASETS = Registry("data set", DatasetInfo, "ganbench.datasets", "dataset", "ganbench.datasets")
METRICS = Registry("metric", MetricInfo, "ganbench.metrics", "metric", "ganbench.metrics")
SCORERS = Registry("scorer", ScorerInfo, "ganbench.scorers", "scorer", "ganbench.scorers")
EXECUTORS = Registry("executor", ExecutorInfo, "ganbench.jobs.executors", "executor", "ganbench.executors")
