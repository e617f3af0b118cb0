"""Conditions on metadata, such as `split == "test" and age > 50`: a small language of its own, never `eval`.

    split == "test"                     age >= 40 and age < 50            not (site in ["A", "B"])
    `time to event` / 12 > 2            col["time to event"] is None      age is not None

Names are columns; `&` and `|` are not known, `and` and `or` are. A comparison with a missing value is false, also
with `!=`; `is None` finds it.
"""

from __future__ import annotations

import ast
import datetime
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

from segfair.errors import ConfigError, close_names, cut_text, quoted
from segfair.files.cells import is_missing

__all__ = ["fulfilled"]

_LONGEST = 2000
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,  # type: ignore[dict-item]
    ast.LtE: operator.le,  # type: ignore[dict-item]
    ast.Gt: operator.gt,  # type: ignore[dict-item]
    ast.GtE: operator.ge,  # type: ignore[dict-item]
}
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)

Value = float | str | bool | None
Row = Mapping[str, object]


def fulfilled(expression: str, rows: Iterable[Row], *, columns: Sequence[str]) -> list[bool]:
    """Whether each row fulfils a condition.

    Args:
        expression: The condition.
        rows: Column -> value; a column that a row lacks is missing there.
        columns: The columns that exist.

    Returns:
        One truth value a row.

    Raises:
        ConfigError: Not a condition of this language, an unknown column, or text compared by size with a number.
    """
    if len(expression) > _LONGEST:
        raise ConfigError(f"--where: longer than {_LONGEST} characters; use --cases with a list of ids")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python would tell of 1or 2 what it tells of its own
            tree = ast.parse(_without_backticks(expression).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        hint = "compare with ==" if re.search(r"(?<![=!<>])=(?!=)", expression) else "check quotes and brackets"
        raise ConfigError(
            f"--where {quoted(expression)}: cannot be read ({getattr(error, 'msg', error)}); {hint}, and put a column"
            " name with spaces into backticks"
        ) from error
    condition = _Condition(expression, columns)
    try:
        condition.check(tree)
        return [condition.holds(tree, row) for row in rows]
    except RecursionError as error:
        raise ConfigError(f"--where {expression[:60]!r}...: nested too deeply") from error


def _without_backticks(expression: str) -> str:
    """`time to event` in backticks becomes col["time to event"]; quoted text is left alone."""
    parts = re.split(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)""", expression)
    return "".join(f"col[{part[1:-1]!r}]" if len(part) > 1 and part[0] == part[-1] == "`" else part for part in parts)


class _Condition:
    """Checks and evaluates one parsed expression; every node type that is not named here is refused."""

    def __init__(self, expression: str, columns: Sequence[str]) -> None:
        self.expression = expression
        self.columns = columns

    def refuse(self, why: str) -> ConfigError:
        return ConfigError(f"--where {quoted(self.expression)}: {cut_text(why, 600)}")

    def check(self, node: ast.AST) -> None:
        """Refuses what is not of the language, in every branch, before any row is looked at."""
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, bool | int | float | str | None):
                raise self.refuse(f"{node.value!r} is neither text nor number")
        elif isinstance(node, ast.Name | ast.Subscript):
            self.column_of(node)
        elif isinstance(node, ast.BoolOp):
            self.check_all(node.values)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.UAdd):
            self.check(node.operand)
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            self.check_all([node.left, node.right])
        elif isinstance(node, ast.Compare):
            self.check(node.left)
            for op, right in zip(node.ops, node.comparators, strict=True):
                self.check_comparison(op, right)
        else:
            raise self.unknown(node)

    def unknown(self, node: ast.AST) -> ConfigError:
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return self.refuse("a list stands only behind in")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            return self.refuse("write and for &, or for |")
        return self.refuse(
            f"{ast.unparse(node)} is not known here; conditions are made of columns, text, numbers,"
            " comparisons, in, and, or, not, + - * / and brackets"
        )

    def check_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.check(node)

    def check_comparison(self, op: ast.cmpop, right: ast.expr) -> None:
        nothing = isinstance(right, ast.Constant) and right.value is None
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self.refuse('behind in stands a list, such as site in ["A", "B"]')
            if not all(isinstance(self.literal(entry), ast.Constant) for entry in right.elts):
                raise self.refuse("a list holds only texts and numbers")
            return
        if isinstance(op, ast.Is | ast.IsNot):
            if not nothing:
                raise self.refuse("is compares with None only; use == for values")
        elif nothing:
            raise self.refuse("no value equals None; write is None or is not None")
        self.check(right)

    @staticmethod
    def literal(node: ast.expr) -> ast.expr:
        return node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node

    def column_of(self, node: ast.Name | ast.Subscript) -> str:
        if isinstance(node, ast.Name):
            name = node.id
        elif (
            isinstance(node.value, ast.Name)
            and node.value.id == "col"
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            name = node.slice.value
        else:
            raise self.refuse(f'{ast.unparse(node)} is not known here; a column is age or col["age"]')
        if name not in self.columns:
            shown = ", ".join(self.columns[:20]) + (", ..." if len(self.columns) > 20 else "")
            raise self.refuse(f"no column {name}{close_names(name, self.columns) or f'; columns are {shown}'}")
        return name

    def holds(self, node: ast.expr, row: Row) -> bool:
        value = self.value(node, row)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.refuse(f"{ast.unparse(node)} is {value!r}, no condition; compare it with something")
        return value

    def value(self, node: ast.expr, row: Row) -> Value:
        """The value of a checked node; None where missing."""
        if isinstance(node, ast.Constant):
            constant: Value = node.value  # type: ignore[assignment]
            return constant
        if isinstance(node, ast.Name | ast.Subscript):
            return _plain(row.get(self.column_of(node)))
        if isinstance(node, ast.BoolOp):
            every = isinstance(node.op, ast.And)
            return (all if every else any)(self.holds(part, row) for part in node.values)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not self.holds(node.operand, row)
        if isinstance(node, ast.UnaryOp):
            number = self.number(node.operand, row)
            return -number if number is not None and isinstance(node.op, ast.USub) else number
        if isinstance(node, ast.BinOp):
            return self.arithmetic(node, row)
        if isinstance(node, ast.Compare):
            return self.chain(node, row)
        raise self.refuse(f"{ast.unparse(node)} is not known here")

    def chain(self, node: ast.Compare, row: Row) -> bool:
        """A comparison of two or more, such as `40 <= age < 50`: each with its neighbour."""
        left = self.value(node.left, row)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(right_node, ast.List | ast.Tuple | ast.Set):
                entries = [self.value(entry, row) for entry in right_node.elts]
                holds = left is not None and (left in entries) == isinstance(op, ast.In)
                right = None
            else:
                right = self.value(right_node, row)
                holds = self.compare(node, op, left, right)
            if not holds:
                return False
            left = right
        return True

    def compare(self, node: ast.Compare, op: ast.cmpop, left: Value, right: Value) -> bool:
        if isinstance(op, ast.Is | ast.IsNot):
            return (left is None) == isinstance(op, ast.Is)
        if left is None or right is None:
            return False
        if isinstance(op, _ORDERED) and isinstance(left, str) != isinstance(right, str):
            raise self.refuse(f"{ast.unparse(node)} compares text with a number, {left!r} with {right!r}")
        return _COMPARISONS[type(op)](left, right)

    def number(self, node: ast.expr, row: Row) -> float | None:
        value = self.value(node, row)
        if isinstance(value, str | bool):
            raise self.refuse(f"{ast.unparse(node)} is {value!r}, no number to reckon with")
        return value

    def arithmetic(self, node: ast.BinOp, row: Row) -> float | None:
        left, right = self.number(node.left, row), self.number(node.right, row)
        if left is None or right is None:
            return None
        try:
            return _ARITHMETIC[type(node.op)](left, right)
        except (ZeroDivisionError, OverflowError):
            return None


def _plain(value: object) -> Value:
    """A cell as text, number, boolean or None; dates as ISO text, so that they compare with "2015-01-31"."""
    if is_missing(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    return str(value).strip()
