"""The audit log: what happened, append-only, sealed into a hash chain, personal data erasable.

Writers insert (`record`), a sealer links the lines within a second (`sealer`), anyone with the right may check the chain (`chain`).
"""

from shared.audit.events import Event, Outcome
from shared.audit.lines import record

__all__ = ["Event", "Outcome", "record"]
