"""Every twentieth letter of the corpus in both servers; `make campaign NAME=oracle` takes them all."""

from tests.kit import corpus
from tests.kit.mailserver import MailServer
from tests.kit.system import System
from tests.store.imap.oracle.corpus import compare, is_spared
from tests.store.imap.oracle.deliver import deliver

EVERY = 20


async def test_real_letters_are_told_as_dovecot_tells_them(
    own_system: System, ours: MailServer, theirs: MailServer
) -> None:
    address = await ours.new_user()
    sent = await deliver(own_system, address, corpus.letters(address, every=EVERY))
    letters, compared, unlike = await compare(ours, address, theirs)
    assert letters == sent
    assert compared["ENVELOPE"] == compared["BODYSTRUCTURE"] == sent
    new = [one for one in unlike if not is_spared(one)]
    assert not new, f"{len(new)} values differ:\n" + "\n".join(map(str, new[:10]))
