"""What a main server that misbehaves does to a letter and to its destination, as a table; and that the letter arrives
when the server behaves again.

Every row has a main server and a user of its own; one system serves them all, at the same time. The misbehaviours are
small coroutines in tests/kit/misbehaviours.py and tests/kit/mistreatments.py, where each says what it does.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from shared.letter import letter_id
from tests.kit import certificates
from tests.kit import misbehaviours as m
from tests.kit import mistreatments as t
from tests.kit.mainserver import MainServer
from tests.kit.misbehaviours import Misbehaviour, answers, hangs_up_after, hangs_up_at, never_answers
from tests.kit.patience import until
from tests.kit.scope import Scope
from tests.kit.sender import Outgoing, Sent, letters
from tests.kit.system import System, running

# Every wait of a session is short, and so is every clock of a letter and of a destination.
PATIENCE: dict[str, Any] = {f"{name}_seconds": 2 for name in ("connect", "command", "data", "block", "final_dot")}
CLOCKS: dict[str, Any] = {
    "retry_seconds": 0.5,
    "probe_seconds": 1,
    "breaker_test_seconds": 1,
    "believe_seconds": 0.5,
    "idle_connection_seconds": 1,
}
# Longest until a row's state is reached, and until its letter has arrived once the server behaves. On a machine with
# nothing else to do it is 30 s and 10 s.
REACHED_WITHIN, ARRIVED_WITHIN = 120.0, 90.0

LOGIN = ("ann", "secret")
# A small letter leaves in one piece with its end; a large one finds no room on the way if nobody reads: a sender's
# socket alone takes 4 MB, and what the server's had taken before it stopped reading comes on top.
SMALL, LARGE = 400, 8_000_000


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a letter and its destination come to and stay while the server misbehaves, as GET /letters/{id} and
    GET /destinations/{name} show it. None: whatever it is at that moment."""

    letter: tuple[str, ...]
    waits_for: str | None
    destination: str | None
    # The main server may get the letter more than once: its 250 was never heard.
    may_repeat: bool = False


