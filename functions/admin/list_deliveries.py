"""GET /api/admin/deliveries: events on their way to functions; `state=dead`: those that were given up."""

from shared.admin import given_up_deliveries
from shared.admin.models import DeliveryForAdmins, DeliveryQuery
from shared.db import database
from shared.faas import Call, Page, endpoint


@endpoint("GET", "/api/admin/deliveries", auth="admin", query=DeliveryQuery, returns=Page[DeliveryForAdmins], errors=["invalid_cursor"])
async def list_deliveries(call: Call[None, DeliveryQuery]) -> Page[DeliveryForAdmins]:
    return await given_up_deliveries.list_page(database(), call.query)
