"""One part of a set of videos, so that several machines extract one set side by side."""

import dataclasses
import hashlib
import re

_TEXT = re.compile(r"([0-9]+)/([0-9]+)")
_INDEX = re.compile(r"index\.shard-([0-9]+)-of-([0-9]+)\.csv")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, 1 <= number <= count; as text "2/4".

    Raises:
        ValueError: if the numbers are outside that range.
    """

    number: int
    count: int

    def __post_init__(self):
        if not 1 <= self.number <= self.count:
            raise ValueError(_message(str(self)))

    @classmethod
    def parse(cls, text):
        """A Shard of a text such as "2/4".

        Raises:
            ValueError: if it is no such text.
        """
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise ValueError(_message(text))
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_index(cls, name):
        """The Shard whose index has this file name; None if it is no shard's."""
        match = _INDEX.fullmatch(name)
        return cls(int(match[1]), int(match[2])) if match else None

    @property
    def index_name(self):
        """File name of the shard's index; the names of a store's shards sort by number."""
        return f"index.shard-{self.number:0{len(str(self.count))}}-of-{self.count}.csv"

    def holds(self, video_id):
        """Whether a video belongs to this part: a hash of its id says so, on every machine."""
        digest = hashlib.sha256(video_id.encode(errors="surrogatepass")).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1

    def __str__(self):
        return f"{self.number}/{self.count}"


def _message(received):
    return f'`shard` must be "i/n" with 1 <= i <= n, such as "2/4". Received: shard={received!r}'
