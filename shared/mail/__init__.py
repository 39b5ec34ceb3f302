"""Mail: what is sent (`templates`), asked for in a transaction (`outbox`), and delivered (`delivery`)."""

from shared.mail.outbox import request

__all__ = ["request"]
