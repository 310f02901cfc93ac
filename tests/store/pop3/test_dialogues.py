"""Plays every dialogue of the folder (language: tests/dialogues/script.py). `set letters` says what Ann has."""

from pathlib import Path

import pytest

from tests.dialogues import script
from tests.dialogues.talk import Talk
from tests.store.pop3.conftest import Opening

FOLDER = Path(__file__).parent / "dialogues"
LETTERS = {
    "one": b"Subject: one\r\n\r\nfirst\r\nsecond\r\nthird\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n...y\r\n\r\n.\r\n",
    "bare": b"Subject: bare\n\n.",
}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
async def test_dialogue(file: Path, opening: Opening) -> None:
    dialogue = script.read(file)
    letters = dialogue.settings.pop("letters", "").split()
    async with opening(**dialogue.settings) as counter:
        for name in letters:
            await counter.office.arrive(1, raw=LETTERS[name])
        talk = Talk(counter.door.port)
        await talk.follow(dialogue, talk.take)
        talk.close()
