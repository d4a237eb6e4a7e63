"""What is known of a published data set: counts, where it comes from, under which terms."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download:
    """A file that a data set is published in.

    Attributes:
        file: str, its name.
        url: str, its official address, or None: it has to be asked for or found by other means.
        sha256: str of 64 hexadecimal digits where somebody publishes it, else None.
        into: str, folder below the root that it is unpacked or, if it is no archive, copied into.
    """

    file: str
    url: str | None
    into: str
    sha256: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """A published data set.

    Attributes:
        title: str.
        reference: str, the paper.
        page: str, address of the official page.
        licence: str, the terms in a sentence.
        classes: int.
        videos: int, how many there are, or None where that changes with time.
        downloads: tuple of Download.
        max_bytes: int, more than all archives hold when unpacked.
    """

    title: str
    reference: str
    page: str
    licence: str
    classes: int
    videos: int | None
    downloads: tuple[Download, ...]
    max_bytes: int
