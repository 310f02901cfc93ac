"""Dovecot, for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.kit.dovecot import dovecot
from tests.kit.mailserver import MailServer, of_dovecot


@pytest.fixture(scope="package")
def theirs() -> Iterator[MailServer]:
    with dovecot() as server:
        yield of_dovecot(server)
