"""The ledger of all claims as a page and as counts."""

import pandas as pd

from vidrec.evaluation.claims import NEEDS_DATA, VERDICTS, rounded

HEAD = """# What the papers claim, and what came out

Made by `vidrec claims` of the files `claims.csv` beside it; a test holds it up to date. Every
number of the papers' tables and text that can be checked has a row. "Ours" is computed by the
check, from our networks, configurations and data sets, or from the paper's other numbers; a value
agrees if it does to the last digit that is printed. What needs data that are not here has the
command that would check it. Work is counted in multiply-adds (`vidrec/models/macs.py`); one is 2
FLOPs of those who count both.
"""


def summary(papers):
    """How many claims there are of each verdict.

    Args:
        papers: dict of the papers' names to lists of (Claim, ours).

    Returns:
        int DataFrame, rows the papers and "all", columns the verdicts and "all".
    """
    verdicts = {paper: [claim.verdict for claim, _ in rows] for paper, rows in papers.items()}
    table = pd.DataFrame(
        {paper: [found.count(v) for v in VERDICTS] for paper, found in verdicts.items()},
        index=list(VERDICTS),
    ).T
    table.loc["all"] = table.sum()
    return table.assign(all=table.sum(axis=1))


def ledger(papers, titles):
    """The page, Markdown; `titles`: of the papers, by name."""
    counts = summary(papers)
    parts = [HEAD, _table(["paper", *counts.columns], counts.reset_index().to_numpy().tolist())]
    for paper, rows in papers.items():
        parts.append(f"## {titles[paper]}\n\n`{paper}/claims.csv`\n")
        lines = [_line(claim, ours) for claim, ours in rows]
        parts.append(_table(["section", "claim", "paper", "ours", "verdict", "how, why"], lines))
    return "\n".join(parts)


def _line(claim, ours):
    unit = f" {claim.unit}" if claim.unit else ""
    how = f"`{claim.check}`" if claim.check else ""
    if claim.verdict == NEEDS_DATA:
        how = ", then ".join(f"`{one}`" for one in claim.commands)
    how = "; ".join(filter(None, [how, claim.note]))
    ours = f"{rounded(claim, ours)}{unit}" if claim.check else ""
    return [claim.section, claim.claim, f"{claim.value}{unit}", ours, claim.verdict, how]


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