# The letter goes through all the same.
FORWARDED = Reached(("forwarded",), None, "up")
# It says 250 and has not got it. Nobody can know; the copy can be read in the bin for BIN_FORWARDED_HOURS.
LOST = Reached(("forwarded",), None, "up")
# Three sessions in a row did not come about or broke: it is asked every PROBE_SECONDS whether it is back. All that
# waits for it waits for that, and then goes at once.
DOWN = Reached(("pending", "deferred"), "destination", "down")
# Five tries in a row were answered 4xx and nothing was taken: one letter at a time, each by its own clock.
FAILING = Reached(("deferred",), "destination", "failing")
# Five letters or tries in a row were answered 5xx: the mail is kept, and one letter tests it each BREAKER_TEST_SECONDS.
SUSPENDED = Reached(("pending", "deferred"), "destination", "suspended")
# STARTTLS or AUTH does not work for this user: his letters wait and one tests it now and then; others' go.
HELD_BACK = Reached(("deferred",), "time", "up")
# Nobody knows whether it was taken, and five tries ended so: a person decides. Until then it is readable.
PARKED = Reached(("parked",), None, None, may_repeat=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One misbehaviour, what its user's target needs to meet it, and what comes of it. `announces` is what the server
    says of PIPELINING and CHUNKING: letters are handed over in three ways."""

    how: Misbehaviour
    reached: Reached
    tls: str = "none"
    login: bool = False
    announces: tuple[bytes, ...] = (b"PIPELINING",)
    letters: int = 1
    size: int = SMALL

    @property
    def name(self) -> str:
        way = [word.decode().lower() for word in self.announces[1:]] if self.announces else ["one-by-one"]
        needs = [self.tls if self.tls != "none" else "", "login" * self.login, "large" * (self.size > SMALL)]
        return "-".join(word for word in [self.how.__name__, *needs, *way] if word)

    @property
    def said(self) -> int | None:
        """The code that the letter shows as the last reply, where the misbehaviour's name has one."""
        found = re.match(r"(answers|greets)_([45]\d\d)", self.how.__name__)
        return int(found[2]) if found else None


ONE_BY_ONE: tuple[bytes, ...] = ()
PIPELINED = (b"PIPELINING",)
CHUNKED = (b"PIPELINING", b"CHUNKING")


def rows(
    reached: Reached, *hows: Misbehaviour, ways: Iterable[tuple[bytes, ...]] = (PIPELINED,), **more: Any
) -> list[Row]:
    return [Row(how, reached, announces=way, **more) for how in hows for way in ways]


EVERY_WAY = (ONE_BY_ONE, PIPELINED, CHUNKED)
BY_DATA = (ONE_BY_ONE, PIPELINED)

TABLE = [
    # Nobody is there.
    *rows(DOWN, m.refuses, m.is_a_black_hole, m.resets, m.hangs_up_at_once),
    # Somebody is there, and no mail server, or none that wants to talk.
    *rows(DOWN, m.greets_never, m.greets_421, m.greets_450, m.greets_554, m.greets_554_and_listens_on, m.greets_250),
    *rows(DOWN, m.greets_with_10_mb, m.greets_without_end, m.greets_for_ever_byte_by_byte),
    *rows(DOWN, m.greets_with_garbage, m.speaks_http, t.answers_before_it_is_asked, t.says_everything_twice),
    # EHLO.
    *rows(DOWN, m.refuses_ehlo_and_helo, answers("EHLO", b"421 4.3.2 Closing"), never_answers("EHLO")),
    *rows(DOWN, hangs_up_at("EHLO"), hangs_up_after("EHLO", m.EHLO)),
    *rows(DOWN, m.announces_without_end, m.announces_a_line_of_1_mb, t.answers_ehlo_with_garbage),
    *rows(FORWARDED, m.knows_only_helo, m.announces_garbage, m.announces_nothing_any_more),
    *rows(FORWARDED, answers("EHLO", b"451 4.3.0 Not now")),
    # Peculiar, and it takes letters all the same.
    *rows(FORWARDED, t.answers_byte_by_byte, t.speaks_latin_1, t.answers_in_codes_alone, ways=EVERY_WAY),
    *rows(FORWARDED, t.ends_lines_with_lf),
    *rows(FORWARDED, m.serves_one_at_a_time, letters=10),
    # STARTTLS does not come about. Where the target wants it, the letter waits; no word goes in clear.
    *rows(HELD_BACK, m.strips_starttls, answers("STARTTLS", b"454 4.7.0 Not now"), tls="required"),
    *rows(HELD_BACK, m.hangs_in_the_handshake, m.hangs_up_in_the_handshake, tls="required"),
    *rows(HELD_BACK, m.answers_the_handshake_with_garbage, m.stays_in_clear_after_220, tls="required"),
    *rows(HELD_BACK, never_answers("STARTTLS"), hangs_up_at("STARTTLS"), tls="required"),
    *rows(SUSPENDED, answers("STARTTLS", b"502 5.5.1 Not known"), tls="required"),
    # Where it is taken when it is there, the letter goes in clear then. A password does not once STARTTLS was offered
    # and failed; a server that offers none, as in a LAN, gets it: `required` is the policy that forbids it.
    *rows(FORWARDED, m.strips_starttls, answers("STARTTLS", b"454 4.7.0 Not now"), tls="opportunistic"),
    *rows(FORWARDED, m.hangs_in_the_handshake, m.hangs_up_in_the_handshake, tls="opportunistic"),
    *rows(FORWARDED, m.answers_the_handshake_with_garbage, m.stays_in_clear_after_220, tls="opportunistic"),
    *rows(FORWARDED, m.strips_starttls, tls="opportunistic", login=True),
    *rows(HELD_BACK, answers("STARTTLS", b"454 4.7.0 Not now"), tls="opportunistic", login=True),
    *rows(HELD_BACK, m.hangs_up_in_the_handshake, tls="opportunistic", login=True),
    # What was said before TLS is not believed within (RFC 3207 section 4.2).
    *rows(FORWARDED, m.injects_answers_before_tls, tls="required"),
    *rows(FORWARDED, m.injects_answers_before_tls, tls="opportunistic", login=True),
    # Certificates are looked at where the target says `verified`, and there only.
    *rows(HELD_BACK, m.shows_an_expired_certificate, m.shows_the_certificate_of_another_host, tls="verified"),
    *rows(HELD_BACK, m.shows_a_certificate_that_nobody_knows, m.strips_starttls, tls="verified"),
    *rows(FORWARDED, m.shows_an_expired_certificate, m.shows_the_certificate_of_another_host, tls="required"),
    *rows(FORWARDED, m.shows_a_certificate_that_nobody_knows, tls="required"),
    *rows(DOWN, m.refuses_ehlo_after_tls, tls="required"),
    # AUTH. As long as letters of others are taken, this user's are held back and nothing more. A refusal that is meant
    # to last counts as any does, and here nobody else's are taken.
    *rows(SUSPENDED, answers("AUTH", b"535 5.7.8 No"), login=True),
    *rows(HELD_BACK, answers("AUTH", b"454 4.7.0 Not now"), answers("AUTH", b"334 Go on"), login=True),
    *rows(HELD_BACK, m.offers_no_login, never_answers("AUTH"), hangs_up_at("AUTH"), login=True),
    *rows(DOWN, answers("AUTH", b"421 4.3.2 Closing"), login=True),
    *rows(SUSPENDED, answers("MAIL", b"530 5.7.0 Authentication required")),
    # For now: 4xx at each command.
    *rows(FAILING, answers("MAIL", b"450 4.2.0 Later"), answers("RCPT", b"451 4.3.0 Later"), ways=EVERY_WAY),
    *rows(FAILING, answers("DATA", b"452 4.3.1 Full"), ways=BY_DATA),
    *rows(FAILING, answers("BDAT", b"452 4.3.1 Full"), ways=[CHUNKED]),
    *rows(FAILING, answers("DOT", b"451 4.7.1 Greylisted"), ways=EVERY_WAY),
    *rows(FAILING, t.refuses_in_latin_1, t.refuses_rset, t.hangs_at_rset, t.answers_rcpt_with_1_mb, ways=EVERY_WAY),
    *rows(FAILING, t.refuses_mail_and_takes_the_letter, ways=EVERY_WAY),
    # For good: 5xx at each command.
    *rows(SUSPENDED, answers("MAIL", b"550 5.7.1 No"), answers("RCPT", b"550 5.1.1 No such user"), ways=EVERY_WAY),
    *rows(SUSPENDED, answers("DATA", b"554 5.7.1 No"), ways=BY_DATA),
    *rows(SUSPENDED, answers("BDAT", b"554 5.7.1 No"), ways=[CHUNKED]),
    *rows(SUSPENDED, answers("DOT", b"554 5.7.1 Spam"), t.answers_rcpt_with_two_minds, ways=EVERY_WAY),
    *rows(SUSPENDED, t.announces_size_and_refuses_it, t.announces_8bitmime_and_refuses_it, ways=EVERY_WAY),
    *rows(SUSPENDED, t.takes_small_letters_only),
    # Announces BDAT and does not know it: by DATA, then.
    *rows(FORWARDED, answers("BDAT", b"502 5.5.1 Not known"), ways=[CHUNKED]),
    # The session stands and breaks before the letter's end.
    *rows(DOWN, answers("MAIL", b"421 4.3.2 Closing"), answers("RCPT", b"421 4.3.2 Closing"), ways=EVERY_WAY),
    *rows(DOWN, never_answers("MAIL"), hangs_up_at("MAIL"), never_answers("RCPT"), hangs_up_at("RCPT"), ways=EVERY_WAY),
    *rows(DOWN, hangs_up_after("MAIL", b"250 Ok"), ways=BY_DATA),
    *rows(DOWN, never_answers("DATA"), hangs_up_at("DATA"), answers("DATA", b"421 4.3.2 Closing"), ways=BY_DATA),
    *rows(DOWN, t.answers_rcpt_without_end, t.answers_out_of_order, ways=BY_DATA),
    *rows(DOWN, answers("MAIL", b"000 Zero"), answers("RCPT", b"999 Nines"), answers("RCPT", b"Ok"), ways=BY_DATA),
    *rows(DOWN, answers("DATA", b"250 Ok"), answers("RCPT", b"354 Go on"), ways=BY_DATA),
    # By BDAT nobody can tell one 250 too many from the answer to the letter; DATA wants a 354.
    *rows(DOWN, t.answers_the_dot_before_it_was_sent, t.answers_mail_twice, ways=BY_DATA),
    *rows(DOWN, answers("DOT", b"421 4.3.2 Closing"), ways=EVERY_WAY),
    *rows(DOWN, t.stalls_in_the_middle_of_the_letter, ways=EVERY_WAY, size=LARGE),
    *rows(DOWN, t.resets_in_the_middle_of_the_letter, ways=EVERY_WAY, size=LARGE),
    *rows(DOWN, t.says_421_in_the_middle_of_the_letter, ways=EVERY_WAY, size=LARGE),
    # The letter's end was sent, and no answer came. Nobody knows whether it was taken.
    *rows(PARKED, t.keeps_the_letter_and_hangs_up, t.keeps_the_letter_and_resets, ways=EVERY_WAY),
    *rows(PARKED, t.keeps_the_letter_and_says_nothing, t.keeps_the_letter_and_says_half_a_word, ways=EVERY_WAY),
    *rows(PARKED, t.keeps_the_letter_and_says_so_without_end, ways=EVERY_WAY),
    *rows(PARKED, never_answers("DOT"), hangs_up_at("DOT"), ways=EVERY_WAY),
    *rows(PARKED, answers("DOT", b"999 Nines"), answers("DOT", b"Ok"), answers("DOT", b"354 Go on"), ways=EVERY_WAY),
    *rows(PARKED, t.resets_in_the_middle_of_the_letter, ways=EVERY_WAY),
    # It was taken: what comes afterwards is of no weight, and the next letter goes as well.
    *rows(FORWARDED, t.changes_its_mind_after_250, t.says_250_and_421, letters=2, ways=EVERY_WAY),
    *rows(FORWARDED, hangs_up_after("KEPT", b"250 2.0.0 Ok"), never_answers("QUIT"), letters=2),
    *rows(LOST, t.loses_what_it_took),
    # Anything, in turn.
    Row(t.answers_differently_each_time, Reached(("pending", "deferred"), "destination", None)),
]
NAMES = [row.name for row in TABLE]


@dataclass(slots=True)
class Case:
    """A row that is being played."""

    row: Row
    address: str
    server: MainServer
    sent: list[Sent] = field(default_factory=list)
    fault: str | None = "it was not played"

    @property
    def letters(self) -> list[str]:
        return [letter_id(str(one.receipt_id), self.address) for one in self.sent]

    def outgoing(self) -> list[Outgoing]:
        """Not ASCII, so that 8BITMIME is of interest."""
        plain = letters(self.row.letters, self.address, size=self.row.size)
        return [replace(one, raw=one.raw + b"Gr\xfc\xdfe\r\n") for one in plain]

    @property
    def target(self) -> str:
        login = ":".join(LOGIN) + "@" if self.row.login else ""
        return login + self.server.name


class Stage:
    """One system, and all rows played on it at once. What they look at is looked at once for all."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.cases = {row.name: _case(number, row) for number, row in enumerate(TABLE)}
        self._letters: dict[str, dict[str, Any]] = {}
        self._destinations: dict[str, dict[str, Any]] = {}

    async def play(self) -> None:
        await asyncio.gather(*(self._prepare(case) for case in self.cases.values()))
        await self._send()
        looking = asyncio.ensure_future(self._look_again_and_again())
        try:
            await asyncio.gather(*(self._play(case) for case in self.cases.values()))
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking

    async def _prepare(self, case: Case) -> None:
        await case.server.come_back()
        # Without a password, which takes long to make: nobody logs in here.
        await self.system.add_user(case.address, main=case.target, tls=case.row.tls, password=None)
        await case.row.how(case.server)

    async def _send(self) -> None:
        await self.system.send([letter for case in self.cases.values() for letter in case.outgoing()])
        by_address = {case.address: case for case in self.cases.values()}
        for sent in self.system.sender.sent:
            by_address[sent.letter.recipients[0]].sent.append(sent)

    async def _play(self, case: Case) -> None:
        within = REACHED_WITHIN
        try:
            try:
                await until(lambda: self._has_reached(case), within=within, pause=0.25, what="its state")
            finally:
                await case.server.behave()
            await self._mend(case)
            await until(lambda: self._has_arrived(case), within=ARRIVED_WITHIN, pause=0.25, what="its arrival")
            assert case.row.reached.may_repeat or max(case.server.counts().values(), default=0) <= 1, "taken twice"
            case.fault = None
        except AssertionError as error:
            case.fault = f"{case.row.name}: {error}\n{self._seen(case)}"

    async def _has_reached(self, case: Case) -> bool:
        wanted = case.row.reached
        if not case.server.misdeeds or wanted.destination not in (None, self._destination(case)):
            return False
        if not set(self._states(case)) <= set(wanted.letter):
            return False
        return all([await self._shows(name, case.row) for name in case.letters])

    async def _shows(self, name: str, row: Row) -> bool:
        forward = (await self.system.api.letter(name))["forward"]
        wanted, last = row.reached, forward["last_reply"] or {"code": 0}
        is_it = forward["state"] in wanted.letter and forward["waits_for"] == wanted.waits_for
        return is_it and (row.said in (None, last["code"]) or wanted is FORWARDED)

    async def _mend(self, case: Case) -> None:
        """What a person can do: a parked letter goes when he says so, and of one that got lost there is a copy."""
        for name, sent in zip(case.letters, case.sent, strict=True):
            if case.row.reached is PARKED:
                await self.system.api.forward_now(name)
            elif case.row.reached is LOST:
                await until(partial(self._is_binned, name), what="the copy's move to the bin")
                assert (await self.system.api.raw(name)).endswith(sent.letter.raw)

    async def _is_binned(self, name: str) -> bool:
        return (await self.system.api.letter(name))["binned"] is not None

    async def _has_arrived(self, case: Case) -> bool:
        return set(self._states(case)) == {"forwarded"} and self._destination(case) == "up"

    def _states(self, case: Case) -> list[str]:
        found = [self._letters.get(name, {}) for name in case.letters]
        return [one["forward"]["state"] if "forward" in one else "nowhere" for one in found]

    def _seen(self, case: Case) -> str:
        """For whoever has to find out why."""
        destination = self._destinations.get(case.server.name, {})
        path = " > ".join(f"{step['state']} ({step['why']})" for step in destination.pop("history", []))
        forwards = [self._letters.get(name, {}).get("forward") for name in case.letters]
        return "\n".join(map(str, (case.row.reached, destination, path, *forwards)))

    def _destination(self, case: Case) -> str | None:
        return self._destinations.get(case.server.name, {}).get("state")

    async def _look_again_and_again(self) -> None:
        while True:
            self._letters = await self.system.ledger.documents()
            page = await self.system.api.get("/destinations", limit=500)
            self._destinations = {one["name"]: one for one in page["items"]}
            await asyncio.sleep(0.5)

    async def aclose(self) -> None:
        await asyncio.gather(*(case.server.go_away() for case in self.cases.values()))


def _case(number: int, row: Row) -> Case:
    tls = certificates.good() if row.tls != "none" else None
    server = MainServer(tls=tls, login=LOGIN if row.login else None, announces=row.announces)
    return Case(row, f"row{number}@example.test", server)


@pytest.fixture(scope="module")
async def stage(
    kafka_bootstrap: str, mongodb_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The whole table, played."""
    folder = tmp_path_factory.mktemp("misbehaviours")
    (folder / "authority.pem").write_bytes(certificates.authority().pem)
    corner = Scope.new(kafka_bootstrap, mongodb_url)
    await corner.make_topics()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
        async with running(corner, folder, **(PATIENCE | CLOCKS)) as system:
            played = Stage(system)
            async with contextlib.aclosing(played):
                await played.play()
                yield played
    await corner.drop()


@pytest.mark.parametrize("name", NAMES)
async def test_a_misbehaviour_ends_in_its_state_and_its_letter_arrives_when_the_server_behaves(
    stage: Stage, name: str
) -> None:
    fault = stage.cases[name].fault
    assert fault is None, fault


async def test_no_misbehaviour_loses_a_letter_or_repeats_one_unexplained(stage: Stage) -> None:
    system = stage.system
    await system.settle()
    lost = {case.address for case in stage.cases.values() if case.row.reached is LOST}
    system.sender.sent = [sent for sent in system.sender.sent if sent.letter.recipients[0] not in lost]
    system.main.taken = [letter for case in stage.cases.values() for letter in case.server.taken]
    await system.check(after="250 was not heard")
