"""Connections are divided as partitions are, and never more than there may be."""

import pytest

from services.forwarder.destination.window import home, is_keepers_alone, share

NAMES = [f"main{number}.example.test:25" for number in range(40)]


def _divided(partitions: int, members: int) -> list[frozenset[int]]:
    return [frozenset(range(member, partitions, members)) for member in range(members)]


@pytest.mark.parametrize("members", range(1, 13))
@pytest.mark.parametrize("window", [1, 2, 11, 12, 13, 20, 80])
def test_shares_of_all_forwarders_add_up_to_the_window(members: int, window: int) -> None:
    for name in NAMES:
        assert sum(share(name, window, held, 12) for held in _divided(12, members)) == window


def test_where_connections_are_few_the_keeper_has_them_all() -> None:
    for name in NAMES:
        shares = {home(name, 12) in held: share(name, 5, held, 12) for held in _divided(12, 3)}
        assert shares == {True: 5, False: 0}


def test_every_partition_has_a_connection_where_there_are_as_many() -> None:
    assert all(share(NAMES[0], 12, frozenset({partition}), 12) == 1 for partition in range(12))
    assert is_keepers_alone(11, 12)
    assert not is_keepers_alone(12, 12)


def test_names_fall_on_all_partitions() -> None:
    assert len({home(name, 12) for name in NAMES}) > 8
