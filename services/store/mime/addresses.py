"""Address lists as ENVELOPE tells them (RFC 5322 sections 3.4 and 4.4), forgiving.

What is no address still shows, as other servers show it: MISSING_MAILBOX, MISSING_DOMAIN and SYNTAX_ERROR stand for
what could not be read, so that a client can see that somebody was named.
"""

from typing import NamedTuple

from services.store.mime.lexer import BROKEN, END, MORE, Lexer

_LESS, _MORE_THAN, _AT, _COLON, _COMMA, _END_OF_GROUP, _QUOTE = b'<>@:,;"'


class Address(NamedTuple):
    """One address; a group begins with one that has only a mailbox, its name, and ends with one that has nothing."""

    name: bytes | None = None
    route: bytes | None = None
    mailbox: bytes | None = None
    domain: bytes | None = None


def addresses(value: bytes, most: int) -> list[Address]:
    """What the list names, as far as it can be read; about `most` of it, so that a long one costs no more."""
    reader = _Reader(value, most)
    if reader.lexer.skip_space() == MORE:
        reader.read_list()
    return reader.found


class _Reader:
    """The address that is being read, and those before it."""

    def __init__(self, value: bytes, most: int) -> None:
        self.lexer = Lexer(value)
        self._most = most
        self.found: list[Address] = []
        self._begin()

    def _begin(self) -> None:
        self._name: bytes | None = None
        self._route: bytes | None = None
        self._mailbox: bytes | None = None
        self._domain: bytes | None = None

    def read_list(self) -> None:
        """address *("," address); what follows the first thing that is none is not read."""
        lexer = self.lexer
        while self._address() != END and lexer.at(_COMMA) and len(self.found) < self._most:
            lexer.pos += 1
            left = lexer.skip_space()
            if left == BROKEN:
                self._add()
            if left != MORE:
                return

    def _address(self) -> int:
        start = self.lexer.pos
        result = self._group()
        if result == BROKEN:
            self.lexer.pos = start
            result = self._one()
        return result

    def _group(self) -> int:
        """BROKEN: it is none. Otherwise it is read however it goes on."""
        lexer = self.lexer
        lexer.text.clear()
        if lexer.phrase() != MORE or not lexer.at(_COLON):
            return BROKEN
        lexer.pos += 1
        left = lexer.skip_space()
        self.found.append(Address(mailbox=lexer.taken()))
        if left == MORE and not lexer.at(_END_OF_GROUP):
            left = self._members()
        if left != BROKEN:
            left = self._group_end()
        self.found.append(Address())
        return END if left == END else MORE

    def _members(self) -> int:
        lexer = self.lexer
        while True:
            self._one()
            if not lexer.at(_COMMA) or len(self.found) >= self._most:
                return MORE
            lexer.pos += 1
            if lexer.skip_space() != MORE:
                return BROKEN

    def _group_end(self) -> int:
        if not self.lexer.at(_END_OF_GROUP):
            return BROKEN
        self.lexer.pos += 1
        return self.lexer.skip_space()

    def _one(self) -> int:
        """name-addr / addr-spec."""
        start = self.lexer.pos
        result = self._named()
        if result == BROKEN:
            self.lexer.pos = start
            result = self._bare()
        self._add()
        return result

    def _add(self) -> None:
        mailbox = self._mailbox if self._mailbox is not None else b"MISSING_MAILBOX"
        self.found.append(Address(self._name, self._route, mailbox, self._domain or b"MISSING_DOMAIN"))
        self._begin()

    def _named(self) -> int:
        """[phrase] "<" ... ">". BROKEN: it is none."""
        lexer = self.lexer
        lexer.text.clear()
        if lexer.phrase() != MORE or not lexer.at(_LESS):
            return BROKEN
        self._name = lexer.taken() or None
        if self._angle() == BROKEN:
            self._domain = b"SYNTAX_ERROR"
        return MORE if lexer.pos < lexer.end else END

    def _angle(self) -> int:
        lexer = self.lexer
        lexer.pos += 1
        if lexer.skip_space() != MORE or (lexer.at(_AT) and not self._route_and_colon()):
            return BROKEN
        if not lexer.at(_MORE_THAN):
            if self._local_part() != MORE:
                return BROKEN
            if lexer.at(_AT) and self._read_domain() != MORE:
                return BROKEN
        if not lexer.at(_MORE_THAN):
            return BROKEN
        lexer.pos += 1
        return lexer.skip_space()

    def _route_and_colon(self) -> bool:
        """The obsolete `@a,@b:` (RFC 5322 section 4.4); False where nothing follows it."""
        lexer = self.lexer
        if self._domains() and lexer.at(_COLON):
            lexer.pos += 1
        else:
            self._route = b"INVALID_ROUTE"
        return lexer.skip_space() == MORE

    def _domains(self) -> bool:
        lexer = self.lexer
        lexer.text.clear()
        while lexer.at(_AT):
            lexer.text += b",@" if lexer.text else b"@"
            if lexer.domain() != MORE:
                return False
            while lexer.skip_space() == MORE and lexer.at(_COMMA):
                lexer.pos += 1
        if lexer.pos >= lexer.end:
            return False
        self._route = lexer.taken()
        return True

    def _local_part(self) -> int:
        lexer = self.lexer
        lexer.text.clear()
        result = lexer.quoted_string() if lexer.at(_QUOTE) else lexer.loose_dot_atom()
        if result != BROKEN:
            self._mailbox = bytes(lexer.text)
        return result

    def _read_domain(self) -> int:
        lexer = self.lexer
        lexer.text.clear()
        result = lexer.domain()
        if result != BROKEN:
            self._domain = bytes(lexer.text)
        return result

    def _bare(self) -> int:
        """local-part "@" domain, its name in a comment behind it; or what stands in its place."""
        lexer = self.lexer
        lexer.forget_comment()
        is_quoted = lexer.at(_QUOTE)
        result = local = self._local_part()
        has_domain = result != END and lexer.at(_AT)
        if has_domain and (read := self._read_domain()) != MORE:
            result = read
        if comment := lexer.comment:
            self._name = comment
        elif not has_domain:
            self._explain_word(is_quoted)
            result = BROKEN
        is_broken = local != MORE or (not comment and not has_domain)
        if is_broken and self._name is None and self._mailbox is not None and self._domain is None:
            self._name, self._mailbox = self._mailbox, None
        return result

    def _explain_word(self, is_quoted: bool) -> None:
        """A word alone is a mailbox; words are a name."""
        lexer = self.lexer
        lexer.text += b" "
        length = len(lexer.text)
        lexer.phrase()
        if len(lexer.text) != length:
            self._name, self._mailbox = bytes(lexer.text), None
        elif not is_quoted:
            self._domain = b""
