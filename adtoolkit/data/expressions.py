"""Small formulas of columns, for cuts and derived quantities: parsed to a tree, of which only listed pieces are evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import ConfigError, UnknownNameError

_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_FUNCTIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
}
_LONGEST: Final = 2000
_DEEPEST: Final = 100


class Expression:
    """A formula of named columns: ``+ - * / **``, comparisons, ``and``, ``or``, ``not`` and a few functions.

    A column whose name is no Python name is written between backticks.

    Raises:
        ConfigError: if the text is no such formula.

    Example:
        >>> cut = Expression("pt > 1200 and abs(eta) < 2.4")
        >>> sorted(cut.names)
        ['eta', 'pt']
        >>> cut({"pt": np.array([1300.0, 1000.0]), "eta": np.array([-1.0, 0.0])})
        array([ True, False])
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._quoted: dict[str, str] = {}
        if len(text) > _LONGEST:
            raise ConfigError(f"The formula '{text[:40]}...' has {len(text)} characters; {_LONGEST} are allowed.")
        plain = re.sub(r"`([^`]+)`", self._quote, text).replace("&&", " and ").replace("||", " or ")
        try:
            self._tree = ast.parse(plain.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(
                f"'{text}' is not a formula of columns.", "Examples: pt > 1200, abs(eta) < 2.4, 8 < M < 12, sqrt(E**2 - p**2)"
            ) from error
        self.names = self._check(self._tree, 0)

    @property
    def is_condition(self) -> bool:
        """Whether the result is true or false per event."""
        tree = self._tree
        return isinstance(tree, ast.Compare | ast.BoolOp) or (isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not))

    def __call__(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The value for each event; NaN where it is not defined.

        Raises:
            UnknownNameError: if a column is not there.
            ConfigError: if a column holds text.
        """
        for name in self.names:
            if name not in columns:
                raise UnknownNameError("column", name, list(columns))
            if columns[name].dtype.kind not in "fiub":
                raise ConfigError(f"'{self.text}' calculates with the column '{name}', which holds no numbers.")
        with np.errstate(all="ignore"):
            return np.asarray(self._value(self._tree, columns))

    def _quote(self, match: re.Match[str]) -> str:
        # Trailing underscores keep the stand-in apart from any real name.
        stand_in = f"quoted_{len(self._quoted)}__"
        self._quoted[stand_in] = match[1]
        return stand_in

    def _name(self, node: ast.Name) -> str:
        return self._quoted.get(node.id, node.id)

    def _check(self, node: ast.expr, depth: int) -> frozenset[str]:
        """The columns of a tree all of whose pieces are allowed."""
        children: list[ast.expr] | None = None
        match node:
            case ast.Name():
                return frozenset({self._name(node)})
            case ast.Constant(value=value) if type(value) in (int, float):
                children = []
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
                children = [operand]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                children = [left, right]
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
                children = [left, *others]
            case ast.BoolOp(values=values):
                children = values
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
                if name not in _FUNCTIONS:
                    raise UnknownNameError("function", name, list(_FUNCTIONS), f"It stands in '{self.text}'.")
                children = [argument]
        if children is None or depth > _DEEPEST:
            raise ConfigError(
                f"'{self.text}' holds more than a formula of columns may.",
                "Allowed are numbers, columns, + - * / **, comparisons, and, or, not, and functions such as abs and sqrt.",
            )
        return frozenset[str]().union(*(self._check(child, depth + 1) for child in children))

    def _value(self, node: ast.expr, columns: Mapping[str, NDArray[Any]]) -> Any:
        def value(child: ast.expr) -> Any:
            return self._value(child, columns)

        match node:
            case ast.Name():
                return np.asarray(columns[self._name(node)], dtype=np.float64)
            case ast.Constant(value=number):
                return np.float64(number)  # type: ignore[arg-type]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.logical_not(value(operand))
            case ast.UnaryOp(op=op, operand=operand):
                return np.negative(value(operand)) if isinstance(op, ast.USub) else value(operand)
            case ast.BinOp(left=left, op=operator, right=right):
                return _BINARY[type(operator)](value(left), value(right))
            case ast.BoolOp(op=junction, values=values):
                return (np.logical_and if isinstance(junction, ast.And) else np.logical_or).reduce([value(v) for v in values])
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [value(side) for side in (left, *others)]
                return np.logical_and.reduce([_COMPARE[type(op)](a, b) for op, a, b in zip(ops, sides, sides[1:], strict=False)])
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return _FUNCTIONS[name](value(argument))
        raise ConfigError(f"'{self.text}' is not a formula of columns.")  # pragma: no cover - _check lets nothing else through


def definition(text: str, known: list[str]) -> tuple[str, Expression | None]:
    """``"column"`` -> (column, None); ``"name = formula"`` -> (name, formula).

    Raises:
        UnknownNameError: if it is neither a known column nor a definition.
    """
    name, found, formula = text.partition("=")
    if text in known or not found:
        if text not in known:
            raise UnknownNameError("column", text, known)
        return text, None
    return name.strip(), Expression(formula)
