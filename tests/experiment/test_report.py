"""The report: what stands on the page, and what it looks like in a browser."""

import base64
import html.parser
import io
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.browser import BROWSER
from tests.experiment.conftest import STAGE, assert_nothing_overlaps, experiment, texts
from tests.experiment.test_diagnosis import SMALL
from tests.experiment.test_ports import T_STAM
from vidrec import cli
from vidrec.evaluation.scores import Scores, load_scores
from vidrec.experiment import evidence, sheet_page
from vidrec.experiment.evaluate import evaluate
from vidrec.experiment.evidence import draw_evidence, surest
from vidrec.experiment.report import report
from vidrec.experiment.runs import load_stream
from vidrec.experiment.splits import split_videos
from vidrec.experiment.train import train

STREAM = {"stages": [{**STAGE, "name": "all", "epochs": 1, "schedule": {"rate": 0.001}}]}

pytestmark = pytest.mark.filterwarnings("ignore:\\d+ videos are so short", "ignore:.* has 6 frames")


@pytest.fixture(scope="module")
def out(root, tmp_path_factory):
    """Two evaluated experiments: two streams of T-STAM, and VCM-SDD."""
    out = tmp_path_factory.mktemp("runs")
    for name, streams, sections in (
        ("<two> & streams", {"spatial": STREAM, "temporal": STREAM}, T_STAM),
        ("joint", {"joint": STREAM}, SMALL),
    ):
        plan = experiment(root, streams=streams, **sections)
        plan = plan.model_copy(update={"name": name})
        for stream in streams:
            train(plan, stream, out)
        evaluate(plan, out)
    return out


class Page(html.parser.HTMLParser):
    """Text and images of a page, and what it would load from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.text, self.images, self.elsewhere, self.open = [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("meta", "img", "link", "hr"):
            self.open.append(tag)
        source = given.get("src") or given.get("href")
        if tag == "img" and source.startswith("data:image/"):
            content = base64.b64decode(source.partition(",")[2])
            self.images.setdefault(given["alt"], []).append(Image.open(io.BytesIO(content)))
        elif source:
            self.elsewhere.append(source)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(" ".join(data.split()))

    def words(self):
        return " ".join(filter(None, self.text))


def test_the_page_has_everything_and_needs_nothing(out, tmp_path):
    path = tmp_path / "report.html"
    report([out / "<two> & streams", out / "joint"], path, claims=tmp_path)
    page = Page(path.read_text())
    assert page.open == []
    assert page.elsewhere == []
    words = page.words()
    assert "<two> & streams model tstam" in re.sub(" ·.*?(?= )", "", words)
    for name in ("<two> & streams", "joint"):
        summary = pd.read_csv(out / name / "evaluation/summary.csv", index_col="stream")
        for stream, row in summary.iterrows():
            low, high = f"{row.interval_low:.1%}", f"{row.interval_high:.1%}"
            drawn = f"{row.top1_low:.1%} to {row.top1_high:.1%}"
            assert f"{stream} {row.top1:.1%} {drawn} {low} to {high} {row.top5:.1%}" in words
    assert "Test: centre, intervals, 4 segments, 10 crops averaged on probabilities." in words
    assert "No claims of a paper are known for this experiment" in words
    fused = load_scores(out / "<two> & streams/evaluation/fused.npz")
    pair = pd.read_csv(out / "<two> & streams/evaluation/fused_confused_pairs.csv").iloc[0]
    of = (fused.label == list(fused.classes).index(pair.true)).sum()
    assert f"{pair.true} taken for {pair.predicted} : {pair.videos} of {of} videos" in words
    assert page.images[pair.true][0].size == (160, 160)
    assert set(page.images) >= {
        "curves of the spatial stream",
        "curves of the joint stream",
        "evidence of the temporal stream",
        "evidence of the joint stream",
    }
    assert len(page.images["confusion matrix"]) == 2
    assert "width: 0.0625" in words  # the configuration
    assert path.stat().st_size < 20 * 2**20


def test_the_paper_s_figures_stand_beside_ours(out, tmp_path):
    """Those whose command is of the experiment's file."""
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "good.yaml").write_text("name: joint\nseed: 0\n")
    (folder / "other.yaml").write_text("name: other\n")
    row = {"id": "a", "section": "Table 9", "claim": "Ours", "value": "92.2", "unit": "%"}
    row |= {"check": "", "verdict": "needs data", "note": "UCF101"}
    rows = [
        row | {"command": "make train; make evaluate CONFIG=experiments/paper/good.yaml"},
        row
        | {
            "id": "d",
            "claim": "A stage",
            "command": "make train CONFIG=experiments/paper/good.yaml",
        },
        row
        | {
            "id": "b",
            "claim": "Others",
            "command": "make train CONFIG=experiments/paper/other.yaml",
        },
        row
        | {
            "id": "c",
            "claim": "Time",
            "unit": "h",
            "command": "make CONFIG=experiments/paper/good.yaml",
        },
    ]
    pd.DataFrame(rows).to_csv(folder / "claims.csv", index=False)
    report([out / "joint"], tmp_path / "r.html", claims=tmp_path, evidence=False)
    words = Page((tmp_path / "r.html").read_text()).words()
    top = pd.read_csv(out / "joint/evaluation/summary.csv").top1.iloc[0]
    assert f"Table 9 Ours 92.2 % {top:.1%} UCF101" in words
    assert "Table 9 A stage 92.2 % UCF101" in words
    assert "Table 9 Time 92.2 h UCF101" in words
    assert "Others" not in words


