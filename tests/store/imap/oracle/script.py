"""The language of the scripts.

# what the script shows
letters usual plain mixed     what INBOX has at the beginning, by names of letters.py; before anything else
C: SELECT INBOX               the client sends this command, and reads up to its tagged response
                              {{text}} stands for a literal, {{+text}} for one without go-ahead, {{@mixed}} for a
                              literal letter, {{+@mixed}} too, \\r \\n \\0 \\xff \\\\ within them for one byte;
                              $NAME for what a server last said of NAME (UIDVALIDITY, HIGHESTMODSEQ, MODSEQ, UIDNEXT)
C> x1 IDLE\\r\\n                the client sends just these bytes
C* 100 x                      the client sends `x` a hundred times
C~ EXISTS                     the server says a response with this in it, unasked or asked by C>
keep old = HIGHESTMODSEQ      $old is what the server last said of HIGHESTMODSEQ
I: SELECT INBOX               in a script of POP3: the client sends this to IMAP, over one connection that stays
B                             a line of capitals: go on with that connection, logged in at its first mention
fresh X                       as B, but opened without a login
hang up                       the client closes the connection
"""

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.imapwire import literal
from tests.store.imap.oracle.letters import LETTERS

_STEP = re.compile(r"(letters|C:|I:|C>|C\*|C~|keep|fresh|hang up|[A-Z])(?: (.*))?")
_LITERAL = re.compile(r"\{\{(\+?)(@?)(.*?)\}\}")
# Keywords ($Forwarded, $Label1) look like names, and are none.
_NAME = re.compile(rb"\$([a-z]+|[A-Z]{4,})\b")
_TOLD = re.compile(rb"\b(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ|MODSEQ) \(?(\d+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One line. `deed` is its first word."""

    number: int
    deed: str
    text: str


@dataclass(slots=True)
class Script:
    """The letters of INBOX, and what is done."""

    name: str
    letters: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def read(file: Path) -> Script:
    """Understand `file`; a line that is none of the language is an error."""
    script = Script(file.stem)
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _STEP.fullmatch(line)
        assert match, f"{file.name}:{number}: not understood: {line}"
        if match[1] == "letters":
            script.letters += match[2].split()
        else:
            script.steps.append(Step(number, match[1], match[2] or ""))
    return script


def unescaped(text: str) -> bytes:
    """\\r \\n \\0 \\xff as bytes."""
    return codecs.escape_decode(text.encode())[0]


@dataclass(slots=True)
class Names:
    """What the servers said last, by name, for one side."""

    values: dict[bytes, bytes] = field(default_factory=dict)

    def hear(self, response: bytes) -> None:
        """Keep the numbers in `response`."""
        self.values.update(_TOLD.findall(response))

    def keep(self, text: str) -> None:
        """`new = OLD`."""
        new, _, old = text.encode().partition(b" = ")
        self.values[new] = self.values[old]

    def command(self, text: str) -> bytes:
        """The bytes of a command of the script."""
        named = _NAME.sub(lambda found: self.values[found[1]], text.encode())
        parts = _LITERAL.split(named.decode())
        data = parts[0].encode()
        for plus, at, given, rest in zip(parts[1::4], parts[2::4], parts[3::4], parts[4::4], strict=True):
            octets = LETTERS[given].raw if at else unescaped(given)
            data += literal(octets, plus=bool(plus)) + rest.encode()
        return data
