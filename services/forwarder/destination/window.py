"""Which share of the connections to a destination is this forwarder's. Pure.

No forwarder asks another: the partitions that it holds divide the connections as they divide the letters. Where there
are fewer connections than partitions, the keeper, who holds the partition that the name falls on, does the work of all.
"""

import hashlib
from functools import lru_cache


@lru_cache(maxsize=16_384)
def home(name: str, partitions: int) -> int:
    """The partition that a destination's name falls on; whoever holds it is the destination's keeper."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % partitions


def is_keepers_alone(window: int, partitions: int) -> bool:
    """Whether so few connections are the keeper's alone, who then sends the letters of all partitions."""
    return window < partitions


@lru_cache(maxsize=16_384)
def share(name: str, window: int, held: frozenset[int], partitions: int) -> int:
    """How many of `window` connections to `name` belong to the forwarder that holds the partitions `held`.

    Over forwarders that hold all `partitions` between them the shares add up to `window`. Asked for each letter, more
    than once.
    """
    first = home(name, partitions)
    if is_keepers_alone(window, partitions):
        return window if first in held else 0
    each, rest = divmod(window, partitions)
    return sum(each + ((partition - first) % partitions < rest) for partition in held)
