"""A file of predictions, row by row: they do not fill memory, and are kept if the user stops."""

import contextlib
import csv
import io
import json
from pathlib import Path

from vidrec.files import new_file

SUFFIXES = (".json", ".csv")
COLUMNS = ("video", "start_s", "end_s", "rank", "class", "probability")


@contextlib.contextmanager
def rows_file(path):
    """Yields `write(row)`, see `vidrec.experiment.predict.Part.row`.

    Args:
        path: a `.json` file, which becomes a list of the rows, or a `.csv` file, which has a line
            for each class of each row; it appears when the block ends. None for no file.
    """
    if path is None:
        yield lambda row: None
        return
    with new_file(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        if Path(path).suffix.lower() == ".csv":
            table = csv.writer(text)
            table.writerow(COLUMNS)
            yield lambda row: table.writerows(_lines(row))
        else:
            separators = iter(["\n"])
            text.write("[")
            yield lambda row: text.write(next(separators, ",\n") + json.dumps(row))
            text.write("\n]\n")
        text.detach()  # with all that it holds, and leaves the file open


def _lines(row):
    """A line for each class of a row."""
    for rank, one in enumerate(row["top"], 1):
        yield row["video"], row["start_s"], row["end_s"], rank, one["class"], one["probability"]
