"""Rows, expressions and verdicts of the ledger."""

import dataclasses

import pytest

from vidrec.evaluation.claims import (
    Claim,
    agrees,
    evaluate,
    ours_of,
    read_claims,
    rounded,
    verdict_of,
)
from vidrec.evaluation.ledger import ledger, summary

ROW = Claim(
    id="parameters",
    section="Table 2",
    claim="Parameters",
    value="78.20",
    unit="M",
    check="count('a')",
    verdict="match",
    note="",
    command="",
)
CHECKS = {"count": lambda name, *, times=1: {"a": 78_204_723, "b": 3}[name] * times}


def row(**changes):
    return dataclasses.replace(ROW, **changes)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("80.5 - 71.25", 9.25),
        ("count('b', times=2) ** 2 / 4 + -1", 8.0),
        ("(count('b'), 'x', 2 * 3)", (3, "x", 6)),
    ],
)
def test_expressions(expression, value):
    assert evaluate(expression, CHECKS) == value


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "count.__class__", "[1, 2]", "count('b') if 1 else 2", "x", "7 // 2",
     "count(*'b')", "(lambda: 1)()", "f'{1}'"],
)  # fmt: skip
def test_nothing_else_is_an_expression(expression):
    with pytest.raises(ValueError, match="must be of numbers, texts, .* and calls of count. Rec"):
        evaluate(expression, CHECKS)
    with pytest.raises(ValueError, match="must be an expression. Received: '1 \\+'"):
        evaluate("1 +", CHECKS)


@pytest.mark.parametrize(
    ("value", "ours", "same"),
    [
        ("78.20", 78.204723, True),
        ("78.20", 78.195, True),
        ("78.20", 78.2051, False),
        ("78.2", 78.249, True),
        ("35.8", 35.705, False),
        ("24", 24, True),
        ("24", 25, False),
        ("0.8", 0.1 * 8, True),
        ("8.8", 80.1 - 71.3, True),
        ("(3, 4)", (3, 4), True),
        ("(3, 4)", (4, 3), False),
        ("adam", "adam", True),
        ("adam", "adamw", False),
        ("8 : 2", 4.0, False),
    ],
)
def test_a_value_agrees_to_its_last_printed_digit(value, ours, same):
    assert agrees(value, ours) is same


def test_a_verdict_is_what_comes_out():
    assert ours_of(ROW, CHECKS) == pytest.approx(78.204723)
    assert verdict_of(ROW, 78.204723) == "match"
    assert verdict_of(ROW, 78.3) == "differs"
    wrong = row(verdict="inconsistent in the paper", note="why")
    assert verdict_of(wrong, 78.3) == "inconsistent in the paper"
    assert verdict_of(wrong, 78.2) == "match"
    needs = row(check="", verdict="needs data", note="a GPU", command="make train")
    assert ours_of(needs, CHECKS) is None
    assert verdict_of(needs, None) == "needs data"
    assert ours_of(row(unit="%"), CHECKS) == 78_204_723
    assert ours_of(row(unit="GFLOPs"), CHECKS) == pytest.approx(0.078204723)


@pytest.mark.parametrize(
    ("value", "ours", "text"),
    [
        ("78.20", 78.204723, "78.20"),
        ("78", 78.0, "78"),
        ("78", 78.25, "78.25"),
        ("9e9", 9, "9"),
        ("far", 0.001, "0.001"),
        ("(1, 2)", (1, 2), "(1, 2)"),
        ("1", None, ""),
    ],
)
def test_ours_is_printed_like_the_value(value, ours, text):
    assert rounded(row(value=value), ours) == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, "needs an id"),
        ({"verdict": "matches"}, "needs a verdict of match, differs"),
        ({"check": ""}, "cannot be 'match' without a check"),
        ({"verdict": "differs"}, "that is 'differs' needs a note"),
        ({"verdict": "needs data", "note": "a GPU", "command": "make"}, "and no check"),
        ({"verdict": "needs data", "check": "", "note": "a GPU"}, "has a command"),
    ],
)
def test_a_row_that_says_too_little_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        row(**changes)


def test_files(tmp_path):
    path = tmp_path / "claims.csv"
    head = ",".join(field.name for field in dataclasses.fields(Claim))
    line = "parameters,Table 2,Parameters,78.20,M,count('a'),match,\"a, b\","
    path.write_text(f"{head}\n{line}\n")
    assert read_claims(path) == [row(note="a, b")]
    path.write_text(f"{head}\n{line}\n{line}\n")
    with pytest.raises(ValueError, match=r"every id once. Received: \['parameters'\]"):
        read_claims(path)
    path.write_text(f"{head}\n{line.replace('match', 'good')}\n")
    with pytest.raises(ValueError, match=r"claims.csv: A claim needs a verdict"):
        read_claims(path)
    path.write_text(f"{head.replace('note', 'notes')}\n{line}\n")
    with pytest.raises(ValueError, match=r"must have the columns \['id', .* Received: .*'notes'"):
        read_claims(path)


def test_the_page():
    needs = row(
        id="b",
        check="",
        verdict="needs data",
        note="HMDB51",
        command="make x && make y",
        claim="a | b",
    )
    papers = {"hst": [(ROW, 78.2), (needs, None)], "tstam": [(ROW, 78.2)]}
    counts = summary(papers)
    assert counts.loc["hst"].tolist() == [1, 0, 0, 1, 2]
    assert counts.loc["all"].tolist() == [2, 0, 0, 1, 3]
    page = ledger(papers, {"hst": "HST", "tstam": "T-STAM"})
    assert "| hst | 1 | 0 | 0 | 1 | 2 |" in page
    assert "\n## T-STAM\n" in page
    assert "| Table 2 | Parameters | 78.20 M | 78.20 M | match | `count('a')` |" in page
    assert (
        "| Table 2 | a \\| b | 78.20 M |  | needs data | `make x`, then `make y`; HMDB51 |" in page
    )
