"""Verbs for what came out: the claims of the papers."""

from vidrec.cli.options import add_verb


def claims(options):
    from vidrec.experiment.claims import LEDGER, run_claims

    print(run_claims(options.folder).to_string())
    print(f"{options.folder}/{LEDGER}")


def add(verbs):
    """Adds these verbs."""
    text = "check what the papers claim, and write the ledger"
    new = add_verb(verbs, "claims", claims, text)
    text = "the experiments, with claims.csv beside each paper's; default experiments"
    new.add_argument("folder", nargs="?", default="experiments", help=text)
