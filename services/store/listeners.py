"""Our own SMTP listeners, which can be nobody's target server. Pure."""

import ipaddress
from collections.abc import Iterable

from shared.target import host_and_port

_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Listeners:
    """Our own SMTP listeners: a target there would send each letter round for ever.

    Compared by literal addresses and the names of this machine; no name is looked up, so a name elsewhere that leads
    here shows by its loop of Received headers only.
    """

    def __init__(self, own: str, hostname: str) -> None:
        """`own` is host:port[,host:port]. Raises TargetRefused."""
        self._names = {*_LOCAL_NAMES, hostname.lower().removesuffix(".")}
        self._places = [host_and_port(place.strip()) for place in own.split(",") if place.strip()]

    def include(self, host: str, port: int) -> bool:
        """Whether `host` and `port` are one of ours."""
        return any(port == own_port and self._same(host, own) for own, own_port in self._places)

    def _same(self, host: str, own: str) -> bool:
        return host == own or (self._is_here(host) and self._is_here(own))

    def _is_here(self, host: str) -> bool:
        if host in self._names or host.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(one.is_loopback or one.is_unspecified for one in _readings(address))


def _readings(address: _Address) -> Iterable[_Address]:
    """The address, and the IPv4 address that it may wrap."""
    yield address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        yield address.ipv4_mapped
