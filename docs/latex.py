r"""Formulas of the mechanism as LaTeX mathematics.

Nothing is expanded or simplified: functions such as ``up1`` stay operators, and only a product of equal factors becomes
a power. Formulas that are wider than a page are broken at sums and products. What a formula of a mechanism may hold is
written alike in Antimony and in Python, so Python's parser reads it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from crosstalk.errors import ModelError

__all__ = ["call", "equation", "symbol"]

LINE = 76.0
"""Width of a line, in characters of ordinary size."""

_INDENT = 3.0  # of continued lines, beyond the equals sign
_SMALL = 0.7  # width of a character in a subscript
_WORD = 0.85  # of a lower-case letter
_GREEK = ("alpha", "beta", "gamma", "delta", "kappa", "lambda", "mu", "rho", "sigma", "tau")


def symbol(name: str) -> str:
    r"""Write an id as a symbol: parts become subscripts, words stay words, a final 0 marks the healthy value.

    Examples
    --------
    >>> symbol("K_TNF_BBB"), symbol("TNF0"), symbol("sert_block")
    ('K_{\\mathrm{TNF,BBB}}', '\\mathrm{TNF}_{0}', '\\text{sert block}')
    """
    return _symbol(name).latex


def call(name: str, arguments: Sequence[str]) -> str:
    r"""Write a call of a function of ``functions.ant``, as it stands on the left of its definition.

    Examples
    --------
    >>> call("dn1", ["x", "x0", "K"])
    '\\mathrm{dn}_{1}(x;\\, x_{0}, K)'
    """
    return _call(name, [_symbol(a) for a in arguments]).latex


def equation(left: str, formula: str) -> str:
    r"""Write an equation.

    Parameters
    ----------
    left : str
        Left side as LaTeX.
    formula : str
        Right side as it stands in an Antimony file: sums, products, quotients, ``exp``, ``sqrt`` and functions.

    Returns
    -------
    str
        LaTeX for display; an ``aligned`` environment if it takes more than one line.

    Raises
    ------
    ModelError
        If the formula cannot be read or holds something else.

    Examples
    --------
    >>> equation("y", "k*x*x/(1 + x)")
    'y = k \\cdot \\frac{x^{2}}{1 + x}'
    """
    try:
        tree = ast.parse(formula, mode="eval").body
    except SyntaxError as error:
        raise ModelError(f"cannot read the formula `{formula}`: {error.msg}; correct it in its .ant file") from None
    lines = _lines(_sum(tree), LINE - len(re.sub(r"\\[a-z]+|\W", "", left)))
    if len(lines) == 1:
        return f"{left} = {lines[0]}"
    body = " \\\\\n&\\quad ".join(lines)
    return f"\\begin{{aligned}}\n{left} &= {body}\n\\end{{aligned}}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stays on one line; ``level`` is the depth of brackets at a place where a line may break before it."""

    latex: str
    width: float
    level: float | None = None


@dataclass(frozen=True, slots=True)
class _Factor:
    """One factor of a product: ``over`` to a power, divided by ``under``."""

    over: ast.expr
    power: int = 1
    under: ast.expr | None = None

    @property
    def simple(self) -> bool:
        return self.power == 1 and self.under is None


def _symbol(name: str) -> _Piece:
    base, *below = name.split("_")
    if below and base not in _GREEK and re.fullmatch(r"[a-z][a-z\d]+", base):
        return _Piece(f"\\text{{{name.replace('_', ' ')}}}", _WORD * len(name))
    if healthy := re.fullmatch(r"([A-Za-z]+)0", base):
        base, below = healthy[1], ["0", *below]
    latex = f"\\{base}" if base in _GREEK else base if len(base) == 1 else f"\\mathrm{{{base}}}"
    under = ",".join(below)
    if under:
        latex += f"_{{{under}}}" if under.isdigit() else f"_{{\\mathrm{{{under}}}}}"
    return _Piece(latex, (1 if base in _GREEK else len(base)) + _SMALL * len(under))


def _call(name: str, arguments: Sequence[_Piece]) -> _Piece:
    stem = name.rstrip("0123456789")
    number = name[len(stem) :]
    head = f"\\mathrm{{{stem}}}" + f"_{{{number}}}" * bool(number)
    first, *rest = [a.latex for a in arguments]
    inside = f"{first};\\, {', '.join(rest)}" if rest else first
    return _Piece(f"{head}({inside})", len(name) + 1 + sum(a.width + 1 for a in arguments))


def _sum(node: ast.expr, level: float = 0) -> list[_Piece]:
    """Pieces of an expression that stands by itself; ``level`` brackets are around it."""
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub() as sign, right):
            first, *rest = _product(right, level)
            signed = f" {'+' if isinstance(sign, ast.Add) else '-'} {first.latex}"
            return [*_sum(left, level), _Piece(signed, first.width + 2, level), *rest]
        case ast.UnaryOp(ast.USub(), operand):
            first, *rest = _product(operand, level)
            return [_Piece(f"-{first.latex}", first.width + 1), *rest]
        case _:
            return _product(node, level, leading=True)


