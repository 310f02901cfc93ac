"""Commands out of bytes: tokens, what each kind of argument is, and the commands by the state they belong to. Pure."""

from services.store.imap.parse.command import Parsed, parse
from services.store.imap.parse.errors import BadCommand, Refused, Unfit
from services.store.imap.parse.lexer import Head, LiteralAhead, head_of, literal_of

__all__ = ["BadCommand", "Head", "LiteralAhead", "Parsed", "Refused", "Unfit", "head_of", "literal_of", "parse"]
