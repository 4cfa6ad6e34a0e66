"""What the server counted, and the limits that hold: GET /local/usage. QStash has no such endpoint.

`today` and `total` (since the start) are by kind: `published`, `scheduled`, `callbacks`, `retries`.
"""

from dataclasses import asdict
from typing import Any

from ..engine.usage import KINDS
from .http import Call, Route


async def get_usage(call: Call) -> Any:
    usage = call.services.usage
    room = usage.room
    return {
        "today": {kind: usage.today[kind] for kind in KINDS},
        "total": {kind: usage.total[kind] for kind in KINDS},
        "room": room,
        "resetsAt": usage.resets_at,
        "limits": asdict(call.services.settings.limits),
    }


ROUTES: list[Route] = [("GET", "/local/usage", get_usage)]
