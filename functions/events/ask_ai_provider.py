"""On `classification.due`: takes the owner's next documents in line to the AI provider."""

from shared.assistant.tasks import TURN_SECONDS
from shared.db import TenantDatabase, database
from shared.documents import classify_step
from shared.faas import Event, Rejected, on_event


@on_event("classification.due", queue="ai")
async def ask_ai_provider(event: Event) -> None:
    if event.owner_id is None:
        raise Rejected("the event names no owner")
    await classify_step.run_tasks(TenantDatabase(database(), event.owner_id), seconds=TURN_SECONDS)
