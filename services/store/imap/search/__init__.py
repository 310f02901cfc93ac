"""SEARCH (RFC 9051 section 6.4.4).

Letters are asked first what costs nothing: flags, numbers, sizes, days of arrival. Only those that this leaves open are
looked up by their headers, and only what is open then is read. Sets of letters are ints, a bit for each letter: ten
thousand keys over ten thousand letters take seconds, in slices between which others are served.
"""

from services.store.imap.search.answer import answer, kept
from services.store.imap.search.found import Found
from services.store.imap.search.plan import TooBroad
from services.store.imap.search.run import find

__all__ = ["Found", "TooBroad", "answer", "find", "kept"]
