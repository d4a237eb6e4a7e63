"""What a check found: one line for people, and below it what mends it."""

import dataclasses

LONGEST = 300  # letters of another program's message


@dataclasses.dataclass(frozen=True)
class Finding:
    """A line of the doctor.

    Attributes:
        level: "ok"; "warning": vidrec works, but not as well as it could; "error": it stops vidrec.
        name: str, what was looked at.
        text: str, what was found; one line.
        mend: tuple of str, lines to type, or where there is nothing to type, to do.
    """

    level: str
    name: str
    text: str
    mend: tuple = ()

    def told(self):
        """The finding as text: a line, and an indented one for each of `mend`."""
        lines = [f"{self.level:8} {self.name:15} {self.text}"]
        return "\n".join(lines + [f"{'':8} {line}" for line in self.mend])


def ok(name, text):
    return Finding("ok", name, text)


def warning(name, text, *mend):
    return Finding("warning", name, text, mend)


def error(name, text, *mend):
    return Finding("error", name, text, mend)


def one_line(message):
    """Another program's message without line ends, and not longer than a few lines."""
    text = " ".join(str(message).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
