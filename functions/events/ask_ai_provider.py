"""An owner's AI provider may be asked: takes the owner's next documents in line to it."""

from shared.assistant.tasks import TURN_SECONDS
from shared.db import TenantDatabase, database
from shared.documents import classify_step
from shared.events.catalogue import ClassificationDue
from shared.faas import on_event


@on_event(ClassificationDue, queue="ai")
async def ask_ai_provider(event: ClassificationDue) -> None:
    await classify_step.run_tasks(TenantDatabase(database(), event.owner_id), seconds=TURN_SECONDS)
