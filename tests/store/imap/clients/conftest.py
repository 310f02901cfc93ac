"""The product as processes, with a main server that comes and goes."""

from tests.pipeline.conftest import module_system as module_system
from tests.pipeline.conftest import system as system
