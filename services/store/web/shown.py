"""Users, letters and destinations as the API shows them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.store.mainservers import MainServer
from services.store.user import PassClient, Pop3Delete, Tls
from shared import target
from shared.destination import Health
from shared.letter import UNFINISHED, WAITING, Mode, State
from shared.mailbox.letters import Letter
from shared.mailbox.users import User
from shared.moments import rfc3339


class ShownUser(BaseModel):
    address: str
    mode: Mode
    target_address: str | None
    target_server: str | None = Field(description="a password in it is shown as ***, and kept if written back so")
    tls: Tls
    pass_client: PassClient
    pop3_delete: Pop3Delete
    enabled: bool
    created_at: str
    leaving: bool = Field(description="takes no mail and is gone when the last letter is forwarded")


class ShownReply(BaseModel):
    code: int = Field(description="0: the server said nothing; the text says what happened instead")
    text: str


class ShownForward(BaseModel):
    state: State
    destination: str | None
    attempts: int
    last_attempt_at: str | None
    last_reply: ShownReply | None
    next_attempt_at: str | None
    waits_for: Literal["time", "destination"] | None
    expires_at: str | None


class ShownBinned(BaseModel):
    reason: Literal["user", "trash", "pruned", "forwarded", "admin"]
    at: str
    expires_at: str


class ShownLetter(BaseModel):
    id: str
    receipt_id: str
    address: str
    mailbox: str | None = Field(description="the folder; null: only to be forwarded")
    uid: int | None
    size: int
    received_at: str
    sender: str
    from_: str = Field(alias="from")
    to: str
    subject: str
    date: str | None
    flags: list[str]
    binned: ShownBinned | None
    forward: ShownForward


class ShownAttempt(BaseModel):
    at: str
    reply: ShownReply
    seconds: float | None
    forwarder: str


class ShownChange(BaseModel):
    at: str
    state: Health
    why: str
    by: str | None = Field(description="who did it: a person's name, or `breaker`")


class ShownDestination(BaseModel):
    name: str
    state: Health
    suspended_by: Literal["person", "breaker"] | None
    since: str | None = Field(description="of its present state; null: nothing was ever wrong")
    waiting: int
    in_flight: int
    oldest_waiting_seconds: float
    connections: int = Field(description="open at the forwarders' last beats")
    last_reply: dict[str, Any] | None
    next_probe_at: str | None = Field(description="when it is asked, or tested by a letter, next")
    history: list[ShownChange]


def user(one: User) -> ShownUser:
    where = one.target
    server = where and target.printed(where.host, where.port, where.username, has_password=where.password is not None)
    return ShownUser(
        address=one.address,
        mode=one.mode,
        target_address=one.target_address,
        target_server=server,
        tls=one.tls,
        pass_client=one.pass_client,
        pop3_delete=one.pop3_delete,
        enabled=one.enabled,
        created_at=rfc3339(one.created_at),
        leaving=one.leaving,
    )


def destination(name: str, told: dict[str, Any], server: MainServer, now: datetime) -> ShownDestination:
    """`told` is what the database keeps of it; nothing, where nothing was ever wrong."""
    waiting = server.waiting
    return ShownDestination(
        name=name,
        state=server.health,
        suspended_by=told.get("suspended_by"),
        since=_moment(told.get("since")),
        waiting=waiting.letters if waiting else 0,
        in_flight=server.in_flight,
        oldest_waiting_seconds=round(max(0.0, (now - waiting.oldest_at).total_seconds()), 3) if waiting else 0,
        connections=server.connections,
        last_reply=_reply(told.get("last_reply")),
        next_probe_at=_moment(told.get("next_probe_at")),
        history=[
            ShownChange(at=rfc3339(step["at"]), state=step["state"], why=step["why"], by=step["by"])
            for step in told.get("history", [])
        ],
    )


def letter(one: Letter, lifetime_days: float, states: Mapping[str, Health]) -> ShownLetter:
    """`one` has its summary; `states` are those of destinations that are not up."""
    summary, binned = one["summary"], one.get("binned")
    fields = {
        "id": one["_id"],
        **{name: one[name] for name in ("receipt_id", "address", "size", "sender", "flags")},
        "mailbox": one["folder"],
        "uid": one.get("uid"),
        "received_at": rfc3339(one["received_at"]),
        **{name: summary[name] for name in ("from", "to", "subject", "date")},
        "binned": binned and {"reason": binned["reason"], "at": rfc3339(binned["at"]), **_expiry(binned)},
        "forward": _forward(one["forward"], lifetime_days, states),
    }
    return ShownLetter.model_validate(fields)


def attempts(one: Letter) -> list[ShownAttempt]:
    """The tries that are written down, oldest first."""
    return [
        ShownAttempt(
            at=rfc3339(tried["at"]),
            reply=ShownReply(code=tried["code"], text=tried["text"]),
            seconds=tried["seconds"],
            forwarder=tried["by"],
        )
        for tried in one["forward"].get("history", [])
    ]


def _reply(last: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a destination was last heard to say, and when."""
    return last and {"code": last["code"], "text": last["text"], "at": rfc3339(last["at"])}


def _expiry(binned: dict[str, Any]) -> dict[str, str]:
    return {"expires_at": rfc3339(binned["expires_at"])}


def _forward(forward: dict[str, Any], lifetime_days: float, states: Mapping[str, Health]) -> ShownForward:
    state = State(forward["state"])
    last = forward.get("last")
    waits_for = _waits_for(state, states.get(forward.get("destination", ""), Health.UP))
    return ShownForward(
        state=state,
        destination=forward.get("destination"),
        attempts=forward["attempts"],
        last_attempt_at=_moment(_last_attempt(forward)),
        last_reply=ShownReply(code=last["code"], text=last["text"]) if last else None,
        # A pending letter's moment is only when a look would bring it, should its event be lost.
        next_attempt_at=_moment(forward.get("due")) if waits_for == "time" else None,
        waits_for=waits_for,
        expires_at=_moment(_expires_at(forward, state, lifetime_days)),
    )


def _waits_for(state: State, health: Health) -> Literal["time", "destination"] | None:
    """While its destination is not up, no clock moves a letter."""
    if state not in WAITING:
        return None
    if health is not Health.UP:
        return "destination"
    return "time" if state is State.DEFERRED else None


def _last_attempt(forward: dict[str, Any]) -> datetime | None:
    claim, history = forward.get("claim"), forward.get("history")
    last: datetime | None = claim["at"] if claim else history[-1]["at"] if history else None
    return last


def _expires_at(forward: dict[str, Any], state: State, lifetime_days: float) -> datetime | None:
    return forward["armed_at"] + timedelta(days=lifetime_days) if state in UNFINISHED else None


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
