"""What Dovecot 2.3 does not have, and so cannot be compared with: IMAP4rev2, OBJECTID, UTF8=ACCEPT; and TLS."""

import asyncio
import imaplib
import ssl

from tests.kit.imapwire import Wire, literal
from tests.kit.office import ANN
from tests.store.imap.conftest import PASSWORD, Counter, ok


async def test_rev2_is_told_of_the_folder_and_of_searches_in_its_own_way(counter: Counter) -> None:
    await counter.office.arrive(2)
    async with await counter.ann(select=None) as wire:
        assert (await ok(wire, "ENABLE IMAP4rev2")).untagged == [b"ENABLED IMAP4rev2"]
        told = (await ok(wire, "SELECT INBOX")).untagged
        assert b'LIST () "/" INBOX' in told
        assert not [line for line in told if b"RECENT" in line or b"UNSEEN" in line]
        (found,) = (await ok(wire, "SEARCH ALL")).untagged
        assert found.startswith(b"ESEARCH (TAG ")
        assert found.endswith(b"ALL 1:2")


async def test_a_folder_and_a_letter_have_ids_that_stay(counter: Counter) -> None:
    await counter.office.arrive(1)
    async with await counter.ann() as wire:
        status = (await ok(wire, "STATUS INBOX (MAILBOXID)")).untagged[0]
        email = (await ok(wire, "FETCH 1 (EMAILID THREADID)")).untagged[0]
        assert b"THREADID NIL" in email
        await ok(wire, "CREATE kept")
        await ok(wire, "COPY 1 kept")
        await ok(wire, "RENAME kept moved")
        await ok(wire, "SELECT moved")
        assert (await ok(wire, "FETCH 1 (EMAILID THREADID)")).untagged[0] == email, "a copy has the same bytes"
        assert (await ok(wire, "STATUS INBOX (MAILBOXID)")).untagged[0] == status


async def test_names_are_utf8_once_it_is_enabled_and_utf7_before(counter: Counter) -> None:
    async with await counter.ann() as wire:
        await ok(wire, 'CREATE "Entw&APw-rfe"')
        assert b'LIST (\\HasNoChildren) "/" Entw&APw-rfe' in (await ok(wire, 'LIST "" Ent*')).untagged
        await ok(wire, "ENABLE UTF8=ACCEPT")
        (listed,) = (await ok(wire, 'LIST "" Ent*')).untagged
        assert "Entwürfe".encode() in listed
        await ok(wire, 'SELECT "Entwürfe"'.encode())
        raw = "Subject: Grüße\r\n\r\nhallo\r\n".encode()
        message = literal(raw).replace(b"{", b"~{", 1)
        assert b"1 EXISTS" in (await ok(wire, 'APPEND "Entwürfe" UTF8 ('.encode() + message + b")")).untagged


async def test_a_folder_is_made_for_a_use_or_refused(counter: Counter) -> None:
    async with await counter.ann() as wire:
        await ok(wire, "CREATE Old (USE (\\Archive))")
        assert b"\\Archive" in (await ok(wire, 'LIST "" Old')).untagged[0]
        answer = await wire.command("CREATE All (USE (\\All))")
        assert (answer.status, b"[USEATTR]" in answer.tagged) == ("NO", True)


async def test_a_program_that_was_here_before_is_told_only_what_has_changed(counter: Counter) -> None:
    await counter.office.arrive(5)
    async with await counter.ann() as wire:
        told = (await ok(wire, "SELECT INBOX")).untagged
        validity = next(int(line.split()[2].rstrip(b"]")) for line in told if b"[UIDVALIDITY" in line)
        modseq = next(int(line.split()[2].rstrip(b"]")) for line in told if b"[HIGHESTMODSEQ" in line)
        await ok(wire, "STORE 2 +FLAGS.SILENT (\\Flagged)")
        await ok(wire, "STORE 4 +FLAGS.SILENT (\\Deleted)")
        await ok(wire, "EXPUNGE")
    async with await counter.ann(select=None) as wire:
        await ok(wire, "ENABLE QRESYNC")
        told = (await ok(wire, f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:5))")).untagged
        assert b"VANISHED (EARLIER) 4" in told
        changed = [line for line in told if b" FETCH " in line]
        assert len(changed) == 1
        assert changed[0].startswith(b"2 FETCH (UID 2 FLAGS ($ForwardPending \\Flagged) MODSEQ (")


async def test_passwords_go_over_tls_from_the_first_byte_or_by_starttls(counter: Counter) -> None:
    await counter.office.arrive(1)
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE

    def talk(program: imaplib.IMAP4) -> tuple[str, list[bytes | None]]:
        program.login(ANN, PASSWORD)
        answer = program.select("INBOX")
        program.logout()
        return answer

    def with_starttls() -> tuple[str, list[bytes | None]]:
        program = imaplib.IMAP4("127.0.0.1", counter.port, timeout=20)
        program.starttls(trust)
        return talk(program)

    def with_tls() -> tuple[str, list[bytes | None]]:
        return talk(imaplib.IMAP4_SSL("127.0.0.1", counter.tls_port, ssl_context=trust, timeout=20))

    for way in (with_starttls, with_tls):
        assert await asyncio.to_thread(way) == ("OK", [b"1"])


async def test_what_came_in_clear_behind_starttls_is_not_obeyed(counter: Counter) -> None:
    async with await Wire.open(counter.port) as wire:
        await wire.send(b"a STARTTLS\r\nb LOGIN %b %b\r\n" % (ANN.encode(), b'"' + PASSWORD.encode() + b'"'))
        assert (await wire.hears(b"OK Begin TLS")).tagged.startswith(b"OK Begin")
        answer = await wire.hears(b"b OK", within=15)
        assert answer.status == "CLOSED"


async def test_a_letters_own_forward_cannot_be_set_by_its_reader(counter: Counter) -> None:
    await counter.office.arrive(1)
    async with await counter.ann() as wire:
        assert b"$ForwardPending" in (await ok(wire, "FETCH 1 (FLAGS)")).untagged[0]
        for command in (
            "STORE 1 -FLAGS ($ForwardPending)",
            "STORE 1 FLAGS (\\Seen)",
            "STORE 1 +FLAGS ($ForwardParked)",
        ):
            await ok(wire, command)
        assert (await ok(wire, "FETCH 1 (FLAGS)")).untagged == [b"1 FETCH (FLAGS ($ForwardPending \\Seen))"]
        assert (await ok(wire, "SEARCH KEYWORD $forwardpending")).untagged == [b"SEARCH 1"]
