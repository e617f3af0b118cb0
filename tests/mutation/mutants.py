"""Which faults there could be, and a sample of them: the operators are cosmic-ray's.

A place of the source is drawn first, then one of the changes that can be made there: else the hundred ways to swap an
operator would crowd out the numbers and the words.
"""

from __future__ import annotations

import ast
import difflib
import random
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

__all__ = ["ROOMS", "Mutant", "modules", "mutants_of", "sample"]

ROOMS = ("scoring", "fairness", "stats", "subgroups", "mitigation/weighting")
"""Where the figures come from, below `src/segfair`."""

_Position = tuple[tuple[int, int], tuple[int, int]]

_NOT_MUTATED = re.compile(
    # They need to be told which variable; the sample has none of them.
    "VariableReplacer|VariableInserter"
    # Identity in the place of equality: the same for the words and small numbers that are compared so.
    "|ReplaceComparisonOperator_(Eq_Is|NotEq_IsNot|Is_Eq|IsNot_NotEq)"
)

_ONLY_IN = {"ReplaceBinaryOperator": "operator", "ReplaceComparisonOperator": "comparison"}
"""The kinds of nodes that the most numerous operators change: asking each of every node takes half a minute."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Args:
        module: The file, below `src/segfair`.
        operator: cosmic-ray's name of the change.
        line: Where it begins, from 1.
        before: The lines that are changed, without indentation.
        after: The same with the fault.
        source: The whole module with the fault.
    """

    module: str
    operator: str
    line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it in the record of survivors: the module, the lines as they are, and as they would be."""
        return self.module, self.before, self.after


def modules(package: Path) -> list[str]:
    """The files that may be mutated, below `package`, in one order."""
    found = [path for room in ROOMS for path in sorted((package / room).rglob("*.py")) if path.name != "__init__.py"]
    return [path.relative_to(package).as_posix() for path in found]


def mutants_of(source: str) -> dict[_Position, list[tuple[str, int]]]:
    """Each place of a module that can be changed, with the operators that change it and their occurrences."""
    nodes = list(ast_nodes(parso.parse(source)))
    left_out = list(_no_figures(source))
    places: dict[_Position, list[tuple[str, int]]] = defaultdict(list)
    for name, operator in _operators():
        kind = _ONLY_IN.get(name.split("_")[0])
        asked = [node for node in nodes if node.type == kind] if kind else nodes
        positions = (position for node in asked for position in operator.mutation_positions(node))
        for occurrence, position in enumerate(positions):
            if not any(begin <= position[0] and position[1] <= end for begin, end in left_out):
                places[position].append((name, occurrence))
    return dict(sorted(places.items()))


def sample(package: Path, count: int, seed: int) -> list[Mutant]:
    """`count` faults, spread over the modules by how many places each has; the same for the same seed and sources."""
    sources = {module: (package / module).read_text("utf-8") for module in modules(package)}
    places = {module: mutants_of(source) for module, source in sources.items()}
    shares = _shares({module: len(found) for module, found in places.items()}, count)
    return [
        mutant
        for module, share in shares.items()
        for mutant in _drawn(module, sources[module], places[module], share, random.Random(f"{seed}:{module}"))
    ]


def _operators() -> list[tuple[str, Operator]]:
    provider = OperatorProvider()
    return [(name, provider[name]()) for name in provider if not _NOT_MUTATED.fullmatch(name)]


def _no_figures(source: str) -> Iterator[_Position]:
    """Where nothing is computed: annotations, which are never evaluated, and what decorators are handed."""
    for node in ast.walk(ast.parse(source)):
        written = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            written.append(node)
        for one in filter(None, written):
            yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)
        for one in filter(_settles_speed_or_form, getattr(node, "decorator_list", [])):
            # From its sign to the end of its line.
            yield (one.lineno, one.col_offset - 1), (one.end_lineno + 1, 0)


def _settles_speed_or_form(decorator: ast.expr) -> bool:
    """Whether it says how a class or function is kept (frozen, slotted, compiled, cached), not what it gives."""
    return (
        re.match(r"dataclass|_compiled|(functools\.)?(lru_)?cache|cached_property", ast.unparse(decorator)) is not None
    )


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """`count` split in proportion to sizes, by largest remainders; no more than there is."""
    total = sum(sizes.values())
    exact = {name: min(size, count * size / total) for name, size in sizes.items()}
    shares = {name: int(share) for name, share in exact.items()}
    by_rest = sorted(sizes, key=lambda name: (shares[name] - exact[name], name))
    for name in by_rest[: min(count, total) - sum(shares.values())]:
        shares[name] += 1
    return shares


def _drawn(
    module: str,
    source: str,
    places: Mapping[_Position, Sequence[tuple[str, int]]],
    share: int,
    rng: random.Random,
) -> list[Mutant]:
    operators = dict(_operators())
    drawn: list[Mutant] = []
    # In an order drawn beforehand: some changes make no program at all, and another place takes their turn.
    for position in rng.sample(list(places), len(places)):
        if len(drawn) == share:
            break
        name, occurrence = rng.choice(places[position])
        changed = mutate_code(source, operators[name], occurrence)
        if _is_program(changed):
            drawn.append(Mutant(module, name, position[0][0], *_difference(source, changed), changed))
    return sorted(drawn, key=lambda mutant: (mutant.line, mutant.after))


def _is_program(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(source, "a module", "exec", dont_inherit=True)
        except SyntaxError:
            return False
    return True


def _difference(source: str, changed: str) -> tuple[str, str]:
    lines = list(difflib.ndiff(source.splitlines(), changed.splitlines()))
    return tuple(  # type: ignore[return-value]
        " ".join(line[2:].strip() for line in lines if line.startswith(sign)) for sign in ("- ", "+ ")
    )