def test_without_the_videos(out, root, tmp_path, capsys):
    path = tmp_path / "r.html"
    command = ["report", str(out / "joint"), "--out", str(path), "--data", str(tmp_path / "none")]
    assert cli.main(command) == 0
    page = Page(path.read_text())
    assert "The frames and flow of these videos are not here" in page.words()
    assert not any(name.startswith("evidence") for name in page.images)
    assert cli.main(["report", str(root)]) == 2
    assert "must hold an evaluation: run `vidrec evaluate`" in capsys.readouterr().err


def test_the_surest_of_different_classes_come_first():
    """Right: v0 (sure), v1 of the same class, v2. Wrong: v3."""
    logits = [[9, 0, 0], [8, 0, 0], [0, 2, 0], [5, 0, 0], [0, 3, 0]]
    scores = Scores(
        video_id=[f"v{i}" for i in range(5)],
        logits=np.array(logits, float),
        label=np.array([0, 0, 1, 2, 0]),
        classes=("a", "b", "c"),
        stamp={},
    )
    assert surest(scores, 2) == [0, 2, 3, 4]
    assert surest(scores, 9) == [0, 2, 1, 3, 4]
    assert surest(scores, 1) == [0, 3]


@pytest.mark.parametrize(
    ("name", "stream", "heats"),
    [
        ("<two> & streams", "temporal", ["Grad-CAM", "attention"]),
        ("joint", "joint", ["Grad-CAM", "attention (MFF)"]),
    ],
)
def test_what_is_on_a_picture_of_evidence(out, tmp_path, monkeypatch, name, stream, heats):
    pages = []
    monkeypatch.setattr(
        evidence, "Page", lambda *a, **k: pages.append(sheet_page.Page(*a, **k)) or pages[-1]
    )
    trained = load_stream(out / name / stream)
    plan = trained.experiment
    found = load_scores(out / name / f"evaluation/{stream}.npz")
    videos = split_videos(plan)[0].test
    shown = draw_evidence(trained, plan, videos, found, tmp_path / "e.png", each=2)
    with Image.open(tmp_path / "e.png") as image:
        assert image.width > 1000
    (page,) = pages
    assert_nothing_overlaps(page.figure)
    written = texts(page.figure)
    rows = {row: i for i, row in enumerate(found.video_id)}
    for video, right in shown:
        logits = found.logits[rows[video]]
        label = found.label[rows[video]]
        assert (logits.argmax() == label) == right
        share = np.exp(logits - logits.max()).max() / np.exp(logits - logits.max()).sum()
        assert f"{share:.1%}  {found.classes[logits.argmax()]}" in written
        assert right or any(text.startswith(f"is {found.classes[label]} (") for text in written)
    for title in heats:
        assert written.count(title) == len(shown)
    assert sum(right for _, right in shown) <= 2


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
def test_in_a_browser(out, tmp_path):
    """Nothing stands beyond the page's edges, at the width of a screen and of a phone."""
    path = tmp_path / "report.html"
    report([out / "<two> & streams", out / "joint"], path, claims=tmp_path)
    for width in (1280, 500):
        shot = tmp_path / f"{width}.png"
        look = [f"--window-size={width},9000", f"--screenshot={shot}", "--hide-scrollbars"]
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *look, path.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(shot) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        assert pixels.shape[1] == width
        back = pixels[2, 2]
        for edge in (pixels[:, :8], pixels[:, -8:]):
            assert np.abs(edge - back).max() == 0
        ink = np.abs(pixels - back).sum(axis=2) > 200
        filled = ink.any(axis=1).nonzero()[0]
        assert filled[-1] > 3000  # the page is long, and drawn to its end
        assert len(np.unique(pixels.reshape(-1, 3)[::97], axis=0)) > 500  # pictures
