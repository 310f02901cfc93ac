"""Who is let in."""

import asyncio

import pytest
from aiosmtpd.smtp import Session

from services.ingest import replies
from services.ingest.budget import Budget
from services.ingest.handler import Handler, letters_to
from services.ingest.listener import Listener
from services.ingest.recipients import Recipients
from services.ingest.server import IngestSMTP
from shared.bus.producer import Producer
from shared.mailbox.connect import connect
from shared.mailbox.users import Users
from shared.settings import Ingest

AWAY = {"kafka_bootstrap": "127.0.0.1:1", "mongodb_url": "mongodb://127.0.0.1:1/"}


@pytest.fixture
async def listener() -> Listener:
    settings = Ingest(**AWAY, connections=4, connections_per_address=2)  # type: ignore[arg-type]
    recipients = Recipients(Users(connect(settings)), None)
    letters = letters_to(Producer(settings, "test"), settings)
    return Listener(settings, Handler(settings, letters, recipients), Budget(1024))


def client(listener: Listener, address: str) -> IngestSMTP:
    smtp = IngestSMTP(listener)
    smtp.session = Session(asyncio.get_running_loop())
    smtp.session.peer = address
    return smtp


async def test_one_address_does_not_take_all_places(listener: Listener) -> None:
    first, second = client(listener, "192.0.2.1"), client(listener, "192.0.2.1")
    assert listener.admit(first) is None
    assert listener.admit(second) is None
    assert listener.admit(client(listener, "192.0.2.1")) is replies.TOO_MANY_FROM_ADDRESS
    assert listener.admit(client(listener, "192.0.2.2")) is None
    listener.forget(first)
    assert listener.admit(client(listener, "192.0.2.1")) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1"])
async def test_loopback_is_exempt_from_the_limit_by_address_and_not_from_that_of_all(
    listener: Listener, address: str
) -> None:
    for _ in range(4):
        assert listener.admit(client(listener, address)) is None
    assert listener.admit(client(listener, address)) is replies.TOO_MANY_CONNECTIONS


async def test_a_refused_session_frees_no_place(listener: Listener) -> None:
    for _ in range(4):
        listener.admit(client(listener, "127.0.0.1"))
    refused = client(listener, "127.0.0.1")
    assert listener.admit(refused) is not None
    listener.forget(refused)
    assert listener.admit(client(listener, "127.0.0.1")) is replies.TOO_MANY_CONNECTIONS
