"""An office on real servers."""

from collections.abc import AsyncIterator

import pytest

from tests.kit.office import Office, opened_office
from tests.kit.scope import Scope


@pytest.fixture
async def office(scope: Scope) -> AsyncIterator[Office]:
    async with opened_office(scope) as office:
        yield office
