"""Signing keys."""

from typing import Any

from .http import Call, Route


async def get_keys(call: Call) -> Any:
    return {"current": call.services.keys.current, "next": call.services.keys.next}


async def rotate_keys(call: Call) -> Any:
    call.services.keys.rotate()
    return await get_keys(call)


ROUTES: list[Route] = [("GET", "keys", get_keys), ("POST", "keys/rotate", rotate_keys)]
