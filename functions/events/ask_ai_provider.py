"""An owner's AI provider may be asked: takes the owner's next document in line to it."""

from shared.db import TenantDatabase, database
from shared.documents import classify_step
from shared.events.catalogue import ClassificationDue
from shared.faas import on_event


@on_event(ClassificationDue, queue="ai")
async def ask_ai_provider(event: ClassificationDue) -> None:
    await classify_step.run_task(TenantDatabase(database(), event.owner_id))
