"""What a diagnosis finds."""

import dataclasses

NAMES = ("sure", "likely", "maybe")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """A cause of low accuracy.

    Attributes:
        how: "sure" if it alone explains an accuracy near chance, or one that means nothing;
            "likely"; or "maybe", what costs some points or is only unusual.
        cause: str, in a sentence.
        seen: str, the numbers that tell.
        advice: str, what to do.
    """

    how: str
    cause: str
    seen: str
    advice: str

    def __str__(self):
        return f"{self.how}: {self.cause}\n    seen: {self.seen}\n    do:   {self.advice}"


def ranked(findings):
    """The findings, the likeliest first."""
    return sorted(findings, key=lambda finding: NAMES.index(finding.how))
