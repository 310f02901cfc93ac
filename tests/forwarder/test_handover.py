"""How letters are handed over: what is written at once, what is made of the answers, and what is never counted."""

import asyncio
from collections.abc import Callable

import pytest

from services.forwarder import handover, relay
from services.forwarder.handover import CHUNK_BYTES, SMALL_BYTES
from services.forwarder.outcome import Answer
from services.forwarder.relay import Envelope, LeaseStale, Route, Session
from shared.settings import Forwarder
from tests.kit.scribe import EVERYTHING, HANG_UP, LOOPBACK, Kept, Scribe

LETTER = b"Received: from x by y id 01J00000000000000000000000; now\r\nSubject: hi\r\n\r\n.dot\r\nend\r\n"
LARGE = LETTER + b"line of text\r\n" * (3 * CHUNK_BYTES // 14)
PIPELINING = (b"PIPELINING", b"8BITMIME", b"SIZE 0")
NOTHING = (b"8BITMIME",)
SENDER, RECIPIENT = "bob@x.test", "ann@main.test"

# Each way with what the server announces for it, and the verbs of a small letter as they are read at once.
WAYS = pytest.mark.parametrize(
    ("announces", "reads"),
    [
        (EVERYTHING, [["MAIL", "RCPT", "BDAT"]]),
        (PIPELINING, [["MAIL", "RCPT", "DATA"], ["."]]),
        (NOTHING, [["MAIL"], ["RCPT"], ["DATA"], ["."]]),
        # Without PIPELINING a chunk would have to wait as a letter does.
        ((b"CHUNKING",), [["MAIL"], ["RCPT"], ["DATA"], ["."]]),
    ],
    ids=["chunking", "pipelining", "neither", "only-chunking"],
)


def _settings(**overrides: float) -> Forwarder:
    quick = {"connect_seconds": 2.0, "command_seconds": 1.0, "data_seconds": 1.0, "final_dot_seconds": 1.0}
    return Forwarder(hostname="understudy.test", **{**quick, **overrides})  # type: ignore[arg-type]


async def _open(server: Scribe) -> Session:
    return await Session.open(Route(LOOPBACK, server.port, None, None, "none"), _settings())


async def _send(
    session: Session, content: bytes = LETTER, recipient: str = RECIPIENT, may_send: Callable[[], bool] = lambda: True
) -> Answer:
    return await session.send(Envelope(SENDER, recipient, content), may_send)


async def _in_step(server: Scribe, **says: bytes) -> Session:
    """A session that has had a letter taken, so that the next may go in one write; `says` from then on."""
    session = await _open(server)
    assert (await _send(session)).code == 250
    server.reads.clear()
    server.says.update({verb: [reply] for verb, reply in says.items()})
    return session


async def _sent(server: Scribe, content: bytes = LETTER) -> tuple[str, int, bool]:
    session = await _open(server)
    answer = await _send(session, content)
    await session.quit()
    return answer.stage, answer.code, answer.dot_sent


async def _answers(server: Scribe, letters: int) -> list[tuple[str, int]]:
    session = await _open(server)
    answers = [await _send(session) for _ in range(letters)]
    await session.quit()
    return [(answer.stage, answer.code) for answer in answers]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection counts as idle for long."""
    monkeypatch.setattr(handover, "IDLE_SECONDS", 0.0)


# What is written at once.


@WAYS
async def test_a_letter_costs_as_few_round_trips_as_the_server_lets_it(
    announces: tuple[bytes, ...], reads: list[list[str]]
) -> None:
    async with Scribe(announces) as server:
        session = await _in_step(server)
        assert (await _send(session)).code == 250
        assert [read for read in server.reads if read] == reads
        assert (await _send(session)).code == 250
        await session.quit()
        assert [read for read in server.reads if read] == [*reads, *reads, ["QUIT"]]


async def test_the_first_letter_of_a_session_waits_for_mail_and_rcpt() -> None:
    """A server that says more than it is asked is found out before its answers are taken for others."""
    async with Scribe() as server:
        assert await _sent(server) == ("dot", 250, True)
        assert [read for read in server.reads[1:] if read] == [["MAIL", "RCPT"], ["BDAT"], ["QUIT"]]


@WAYS
@pytest.mark.parametrize(
    "content",
    [LETTER, LETTER + b"\xff\x00\r and\r\n", LARGE, LETTER + b"x" * SMALL_BYTES + b"\r\n", LETTER * 5000],
    ids=["small", "any-bytes", "large", "just-large", "many-dots"],
)
async def test_the_server_has_the_same_bytes_and_the_envelope(
    announces: tuple[bytes, ...], reads: list[list[str]], content: bytes
) -> None:
    async with Scribe(announces) as server:
        assert await _sent(server, content) == ("dot", 250, True)
        (kept,) = server.kept
        assert kept.raw == content
        assert kept == Kept(SENDER, (RECIPIENT,), content, "BDAT" if announces is EVERYTHING else "DATA", ())


async def test_a_large_letter_goes_in_chunks_and_the_last_one_is_small() -> None:
    async with Scribe() as server:
        await _sent(server, LARGE)
        sizes = [line.split()[1:] for line in server.heard if line.startswith(b"BDAT")]
        assert sum(int(size[0]) for size in sizes) == len(LARGE)
        assert all(int(size[0]) <= CHUNK_BYTES for size in sizes)
        assert sizes[-1] == [b"4096", b"LAST"]
        assert len(sizes) > 2


@pytest.mark.usefixtures("idle")
async def test_after_idleness_a_chunk_waits_for_mail_and_rcpt() -> None:
    """A connection that is just being closed must not make the letter's result unknown."""
    async with Scribe() as server:
        assert await _sent(server) == ("dot", 250, True)
        assert [read for read in server.reads[1:] if read] == [["MAIL", "RCPT"], ["BDAT"], ["QUIT"]]


async def test_what_is_announced_is_used() -> None:
    async with Scribe() as server:
        session = await _open(server)
        await session.send(Envelope("", "\u00e4nn@main.test", LETTER + b"\xe4\r\n"), lambda: True)
        await session.quit()
        size = len(LETTER) + 3
        assert server.heard[1:3] == [
            b"MAIL FROM:<> SIZE=%d BODY=8BITMIME SMTPUTF8" % size,
            "RCPT TO:<\u00e4nn@main.test>".encode(),
        ]


async def test_no_address_can_say_a_command_of_its_own() -> None:
    async with Scribe() as server:
        session = await _open(server)
        answer = await _send(session, recipient="ann@main.test>\r\nRCPT TO:<eve@main.test")
        assert (answer.stage, answer.code) == ("mail", 553)
        assert (await _send(session)).code == 250
        await session.quit()
        assert [kept.recipients for kept in server.kept] == [(RECIPIENT,)]


# What is made of the answers.


@WAYS
@pytest.mark.parametrize("code", [b"450 4.2.0 later", b"550 5.1.1 who"], ids=["4xx", "5xx"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_a_refused_address_is_the_letter_s_answer_and_the_session_goes_on(
    announces: tuple[bytes, ...], reads: list[list[str]], verb: str, code: bytes
) -> None:
    async with Scribe(announces, {verb: [code]}) as server:
        assert await _answers(server, 2) == [(verb.lower(), int(code[:3])), ("dot", 250)]
        assert (len(server.kept), server.connections) == (1, 1)


async def test_a_transaction_left_open_is_reset_without_a_round_trip_of_its_own() -> None:
    async with Scribe(PIPELINING, {"RCPT": [b"550 5.1.1 who"]}) as server:
        await _answers(server, 3)
        assert [read for read in server.reads[1:] if read] == [
            ["MAIL", "RCPT", "DATA"],
            ["RSET", "MAIL", "RCPT", "DATA"],
            ["."],
            ["MAIL", "RCPT", "DATA"],
            ["."],
            ["QUIT"],
        ]


async def test_a_refused_sender_leaves_nothing_to_reset() -> None:
    async with Scribe(PIPELINING, {"MAIL": [b"451 4.3.0 later"]}) as server:
        await _answers(server, 2)
        assert "RSET" not in server.verbs


@WAYS
async def test_a_refused_data_is_told_and_the_session_goes_on(
    announces: tuple[bytes, ...], reads: list[list[str]]
) -> None:
    async with Scribe(announces, {"DATA": [b"452 4.3.1 full"], "BDAT": [b"452 4.3.1 full"]}) as server:
        first, second = await _answers(server, 2)
        assert first == (("dot", 452) if announces is EVERYTHING else ("data", 452))
        assert second == ("dot", 250)
        assert (len(server.kept), server.connections) == (1, 1)


@pytest.mark.parametrize("is_lax", [True, False])
async def test_data_taken_for_a_refused_recipient_is_ended_by_a_lone_dot_and_never_counted(is_lax: bool) -> None:
    """RFC 2920 section 3.1."""
    says = {"RCPT": [b"550 5.1.1 who"], "DATA": [b"354 Go on"]}
    async with Scribe(PIPELINING, says, is_lax=is_lax) as server:
        assert await _answers(server, 2) == [("rcpt", 550), ("dot", 250)]
        assert [(kept.raw, kept.recipients) for kept in server.kept] == [(b"", ()), (LETTER, (RECIPIENT,))]
        assert server.connections == 1
        assert "RSET" not in server.verbs


async def test_no_dot_is_said_where_the_sender_was_refused_and_the_rest_taken() -> None:
    """It would be an empty letter for somebody."""
    async with Scribe(PIPELINING, {"MAIL": [b"550 5.1.0 no"]}, is_lax=True) as server:
        session = await _open(server)
        assert (await _send(session)).stage == "mail"
        assert not session.usable
        await asyncio.sleep(0.05)
        assert server.kept == []


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_a_chunk_taken_after_a_refusal_is_of_unknown_result(verb: str) -> None:
    async with Scribe(is_lax=True) as server:
        session = await _in_step(server, **{verb: b"550 5.1.1 no"})
        answer = await _send(session)
        assert (answer.stage, answer.code, answer.dot_sent) == ("dot", 0, True)
        assert not session.usable


@WAYS
async def test_a_server_that_closes_down_says_so_by_its_code(
    announces: tuple[bytes, ...], reads: list[list[str]]
) -> None:
    for verb in ("MAIL", "RCPT"):
        async with Scribe(announces, {verb: [b"421 4.3.2 closing"]}) as server:
            session = await _open(server)
            answer = await _send(session)
            assert (answer.stage, answer.code, answer.dot_sent) == (verb.lower(), 421, False)
            assert not session.usable


@WAYS
@pytest.mark.parametrize(("verb", "code"), [("MAIL", b"354 Go on"), ("RCPT", b"354 Go on")])
async def test_an_answer_that_belongs_elsewhere_never_counts_a_letter_as_taken(
    announces: tuple[bytes, ...], reads: list[list[str]], verb: str, code: bytes
) -> None:
    async with Scribe(announces, {verb: [code]}) as server:
        session = await _open(server)
        answer = await _send(session)
        assert (answer.stage, answer.code, answer.dot_sent) == (verb.lower(), 0, False)
        assert not session.usable


# The line breaks.


async def _broken_at(announces: tuple[bytes, ...], verb: str, content: bytes = LETTER) -> tuple[str, int, bool]:
    async with Scribe(announces, {verb: [HANG_UP]}) as server:
        session = await _open(server)
        answer = await _send(session, content)
        assert not session.usable
        return answer.stage, answer.code, answer.dot_sent


async def test_a_line_that_breaks_before_the_letter_s_end_leaves_nothing_unknown() -> None:
    for announces in (PIPELINING, NOTHING):
        assert await _broken_at(announces, "MAIL") == ("mail", 0, False)
        assert (await _broken_at(announces, "RCPT"))[1:] == (0, False)
        assert (await _broken_at(announces, "DATA"))[1:] == (0, False)


@WAYS
async def test_a_line_that_breaks_after_the_letter_s_end_leaves_its_result_unknown(
    announces: tuple[bytes, ...], reads: list[list[str]]
) -> None:
    assert await _broken_at(announces, "BDAT" if announces is EVERYTHING else "DOT") == ("dot", 0, True)


async def test_a_chunk_on_its_way_makes_any_break_unknown_but_after_a_refusal() -> None:
    for verb in ("MAIL", "RCPT"):
        async with Scribe() as server:
            session = await _in_step(server, **{verb: HANG_UP})
            answer = await _send(session)
            assert (answer.stage, answer.code, answer.dot_sent) == ("dot", 0, True)
    async with Scribe(is_lax=True) as server:
        session = await _in_step(server, MAIL=b"451 4.3.0 later", RCPT=HANG_UP)
        answer = await _send(session)
        assert (answer.stage, answer.code, answer.dot_sent) == ("mail", 451, False)


@pytest.mark.usefixtures("idle")
async def test_after_idleness_a_line_that_breaks_leaves_nothing_unknown() -> None:
    assert await _broken_at(EVERYTHING, "MAIL") == ("mail", 0, False)


async def test_no_answer_to_what_ends_the_letter_leaves_its_result_unknown() -> None:
    for announces, verb in ((EVERYTHING, "BDAT"), (PIPELINING, "DOT")):
        # Half a reply is none.
        async with Scribe(announces, {verb: [b"250-more"]}) as server, asyncio.timeout(5):
            assert await _sent(server) == ("dot", 0, True)


@WAYS
async def test_nothing_that_ends_a_letter_is_written_once_the_lease_is_stale(
    announces: tuple[bytes, ...], reads: list[list[str]]
) -> None:
    for content in (LETTER, LARGE):
        async with Scribe(announces) as server:
            session = await _open(server)
            with pytest.raises(LeaseStale):
                await _send(session, content, may_send=lambda: False)
            assert not session.usable
            await asyncio.sleep(0.05)
            assert server.kept == []
            assert not any(line.endswith(b"LAST") for line in server.heard)


@WAYS
async def test_whether_we_may_send_is_asked_once_and_last(announces: tuple[bytes, ...], reads: list[list[str]]) -> None:
    asked: list[list[str]] = []

    def may_send() -> bool:
        asked.append(server.verbs[1:])
        return True

    async with Scribe(announces) as server:
        session = await _open(server)
        assert (await _send(session, LARGE, may_send=may_send)).code == 250
        (verbs,) = asked
        # Of a large letter all but its end had gone.
        assert verbs[:2] == ["MAIL", "RCPT"]
        assert "BDAT" in verbs or "DATA" in verbs


async def test_a_letter_cut_off_leaves_a_session_that_says_nothing_more() -> None:
    """Not even QUIT: it would be taken for the letter's text."""
    async with Scribe(PIPELINING, {"DOT": [b"250-wait"]}) as server:
        session = await Session.open(Route(LOOPBACK, server.port, None, None, "none"), _settings(final_dot_seconds=60))
        sending = asyncio.ensure_future(_send(session))
        await asyncio.sleep(0.2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not session.usable
        await session.quit()
        await asyncio.sleep(0.05)
        assert "QUIT" not in server.verbs


# Servers that are not what they say.


@pytest.mark.parametrize("code", [b"500 5.5.1 what", b"502 5.5.1 not here", b"503 5.5.1 no"])
@pytest.mark.parametrize("content", [LETTER, LARGE], ids=["small", "large"])
async def test_a_server_that_announces_chunking_and_does_not_know_it_gets_its_letters_by_data(
    code: bytes, content: bytes
) -> None:
    """And is believed no refusal."""
    async with Scribe(says={"BDAT": [code] * 9}) as server:
        assert await _sent(server, content) == ("dot", 250, True)
        assert [(kept.by, kept.raw) for kept in server.kept] == [("DATA", content)]
        assert server.connections == 2
        assert await _sent(server, content) == ("dot", 250, True)
        assert (server.connections, server.verbs.count("DATA")) == (3, 2)


async def test_a_chunk_refused_by_a_server_that_knows_chunks_is_the_letter_s_answer() -> None:
    async with Scribe(says={"BDAT": [b"250 2.0.0 Ok: kept", b"503 5.7.1 spam"]}) as server:
        assert await _answers(server, 3) == [("dot", 250), ("dot", 503), ("dot", 250)]
        assert server.verbs.count("RSET") == 1


async def test_a_large_letter_refused_on_its_way_is_told_at_once() -> None:
    async with Scribe(says={"BDAT": [b"250 2.0.0 Ok", b"552 5.3.4 too big"]}) as server:
        assert await _sent(server, LARGE) == ("content", 552, False)
        assert server.kept == []


def test_what_is_remembered_of_destinations_is_bounded() -> None:
    shunned = relay.Shunned(3)
    for port in range(5):
        shunned.add(("main.test", port))
    assert [("main.test", port) in shunned for port in range(5)] == [False, False, True, True, True]


def test_what_is_remembered_for_a_while_is_forgotten() -> None:
    shunned = relay.Shunned(3, seconds=0.0)
    shunned.add("main.test")
    assert "main.test" not in shunned
