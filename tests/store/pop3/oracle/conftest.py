"""Dovecot, for the tests of this folder."""

from tests.store.imap.oracle.conftest import theirs as theirs