def _product(node: ast.expr, level: float, *, leading: bool = False) -> list[_Piece]:
    """Pieces of a product; sums come in brackets, a minus too unless it is the first sign at all (``leading``)."""
    pieces: list[_Piece] = []
    for number, factor in enumerate(_factors(node)):
        bare = leading and number == 0 and factor.simple and isinstance(factor.over, ast.UnaryOp)
        first, *rest = _sum(factor.over, level) if bare else _factor(factor, level)
        if number:
            # before a factor is a worse place to break than before a term of the same sum
            first = _Piece(f" \\cdot {first.latex}", first.width + 1.5, level + 0.5)
        pieces += [first, *rest]
    return pieces


def _factors(node: ast.expr) -> Iterator[_Factor]:
    """Factors in the order in which they are written; a quotient is a fraction of the factor before the stroke."""
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            *before, last = _factors(left)
            yield from before
            for factor in _factors(right):
                if last.under is None and factor.under is None and ast.dump(last.over) == ast.dump(factor.over):
                    last = replace(last, power=last.power + factor.power)
                else:
                    yield last
                    last = factor
            yield last
        case ast.BinOp(left, ast.Div(), right):
            *before, last = _factors(left)
            yield from before
            yield replace(last, under=right) if last.under is None else _Factor(_quotient(last), 1, right)
        case _:
            yield _Factor(node)


def _quotient(factor: _Factor) -> ast.expr:
    assert factor.under is not None
    over = factor.over
    for _ in range(factor.power - 1):
        over = ast.BinOp(over, ast.Mult(), factor.over)
    return ast.BinOp(over, ast.Div(), factor.under)


def _factor(factor: _Factor, level: float) -> list[_Piece]:
    if factor.under is not None:
        over = _line(_sum(factor.over) if factor.power == 1 else _factor(replace(factor, under=None), 0))
        under = _line(_sum(factor.under))
        return [_Piece(f"\\frac{{{over.latex}}}{{{under.latex}}}", max(over.width, under.width))]
    if factor.power > 1:
        base = _line(_factor(_Factor(factor.over), 0))
        raised = f"({base.latex})" if isinstance(factor.over, ast.Constant) else base.latex
        return [_Piece(f"{raised}^{{{factor.power}}}", base.width + _SMALL)]
    if not _signed(factor.over):
        return [_atom(factor.over)]
    pieces = _sum(factor.over, level + 1)
    # plain brackets, not \left and \right, whose partners would have to stand on the same line
    pieces[0] = replace(pieces[0], latex=f"({pieces[0].latex}", width=pieces[0].width + 0.5)
    pieces[-1] = replace(pieces[-1], latex=f"{pieces[-1].latex})", width=pieces[-1].width + 0.5)
    return pieces


def _signed(node: ast.expr) -> bool:
    """Whether a node is a sum or starts with a minus, so that it needs brackets in a product."""
    return isinstance(node, ast.UnaryOp) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub))


def _atom(node: ast.expr) -> _Piece:
    match node:
        case ast.Constant(int() | float() as value):
            text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
            mantissa, e, exponent = text.partition("e")
            if e:
                return _Piece(f"{mantissa} \\times 10^{{{int(exponent)}}}", len(text))
            return _Piece(text, len(text))
        case ast.Name(name):
            return _symbol(name)
        case ast.Call(ast.Name("exp"), [argument]):
            inside = _line(_sum(argument))
            return _Piece(f"\\exp({inside.latex})", inside.width + 4)
        case ast.Call(ast.Name("sqrt"), [argument]):
            inside = _line(_sum(argument))
            return _Piece(f"\\sqrt{{{inside.latex}}}", inside.width + 1)
        case ast.Call(ast.Name(name), [_, *_] as arguments, []) if name not in ("exp", "sqrt"):
            return _call(name, [_line(_sum(a)) for a in arguments])
        case _:
            raise ModelError(
                f"cannot write `{ast.unparse(node)}` as mathematics; a mechanism holds sums, products, quotients, exp, "
                "sqrt and the functions of functions.ant"
            )


def _line(pieces: Sequence[_Piece]) -> _Piece:
    return _Piece("".join(p.latex for p in pieces), sum(p.width for p in pieces))


def _lines(pieces: Sequence[_Piece], room: float) -> list[str]:
    """Fill lines up to a width; each ends at the outermost place in its second half."""
    limit = room
    lines: list[str] = []
    current: list[_Piece] = []
    for piece in pieces:
        current.append(piece)
        while _line(current).width > limit:
            places = [(i, p.level) for i, p in enumerate(current) if i and p.level is not None]
            late = [(i, level) for i, level in places if _line(current[:i]).width > limit / 2] or places
            if not late:
                break
            cut = min(late, key=lambda place: (place[1], -place[0]))[0]
            lines.append(_line(current[:cut]).latex)
            current, limit = current[cut:], room - _INDENT
    return [line.strip() for line in (*lines, _line(current).latex)]
