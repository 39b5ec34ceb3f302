"""POST /api/admin/deliveries/{delivery_id}/retry: tries a delivery again that was given up."""

from shared.admin import given_up_deliveries
from shared.admin.models import DeliveryForAdmins
from shared.audit import Caller
from shared.db import database
from shared.faas import Call, endpoint


@endpoint(
    "POST",
    "/api/admin/deliveries/{delivery_id}/retry",
    auth="admin",
    returns=DeliveryForAdmins,
    status=202,
    errors=["not_found", "delivery_done"],
)
async def retry_delivery(call: Call) -> DeliveryForAdmins:
    return await given_up_deliveries.retry(database(), Caller.of(call), call.path.delivery_id)
