"""Our store and Dovecot, for the tests of this folder."""

from tests.store.imap.oracle.conftest import ours as ours
from tests.store.imap.oracle.conftest import own_system as own_system
from tests.store.imap.oracle.conftest import theirs as theirs
