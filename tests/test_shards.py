"""Several machines on one set: what each does, and that their rows come together."""

import multiprocessing
import re

import pytest

from vidrec import index_file
from vidrec.shards import Shard
from vidrec.store import Row, Store

IDS = [f"A/v_A_g{group:02d}_c{clip:02d}" for group in range(1, 26) for clip in range(1, 5)]


def visible(root):
    return sorted(path.name for path in root.iterdir() if path.name[0] != ".")


def counts(store):
    return {video_id: row.n_frames for video_id, row in store.rows().items()}


def put(store, **rows):
    """A writing run that appends rows: video_id=n_frames."""
    with store.writing():
        for video_id, n_frames in rows.items():
            store.append(Row(video_id=video_id, label="x", n_frames=n_frames))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_every_video_is_in_one_shard(count):
    shards = [Shard.parse(f"{i}/{count}") for i in range(1, count + 1)]
    parts = [[video_id for video_id in IDS if shard.holds(video_id)] for shard in shards]
    assert sorted(sum(parts, [])) == IDS
    assert min(map(len, parts)) > 0.5 * len(IDS) / count


def test_shards_are_the_same_on_every_machine():
    held = [video_id for video_id in IDS if Shard(2, 4).holds(video_id)]
    assert len(held) == 35
    assert held[:3] == ["A/v_A_g01_c01", "A/v_A_g01_c02", "A/v_A_g02_c03"]
    assert Shard(1, 3).holds("A/\udce9") in (True, False)


@pytest.mark.parametrize(
    "text",
    ["0/4", "5/4", "1/0", "2", "2/4/8", "-1/4", "a/b", "", " 1/2", "1/2\n", "¹/2", 3, (1, 2)],
)
def test_shards_that_are_none(tmp_path, text):
    message = f'`shard` must be "i/n" with 1 <= i <= n, such as "2/4". Received: shard={text!r}'
    for make in (Shard.parse, lambda text: Store(tmp_path, shard=text)):
        with pytest.raises(ValueError, match=re.escape(message) + "$"):
            make(text)


def test_names_sort_and_lead_back():
    names = [Shard(i, 12).index_name for i in range(1, 13)]
    assert names[1] == "index.shard-02-of-12.csv"
    assert names == sorted(names)
    assert Shard(2, 4).index_name == "index.shard-2-of-4.csv"
    assert [Shard.of_index(name) for name in names] == [Shard(i, 12) for i in range(1, 13)]
    for name in ("index.csv", "index.shard-2-of-4.csv.bak", "xindex.shard-2-of-4.csv"):
        assert Shard.of_index(name) is None


def test_a_shard_writes_its_own_index_and_reads_all(tmp_path):
    put(Store(tmp_path), a=1, b=2, c=3)
    first, second = (Store(tmp_path, shard=f"{i}/2") for i in (1, 2))
    assert first.shard == Shard(1, 2)
    assert first.index_path == tmp_path / "index.shard-1-of-2.csv"
    put(first, b=22, d=44)
    put(second, c=33)
    for store in (first, second, Store(tmp_path)):
        assert counts(store) == {"a": 1, "b": 22, "c": 33, "d": 44}
        assert store.index().n_frames.tolist() == [1, 22, 33, 44]
    assert visible(tmp_path) == ["index.csv", first.index_path.name, second.index_path.name]
    assert index_file.read(tmp_path / "index.csv").n_frames.tolist() == [1, 2, 3]


def test_without_an_index_of_its_own_a_shard_has_what_there_is(tmp_path):
    shard = Store(tmp_path, shard="2/2")
    for ask in (shard.index, shard.compact):
        with pytest.raises(FileNotFoundError, match=r"There is no index at .*/index.csv\."):
            ask()
    assert shard.rows() == {}
    put(Store(tmp_path), a=1)
    assert shard.compact().video_id.tolist() == ["a"]
    assert visible(tmp_path) == ["index.csv"]


def test_a_shard_compacts_its_own_index_only(tmp_path):
    put(Store(tmp_path), a=1, b=2)
    first, second = (Store(tmp_path, shard=f"{i}/2") for i in (1, 2))
    put(second, c=3, d=4)
    put(first, e=5, f=6)
    put(first, e=55)
    before = {path: (tmp_path / path).read_bytes() for path in visible(tmp_path)}
    table = first.compact(without=["f", "c", "a"])  # c and a are not its own
    assert dict(zip(table.video_id, table.n_frames, strict=True)) == {
        "a": 1,
        "b": 2,
        "c": 3,
        "d": 4,
        "e": 55,
    }
    after = {path: (tmp_path / path).read_bytes() for path in visible(tmp_path)}
    assert [path for path in before if before[path] != after[path]] == [first.index_path.name]
    assert index_file.read(first.index_path).video_id.tolist() == ["e"]


