"""Who handed a letter in, told to the main server where the user's target asks for it: for its lists and its SPF."""

import pytest

from tests.kit.ledger import is_letter_behind_header
from tests.kit.patience import until
from tests.kit.scribe import Scribe
from tests.kit.sender import letters
from tests.kit.system import System

# The tests' sender comes from loopback and greets as sender.test.
TOLD = {
    "xclient": [b"XCLIENT NAME=[UNAVAILABLE] ADDR=127.0.0.1 HELO=sender.test"],
    "xforward": [b"XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 HELO=sender.test SOURCE=REMOTE"],
    "none": [],
}


@pytest.mark.parametrize("asked", TOLD)
async def test_the_main_server_learns_of_the_client_as_the_user_has_set_it(system: System, asked: str) -> None:
    address = f"passing-{asked}@example.test"
    async with Scribe() as main:
        await system.api.add_user(address, f"127.0.0.1:{main.port}")
        await system.api.change_user(address, pass_client=asked)
        (sent,) = await system.send(letters(1, address))

        async def is_kept() -> bool:
            return bool(main.kept)

        await until(is_kept, what="the letter at the main server")
        await system.settle()
        said = [line for line in main.heard if line.startswith((b"XCLIENT", b"XFORWARD"))]
        assert said == TOLD[asked]
        assert (main.kept[0].sender, main.kept[0].recipients) == (sent.letter.sender, (f"passing-{asked}@main.test",))
        assert is_letter_behind_header(main.kept[0].raw, sent.letter.raw)
