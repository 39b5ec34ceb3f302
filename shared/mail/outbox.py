"""Asking for a mail in the transaction that gives the reason for it.

The content (it may hold a reset link) is sealed in `mails` and erased once sent; the event carries the mail's id alone.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from uuid import UUID

from shared.db import Transaction
from shared.events import publish
from shared.events.catalogue import EmailRequested
from shared.ids import new_id
from shared.keys import internal_keys
from shared.sealing import seal

PURPOSE = "mail"


async def request(tx: Transaction, template: str, to: str, values: Mapping[str, str], *, owner: UUID | None = None) -> UUID:
    """Queues a mail (system transaction); its id. It is sent once this transaction is committed."""
    mail_id = new_id()
    content = json.dumps({"to": to, "values": dict(values)}).encode()
    await tx.execute(
        "INSERT INTO mails (id, template, sealed) VALUES (%(id)s, %(template)s, %(sealed)s)",
        {"id": mail_id, "template": template, "sealed": seal(content, user=mail_id, purpose=PURPOSE, row=mail_id)},
    )
    await publish(tx, EmailRequested(owner_id=owner, mail_id=mail_id))
    return mail_id


async def may_send(tx: Transaction, kind: str, to: str, *, most: int) -> bool:
    """Counts one mail of a kind to an address; whether it is among the first `most` of this hour (system transaction).

    So that nobody fills another's mailbox. Only a keyed hash of the address is stored.
    """
    bucket = hmac.digest(internal_keys("mails")[-1], f"{kind}\0{to.strip().casefold()}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    sent: int = await tx.fetch_value(
        """
        INSERT INTO mail_counts AS known (bucket, sent, since) VALUES (%(bucket)s, 1, now())
        ON CONFLICT (bucket) DO UPDATE SET
            sent = CASE WHEN known.since < now() - interval '1 hour' THEN 1 ELSE known.sent + 1 END,
            since = CASE WHEN known.since < now() - interval '1 hour' THEN now() ELSE known.since END
        RETURNING sent
        """,
        {"bucket": bucket},
    )
    return sent <= most