def test_a_store_without_a_shard_merges(tmp_path):
    put(Store(tmp_path), a=1, b=2)
    put(Store(tmp_path, shard="2/2"), b=22, c=33)
    put(Store(tmp_path, shard="1/2"), d=44)
    table = Store(tmp_path).compact(without=["d"])
    assert dict(zip(table.video_id, table.n_frames, strict=True)) == {"a": 1, "b": 22, "c": 33}
    assert visible(tmp_path) == ["index.csv"]
    assert counts(Store(tmp_path)) == {"a": 1, "b": 22, "c": 33}
    put(Store(tmp_path, shard="1/3"), e=55)  # another count, now that it is merged
    put(Store(tmp_path), e=66, f=77)  # merges before it writes: its row is the newer one
    assert counts(Store(tmp_path)) == {"a": 1, "b": 22, "c": 33, "e": 66, "f": 77}
    assert visible(tmp_path) == ["index.csv"]


def test_shards_alone_merge_into_a_new_index(tmp_path):
    put(Store(tmp_path, shard="2/2"), c=33)
    (tmp_path / "index.shard-1-of-2.csv").write_text("video_i")  # killed in its first line
    assert Store(tmp_path).compact().video_id.tolist() == ["c"]
    assert visible(tmp_path) == ["index.csv"]


def test_shards_of_another_count_wait_for_the_merge(tmp_path):
    put(Store(tmp_path, shard="3/4"), a=1)
    text = re.escape(
        f"`shard` must be of as many parts as {tmp_path}/index.shard-3-of-4.csv, until that is "
        "merged. Received: shard='3/5'. `vidrec merge` merges them."
    )
    for ask in (
        lambda: put(Store(tmp_path, shard="3/5"), b=2),
        Store(tmp_path, shard="3/5").compact,
    ):
        with pytest.raises(ValueError, match=text):
            ask()
    put(Store(tmp_path, shard="4/4"), b=2)
    assert counts(Store(tmp_path, shard="3/5")) == {"a": 1, "b": 2}  # reading is free
    Store(tmp_path).compact()
    put(Store(tmp_path, shard="3/5"), b=3)
    assert counts(Store(tmp_path)) == {"a": 1, "b": 3}


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_a_merge_killed_before_the_shards_are_gone(tmp_path, monkeypatch, removed):
    put(Store(tmp_path), a=1)
    for i in (1, 2, 3):
        put(Store(tmp_path, shard=f"{i}/3"), **{f"v{i}": 10 * i})
    shards = [tmp_path / Shard(i, 3).index_name for i in (1, 2, 3)]
    left = {path: path.read_bytes() for path in shards[removed:]}
    merged = counts(Store(tmp_path))
    Store(tmp_path).compact()
    for path, data in left.items():  # as a kill at this moment would leave them
        path.write_bytes(data)
    assert counts(Store(tmp_path)) == merged == {"a": 1, "v1": 10, "v2": 20, "v3": 30}
    put(Store(tmp_path, shard="3/3"), v3=31)
    put(Store(tmp_path), v2=21)
    assert counts(Store(tmp_path)) == {**merged, "v2": 21, "v3": 31}
    assert visible(tmp_path) == ["index.csv"]


def test_a_reader_beside_a_merge_sees_every_row(tmp_path, monkeypatch):
    """The merge happens between the reader's look at the shards and its look at index.csv."""
    put(Store(tmp_path), a=1)
    put(Store(tmp_path, shard="1/1"), b=2)
    read = index_file.read

    def merge_then_read(path):
        if path.name == "index.csv":
            monkeypatch.setattr(index_file, "read", read)
            Store(tmp_path).compact()
        return read(path)

    monkeypatch.setattr(index_file, "read", merge_then_read)
    assert counts(Store(tmp_path)) == {"a": 1, "b": 2}
    assert visible(tmp_path) == ["index.csv"]


def write_rows(root, shard, begin):
    store = Store(root, shard=shard)
    begin.wait(60)
    for video_id in IDS:
        if store.shard.holds(video_id):
            with store.writing():
                store.append(Row(video_id=video_id, label="A", n_frames=store.shard.number))


def test_three_shards_write_side_by_side(tmp_path):
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(3)
    writers = [
        context.Process(target=write_rows, args=(tmp_path, f"{i}/3", begin)) for i in (1, 2, 3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    table = Store(tmp_path).compact()
    assert table.video_id.tolist() == IDS
    for i in (1, 2, 3):
        assert all(Shard(i, 3).holds(name) for name in table.video_id[table.n_frames == i])
    assert visible(tmp_path) == ["index.csv"]
