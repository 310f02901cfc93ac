"""Every letter of the corpus in our mailbox and in Dovecot's: all that IMAP tells of them, compared by what it means.

make campaign NAME=oracle
"""

import time
from collections import Counter

from rich.markup import escape
from rich.table import Table

from tests.campaigns.stage import play, set_up
from tests.kit import corpus
from tests.kit.dovecot import dovecot
from tests.kit.mailserver import of_dovecot, of_system
from tests.kit.system import System
from tests.store.imap.oracle.corpus import Unlike, compare, is_spared
from tests.store.imap.oracle.deliver import deliver


async def letters_are_told_as_dovecot_tells_them(system: System, *, every: int = 1) -> Table:
    """Fails where an item differs that is not known to."""
    ours = of_system(system)
    address = await ours.new_user()
    await deliver(system, address, corpus.letters(address, every=every))
    began = time.monotonic()
    with dovecot() as server:
        letters, compared, unlike = await compare(ours, address, of_dovecot(server))
    new = [one for one in unlike if not is_spared(one)]
    assert not new, f"{len(new)} values differ, {_by_item(new)}:\n" + "\n".join(map(str, new[:20]))
    spared = _by_item(unlike)
    table = Table("item", "compared", "known to differ", title=f"{letters} letters in {time.monotonic() - began:.0f} s")
    for item, count in sorted(compared.items()):
        table.add_row(escape(item), str(count), str(spared[item]))
    return table


def _by_item(unlike: list[Unlike]) -> Counter[str]:
    return Counter(one.kind for one in unlike)


async def campaign() -> Table:
    async with set_up() as stage:
        return await letters_are_told_as_dovecot_tells_them(stage.system)


if __name__ == "__main__":
    play("oracle", campaign)
