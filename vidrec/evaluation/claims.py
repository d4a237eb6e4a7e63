"""The ledger: what a paper claims, how we check it, and what came out.

`experiments/<paper>/claims.csv` has a row for each claim, `experiments/CLAIMS.md` is made of all.
The columns of a row:

    id       unique in its file
    section  of the paper: "3.4.2", "Table 1"
    claim    in our words
    value    as printed: a number, a tuple, or text
    unit     of the value: "M", "%", "h", ...; K, M and G scale, "GFLOPs" as G
    check    an expression that gives ours, see `evaluate`; empty if nothing here can
    verdict  one of VERDICTS, as it was when the row was written
    note     why it differs, what contradicts it, what it needs
    command  of "needs data": what would check it where the data are
"""

import ast
import dataclasses
import operator
import re

import pandas as pd

MATCH, DIFFERS = "match", "differs"
INCONSISTENT, NEEDS_DATA = "inconsistent in the paper", "needs data"
VERDICTS = (MATCH, DIFFERS, INCONSISTENT, NEEDS_DATA)
SCALES = {"K": 1e3, "M": 1e6, "G": 1e9, "GFLOPs": 1e9}
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A row; all str, the columns as above."""

    id: str
    section: str
    claim: str
    value: str
    unit: str
    check: str
    verdict: str
    note: str
    command: str

    def __post_init__(self):
        wrong = None
        if not (self.id and self.section and self.claim and self.value):
            wrong = "needs an id, a section, a claim and a value"
        elif self.verdict not in VERDICTS:
            wrong = f"needs a verdict of {', '.join(VERDICTS)}"
        elif self.verdict in (MATCH, DIFFERS) and not self.check:
            wrong = f"cannot be {self.verdict!r} without a check"
        elif self.verdict == NEEDS_DATA and (self.check or not (self.command and self.note)):
            wrong = "that needs data has a command and a note of what it needs, and no check"
        elif self.verdict in (DIFFERS, INCONSISTENT) and not self.note:
            wrong = f"that is {self.verdict!r} needs a note that says why"
        if wrong:
            raise ValueError(f"A claim {wrong}. Received: {self}")

    @property
    def commands(self):
        """list of str: what would check it, one after the other."""
        return re.split(r" && |; ", self.command)


def read_claims(path):
    """The Claims of a file, in its order.

    Raises:
        ValueError: if a column is missing or unknown, a row does not fit, or an id comes twice.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = [field.name for field in dataclasses.fields(Claim)]
    if list(table.columns) != columns:
        raise ValueError(f"{path} must have the columns {columns}. Received: {list(table.columns)}")
    twice = table.id[table.id.duplicated()].tolist()
    if twice:
        raise ValueError(f"{path} must have every id once. Received: {twice}")
    try:
        return [Claim(**row) for row in table.to_dict("records")]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def evaluate(expression, checks):
    """The value of a check.

    Args:
        expression: str, literals, `+ - * / **` and calls of `checks`:
            "parameters('hst/hmdb51') / 1000", "80.1 - 71.3", "shape('hst/hmdb51', 'logits')".
        checks: dict of functions.

    Returns:
        What it gives: a number, tuple or str.

    Raises:
        ValueError: if there is anything else in it.
    """

    def value_of(node):
        match node:
            case ast.Constant():
                return node.value
            case ast.Tuple():
                return tuple(map(value_of, node.elts))
            case ast.BinOp() if type(node.op) in OPERATORS:
                return OPERATORS[type(node.op)](value_of(node.left), value_of(node.right))
            case ast.UnaryOp() if type(node.op) in OPERATORS:
                return OPERATORS[type(node.op)](value_of(node.operand))
            case ast.Call(func=ast.Name(id=name)) if name in checks:
                named = {keyword.arg: value_of(keyword.value) for keyword in node.keywords}
                return checks[name](*map(value_of, node.args), **named)
        raise ValueError(
            f"`check` must be of numbers, texts, + - * / ** and calls of {', '.join(checks)}. "
            f"Received: {ast.unparse(node)!r} in {expression!r}"
        )

    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"`check` must be an expression. Received: {expression!r}") from error
    return value_of(tree.body)


def ours_of(claim, checks):
    """What we have, in the unit of the claim; None if there is no check."""
    if not claim.check:
        return None
    found = evaluate(claim.check, checks)
    scale = SCALES.get(claim.unit)
    return found / scale if scale else found


def agrees(value, ours):
    """Whether ours is the printed value, to its last digit."""
    try:
        printed = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        printed = value
    if isinstance(printed, (int, float)) and isinstance(ours, (int, float)):
        digits = len(value.partition(".")[2])
        return abs(ours - printed) <= 0.5 * 10**-digits * (1 + 1e-9)
    return ours == printed


def verdict_of(claim, ours):
    """The verdict, by what came out. A claim that does not agree is what its row says it is."""
    if not claim.check:
        return claim.verdict
    if agrees(claim.value, ours):
        return MATCH
    return INCONSISTENT if claim.verdict == INCONSISTENT else DIFFERS


def rounded(claim, ours):
    """Ours as it is printed beside the value."""
    if not isinstance(ours, float):
        return "" if ours is None else str(ours)
    try:
        float(claim.value)
    except ValueError:
        return f"{ours:.6g}"
    digits = len(claim.value.partition(".")[2])
    return f"{ours:.{max(digits, 0 if ours == int(ours) else 2)}f}"
