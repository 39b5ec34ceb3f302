"""What the functions' tests share."""

from tests.identity.conftest import empty_database as empty_database
from tests.identity.conftest import own_instance as own_instance
