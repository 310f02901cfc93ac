"""The language of the dialogues.

# what the dialogue shows
set idle_seconds = 1        a setting of ingest, before anything is said
C: MAIL FROM:<a@b.test>     the client sends this line
C> hello\\n.\\r\\n             the client sends just these bytes (\\r \\n \\0 \\xff \\t \\\\ stand for one byte)
C* 100 x                    the client sends `x` a hundred times, with the same escapes
S: 250 2.1.0                the server's next line begins like this
S~ 250 .* queued as \\w+     the server's next line is this expression
S.                          the server closes the connection
B                           (also A, C ...) a line of capitals: go on with that connection, opened at its first mention
tls                         the client does its part of the TLS handshake
end                         the client closes its side, and reads on
hang up                     the client is gone
pause 0.5                   seconds
stop                        the service is told to stop
K> Subject: x\\r\\n           the last letter kept is these bytes, all K> lines together, behind its Received header
H~ with ESMTP id            its Received header has this expression
F: sender = "a@b.test"      its facts have this value, in JSON
N: 2                        so many letters were kept in all
"""

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

_STEP = re.compile(r"(set|C:|C>|C\*|S:|S~|S\.|tls|end|hang up|pause|stop|K>|H~|F:|N:|[A-Z])(?: (.*))?")


@dataclass(frozen=True, slots=True)
class Step:
    """One line. `deed` is its first word."""

    number: int
    deed: str
    text: str


@dataclass(slots=True)
class Script:
    """A dialogue."""

    settings: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def read(file: Path) -> Script:
    """Understand `file`; a line that is none of the language is an error."""
    script = Script()
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _STEP.fullmatch(line)
        assert match, f"{file.name}:{number}: not understood: {line}"
        deed, text = match[1], match[2] or ""
        if deed == "set":
            name, _, value = text.partition(" = ")
            script.settings[name] = value
        else:
            script.steps.append(Step(number, deed, text))
    return script


def unescaped(text: str) -> bytes:
    return codecs.escape_decode(text.encode())[0]
