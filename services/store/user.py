"""What a user may be: the fields as administrators write them, each with its check. Pure.

S7 to S10 of what is promised: one mode for each user, and what contradicts it is refused with the reason, because two
that contradict each other would forward a letter twice or not at all.
"""

import re
import unicodedata
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared import target
from shared.letter import Mode

Tls = Literal["none", "opportunistic", "required", "verified"]
PassClient = Literal["none", "xclient", "xforward"]
Pop3Delete = Literal["delete", "hide"]

# The sample user's password is `ann`; what is shorter is a slip.
SHORTEST_PASSWORD = 3
# Hashing costs by the length, too.
LONGEST_PASSWORD = 1000
# RFC 5321 section 4.5.3.1, in octets.
LONGEST_LOCAL_PART = 64
LONGEST_DOMAIN = 255

# As at RCPT; a slash besides would part the address in a path.
_LOCAL_PART = re.compile(r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\]/\u2028\u2029\ud800-\udfff]+")
_LABEL = re.compile(r"[^\W_]([\w-]*[^\W_])?")


class UserRefused(ValueError):
    """A user cannot be like that: the fault of each field in words."""

    def __init__(self, **faults: str) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in faults.items()))
        self.faults = faults


def checked_address(text: str) -> str:
    """A user's address as mailboxes are named: in small letters. Raises ValueError."""
    return checked_target_address(text).lower()


def checked_target_address(text: str) -> str:
    """An address, its local part as written: a main server may tell cases apart. Raises ValueError."""
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or not domain:
        raise ValueError("an address is written name@domain")
    if (
        len(local.encode("utf-8", "replace")) > LONGEST_LOCAL_PART
        or len(domain.encode("utf-8", "replace")) > LONGEST_DOMAIN
    ):
        raise ValueError("the address is longer than RFC 5321 allows (64 octets before the @, 255 after it)")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError('the part before the @ must not have spaces, control characters or any of "(),:;<>@[]\\/')
    if not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise ValueError("the part after the @ is no domain name")
    return f"{local}@{domain.lower()}"


def checked_password(text: str) -> str:
    """A password in the one form in which it is compared (RFC 8265 section 4.2). Raises ValueError."""
    password = same_password(text)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in password):
        raise ValueError("a password has no control characters")
    return password


def same_password(text: str) -> str:
    """Programs send the same characters in different forms."""
    return unicodedata.normalize("NFC", text)


def _checked_target_server(text: str) -> str:
    target.parse(text)
    return text


Address = Annotated[str, AfterValidator(checked_address)]
Password = Annotated[str, AfterValidator(checked_password)]
TargetAddress = Annotated[str, AfterValidator(checked_target_address)]
TargetServerText = Annotated[str, AfterValidator(_checked_target_server)]

_TARGET_SERVER = "host[:port] or user:password@host:port; STARTTLS or plain, never port 465"

_CLIENT_TOLD = "how the target server is told who handed a letter in here, where it lets us"


class NewUser(BaseModel):
    """A user to be made."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    address: Address
    password: Password | None = Field(None, description="to log in here; write-only")
    mode: Mode = Mode.STORE_AND_FORWARD
    target_address: TargetAddress | None = Field(None, description="the full address on the target server")
    target_server: TargetServerText | None = Field(None, description=_TARGET_SERVER)
    tls: Tls = "opportunistic"
    pass_client: PassClient = Field("none", description=_CLIENT_TOLD)
    pop3_delete: Pop3Delete = "delete"
    enabled: bool = True

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> Self:
        check_mode(self.mode, self.target_address, self.target_server)
        return self


class UserChange(BaseModel):
    """What is to change of a user; what is left out stays. What cannot change may be written back as it is."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    address: Address | None = None
    created_at: Any = None
    leaving: Any = None
    password: Password | None = Field(None, description="null: no login")
    mode: Mode | None = None
    target_address: TargetAddress | None = None
    target_server: TargetServerText | None = Field(
        None, description=f"{_TARGET_SERVER}; a password written back as *** is kept"
    )
    tls: Tls | None = None
    pass_client: PassClient | None = Field(None, description=_CLIENT_TOLD)
    pop3_delete: Pop3Delete | None = None
    enabled: bool | None = None


def check_mode(mode: Mode, target_address: str | None, target_server: str | None) -> None:
    """Raises UserRefused where the mode and the target contradict each other."""
    if mode.forwards:
        faults = {
            name: f"a user whose mode is {mode} needs it"
            for name, value in (("target_address", target_address), ("target_server", target_server))
            if value is None
        }
    else:
        faults = {
            name: "a user whose mode is store_only has no target: leave it out, or choose store_and_forward"
            for name, value in (("target_address", target_address), ("target_server", target_server))
            if value is not None
        }
    if faults:
        raise UserRefused(**faults)
