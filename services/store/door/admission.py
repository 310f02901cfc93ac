"""How many sessions there may be, over all doors of a process."""

import ipaddress
from collections import Counter

from shared.settings import Store

# What one household or server has of IPv6 (RFC 6177): whoever has one of its addresses has all of them.
_IPV6_NETWORK_BITS = 64


class Admission:
    """Counts sessions, in all and by client address; one for a process, shared by its doors."""

    def __init__(self, settings: Store) -> None:
        self._most = settings.mailbox_connections
        self._most_of_network = settings.connections_per_address
        self._taken = 0
        self._by_network: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Note a session; False: there are too many, and it must go."""
        network = network_of(address)
        if self._taken >= self._most:
            return False
        if self._by_network[network] >= self._most_of_network and not is_loopback(address):
            return False
        self._taken += 1
        self._by_network[network] += 1
        return True

    def free(self, address: str) -> None:
        """Forget a session that `take` had noted."""
        network = network_of(address)
        self._taken -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


def is_loopback(address: str) -> bool:
    """Whether `address` is of this machine; False for what is no address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK_BITS), strict=False))
