"""Deletes against claims: whoever answered `cancelled` must never find the letter at the main server.

make campaign NAME=races
"""

import asyncio
import random
from collections import Counter

from rich.table import Table

from tests.campaigns.stage import ANN, of_rows, play, set_up
from tests.kit.mainserver import plain, slow
from tests.kit.patience import until
from tests.kit.sender import letters
from tests.kit.system import System

DELETERS = 20
# Slow enough that deletes and claims meet in the middle.
SECONDS_A_LETTER = 0.05


async def deletes_race_claims(system: System, *, count: int) -> Table:
    """Fails where one answered `cancelled` was sent, or one was lost."""
    await system.main.go_away()
    await system.send(letters(count, ANN), connections=20)

    async def all_there() -> list[str]:
        found = [letter["id"] for letter in await system.api.letters(ANN)]
        return found if len(found) == count else []

    names = await until(all_there, within=120, pause=0.5, what=f"{count} letters in the mailbox")
    random.shuffle(names)
    system.main.temper = slow(SECONDS_A_LETTER)
    await system.main.come_back()
    await system.main.has_begun(1)
    answers: Counter[str] = Counter()
    left = iter(names)

    async def deleter() -> None:
        for name in left:
            answers[await system.delete(name)] += 1

    await asyncio.gather(*(deleter() for _ in range(DELETERS)))
    system.main.temper = plain
    await system.settle(within=120)
    await system.check()
    return of_rows(
        ("letters", count),
        *((f"deletes answered {answer}", number) for answer, number in sorted(answers.items())),
        ("at the main server", len(system.main.taken)),
        ("answered cancelled and yet sent", 0),
    )


async def campaign() -> Table:
    async with set_up() as stage:
        return await deletes_race_claims(stage.system, count=2000)


if __name__ == "__main__":
    play("races", campaign)
