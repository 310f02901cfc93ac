"""From claimed documents to what is sent: whose client, whose target."""

from dataclasses import replace

from services.forwarder.client import Client
from services.forwarder.load import Job, Loader
from shared.letter import Mode
from shared.mailbox.users import Target, User, Users
from shared.sealing import Seal
from tests.kit.letters import NOW, TARGET, Room, a_letter

ANN = User(
    address="ann@example.test",
    mode=Mode.STORE_AND_FORWARD,
    created_at=NOW,
    target_address="ann@main.test",
    target=Target(TARGET, "main.example.test", 25),
    pass_client="xclient",
)
KNOWN = {"address": "192.0.2.7", "helo": "mx.example.org"}


async def _jobs(room: Room, user: User, *clients: dict[str, str] | None) -> list[Job]:
    await Users(room.database).add(user)
    names = await room.put(*[a_letter(client=client) for client in clients])
    await room.claims.claim(names, "forwarder", "token", NOW)
    letters = await room.claims.of_token(names, "token")
    loader = Loader(Users(room.database), room.bodies, Seal(b"a key that is long enough"), None)
    return (await loader.load(letters, TARGET, "token", "forwarder")).jobs


async def test_a_letter_goes_with_the_client_that_handed_it_in(room: Room) -> None:
    known, unknown = await _jobs(room, ANN, KNOWN, None)
    assert known.envelope.client == Client("192.0.2.7", None, "mx.example.org")
    assert unknown.envelope.client is None
    assert known.route.pass_client == "xclient"


async def test_a_target_is_told_of_no_client_unless_its_user_wants_that(room: Room) -> None:
    (job,) = await _jobs(room, replace(ANN, pass_client="none"), KNOWN)
    assert job.route.pass_client == "none"
