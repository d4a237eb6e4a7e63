"""Every data set has the one interface, and says the truth about itself."""

import re
from pathlib import Path
from typing import get_args

import pytest

from tests.conftest import PACKAGE, PROJECT
from vidrec.cli.options import DATASETS as TEXT
from vidrec.config.data import Data
from vidrec.datasets.dataset import Dataset
from vidrec.datasets.registry import DATASETS, get

PUBLISHED = sorted(name for name, dataset in DATASETS.items() if dataset.facts)


def test_names_are_the_same_everywhere():
    assert tuple(DATASETS) == get_args(Data.model_fields["dataset"].annotation)
    assert re.findall(r"\w+", TEXT.replace(" or ", ", ")) == list(DATASETS)
    files = {path.stem for path in (PACKAGE / "datasets").glob("*.py")}
    assert set(DATASETS) <= files
    assert all(dataset.name == name for name, dataset in DATASETS.items())
    with pytest.raises(ValueError, match="must be one of folder, ucf101.*Received: 'ucf50'"):
        get("ucf50")


def test_every_published_data_set_has_its_script():
    scripts = {path.stem for path in (PROJECT / "preprocessing").glob("prepare_*.py")}
    assert scripts == {f"prepare_{name}" for name in PUBLISHED}


@pytest.mark.parametrize("name", DATASETS)
def test_interface(name):
    dataset = get(name)
    assert isinstance(dataset, Dataset)
    for method in ("videos", "classes", "splits", "split", "checked", "listed"):
        assert callable(getattr(dataset, method))
    if dataset.official:
        with pytest.raises(FileNotFoundError, match="--lists"):
            dataset.locate(None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_facts(name):
    dataset = get(name)
    facts = dataset.facts
    assert re.search(r"\d{4}", facts.reference)
    assert facts.page.startswith("https://")
    assert facts.licence.endswith(".")
    assert bool(dataset.sizes) != bool(dataset.official)
    assert bool(dataset.folds) != bool(dataset.official)
    if dataset.sizes:
        assert (sum(dataset.sizes.values()), len(dataset.sizes)) == (facts.videos, facts.classes)
    for sizes in dataset.official.values():
        assert sizes is None or sum(sizes.values()) <= facts.videos
    places = [(download.into, download.file) for download in facts.downloads]
    assert len(set(places)) == len(places) > 0
    for download in facts.downloads:
        assert download.url.startswith("https://")
        assert download.url.endswith(f"/{download.file}")
        assert Path(download.into).name == download.into
        assert download.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", download.sha256)
