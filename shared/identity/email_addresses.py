"""Mail addresses, as far as a form can tell: who owns one is shown by a mail that arrives."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_LENGTH = 254
"""RFC 5321, section 4.5.3.1.3, less the angle brackets."""
_LOCAL = re.compile(r"[^\s@()<>\[\]:;,\\\"\x00-\x1f\x7f]{1,64}")
_LABEL = re.compile(r"[^\W_]([\w-]{0,61}[^\W_])?")


def check_address(text: str) -> str:
    """The address, its domain in lower case. Raises ValueError."""
    address = text.strip()
    local, at, domain = address.rpartition("@")
    labels = domain.split(".")
    good = (
        at == "@"
        and len(address) <= MAX_LENGTH
        and _LOCAL.fullmatch(local) is not None
        and not local.startswith(".")
        and not local.endswith(".")
        and ".." not in local
        and address.isprintable()
        and "\u0130" not in address  # İ: an `i` to some of PostgreSQL's collations, and not to others
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdecimal()
    )
    if not good:
        raise ValueError("is not a mail address")
    return f"{local}@{domain.lower()}"


Email = Annotated[str, AfterValidator(check_address), Field(json_schema_extra={"format": "idn-email"})]
