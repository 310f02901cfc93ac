"""Our own listeners under all their names."""

import pytest

from services.store.listeners import Listeners
from shared.target import parse

OURS = ["127.0.0.1:2525", "localhost:2525", "127.0.0.9:2525", "0.0.0.0:2525", "[::1]:2525", "[::]:2525"]
OURS += ["[::ffff:127.0.0.1]:2525", "relay.localhost:2525", "HERE.example.com:2525", "here.example.com.:2525"]
NOT_OURS = ["127.0.0.1:2626", "main.example.com:2525", "192.0.2.8:2525", "[2001:db8::2]:2525", "here.example.org:2525"]


@pytest.mark.parametrize("text", OURS)
@pytest.mark.parametrize("own", ["127.0.0.1:2525", "0.0.0.0:2525", "192.0.2.7:26, localhost:2525"])
def test_our_own_listener_is_known_under_all_its_names(own: str, text: str) -> None:
    server = parse(text)
    assert Listeners(own, "here.example.com").include(server.host, server.port)


@pytest.mark.parametrize("text", NOT_OURS)
def test_another_server_is_not_ours(text: str) -> None:
    server = parse(text)
    assert not Listeners("127.0.0.1:2525,192.0.2.7:26", "here.example.com").include(server.host, server.port)


def test_a_listener_on_a_public_address_is_known_by_it() -> None:
    listeners = Listeners("192.0.2.7:26,[2001:db8::1]:26", "here")
    assert listeners.include("192.0.2.7", 26)
    assert listeners.include("2001:db8::1", 26)
    assert not listeners.include("127.0.0.1", 26)


def test_without_listeners_nothing_is_ours() -> None:
    assert not Listeners("", "here").include("127.0.0.1", 25)
