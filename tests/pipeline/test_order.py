import numpy as np
import pytest

from vidrec.pipeline.order import SHUFFLE_ORDERS, Order, steps_per_epoch


def order(**changes):
    return Order(**{"videos": 23, "batch_size": 6, "seed": 5, "epochs": 7} | changes)


def numbers(one, **start):
    return [int(number) for number in one.numbers(**start)]


def videos(one, **start):
    return [int(one.video(number)) for number in one.numbers(**start)]


def test_a_run_has_full_batches_and_goes_on_at_any_step():
    assert steps_per_epoch(23, 6) == 3
    assert numbers(order()) == list(range(7 * 18))
    for epoch, step in [(0, 0), (0, 2), (3, 0), (6, 2), (2, 3), (7, 0)]:
        expected = list(range(18 * epoch + 6 * step, 126))
        assert numbers(order(), first_epoch=epoch, first_step=step) == expected


@pytest.mark.parametrize("shuffle_order", SHUFFLE_ORDERS)
def test_the_video_depends_on_the_number_alone(shuffle_order):
    one = order(shuffle_order=shuffle_order)
    whole = videos(one)
    assert set(whole) == set(range(23))
    assert videos(one, first_epoch=4, first_step=1) == whole[4 * 18 + 6 :]
    assert videos(order(shuffle_order=shuffle_order, seed=6)) != whole
    longer = videos(order(shuffle_order=shuffle_order, epochs=9))
    assert (longer[: len(whole)] == whole) is (shuffle_order == "shuffle_first")


def test_shuffle_first_takes_a_video_at_most_once_an_epoch():
    epochs = np.reshape(videos(order()), (7, 18))
    assert all(len(set(one)) == 18 for one in epochs)
    assert len({tuple(one) for one in epochs}) == 7


@pytest.mark.parametrize("workers", [2, 3, 6])
@pytest.mark.parametrize("start", [{}, {"first_epoch": 2, "first_step": 1}])
def test_workers_together_take_each_example_once(workers, start):
    """And in the places where one worker alone would have them."""
    shards = [order(shard=(worker, workers)) for worker in range(workers)]
    assert {one.own_batch_size for one in shards} == {6 // workers}
    parts = [np.reshape(numbers(one, **start), (-1, 6 // workers)) for one in shards]
    np.testing.assert_array_equal(np.hstack(parts).ravel(), numbers(order(), **start))


@pytest.mark.parametrize("batch_size", [0, 24])
def test_a_batch_that_cannot_be_filled_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"Received: batch_size={batch_size}, videos=23"):
        order(batch_size=batch_size)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a multiple of the 4 workers. Received: batch_size=6"):
        order(shard=(0, 4))
    for shard in [(2, 2), (-1, 2), (0, 0)]:
        with pytest.raises(ValueError, match=r"0 <= worker < workers. Received: shard=\("):
            order(shard=shard)
    with pytest.raises(ValueError, match=r"\('shuffle_first', 'repeat_first'\). .*order='paper'"):
        order(shuffle_order="paper")
