"""Ports on loopback: one that is free, and whether a given one is."""

import random
import socket
import ssl
import time

LOOPBACK = "127.0.0.1"
# For clients that speak plain HTTP on loopback: to read the machine's certificates takes 50 ms, for each client.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# Below what the kernel hands to outgoing connections: a port from there may be taken before a server binds it.
FREE_PORTS = range(20_000, 32_000)
# A server that was just killed may hold its port for a moment.
PATIENCE_SECONDS = 2.0

_handed_out: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, and that this process has not handed out before."""
    while True:
        port = random.choice(FREE_PORTS)  # noqa: S311 - no secret
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def becomes_free(port: int) -> bool:
    """As `is_free`, with the patience for a server that is just ending."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_free(port):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def is_listening(port: int) -> bool:
    """Whether something takes connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0
