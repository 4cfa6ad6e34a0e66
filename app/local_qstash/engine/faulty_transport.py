"""Deliveries that go wrong on purpose."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from ..faults import DELIVERY, Fault, Faults
from .message import Message
from .transport import Answer, Transport

Send = Callable[[], Awaitable[Answer]]
_LONGEST_HOLD = 1.0  # seconds; the next attempt may never come, as in a FIFO queue


class FaultyTransport:
    """Sends by another transport, as the faults that are set let it."""

    def __init__(self, transport: Transport, faults: Faults) -> None:
        self._transport, self._faults = transport, faults
        self._held: list[asyncio.Event] = []
        self._inject = {
            "reorder": self._reorder,
            "delay": _delay,
            "drop": _drop,
            "fail": _fail,
            "lose-answer": _lose_answer,
            "duplicate": _duplicate,
        }

    async def send(self, message: Message, body: bytes) -> Answer:
        """Make one attempt; each fault that strikes is put around what comes after it."""
        send: Send = partial(self._transport.send, message, body)
        struck = self._faults.draw(DELIVERY)
        for fault in reversed(struck):
            send = partial(self._counted, fault, send)
        if not self._held or any(fault.kind == "reorder" for fault in struck):
            return await send()
        return await self._overtake(send)

    async def close(self) -> None:
        await self._transport.close()

    async def _counted(self, fault: Fault, send: Send) -> Answer:
        self._faults.count(fault)
        return await self._inject[fault.kind](fault, send)

    async def _reorder(self, _fault: Fault, send: Send) -> Answer:
        overtaken = asyncio.Event()
        self._held.append(overtaken)
        with suppress(TimeoutError):
            await asyncio.wait_for(overtaken.wait(), _LONGEST_HOLD)
        return await send()

    async def _overtake(self, send: Send) -> Answer:
        """Send, and let those that were held back before go when this has ended."""
        behind, self._held = self._held, []
        try:
            return await send()
        finally:
            for event in behind:
                event.set()


async def _delay(fault: Fault, send: Send) -> Answer:
    await asyncio.sleep(fault.value)
    return await send()


async def _drop(_fault: Fault, _send: Send) -> Answer:
    return Answer(error="fault injected: drop, the request was not sent")


async def _fail(fault: Fault, _send: Send) -> Answer:
    return Answer(int(fault.value), body=b"fault injected: fail, the request was not sent")


async def _lose_answer(_fault: Fault, send: Send) -> Answer:
    await send()
    return Answer(error="fault injected: lose-answer, the request was sent")


async def _duplicate(_fault: Fault, send: Send) -> Answer:
    first, second = await asyncio.gather(send(), send())
    return first if first.delivered else second
