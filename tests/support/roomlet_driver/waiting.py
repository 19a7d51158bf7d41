"""Waiting for what other processes do in their own time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    what: str,
    check: Callable[[], Awaitable[T]],
    timeout: float = 30.0,
    every: float = 0.2,
) -> T:
    """Calls `check` until it raises no `AssertionError`, and returns its result.

    `what` names the awaited fact; the failure after `timeout` seconds shows it with the last reason.
    """
    started = time.monotonic()
    while True:
        try:
            return await check()
        except AssertionError as error:
            waited = time.monotonic() - started
            if waited > timeout:
                raise AssertionError(f"not within {timeout:.0f} s: {what}\nlast reason: {error}") from error
        await asyncio.sleep(every)
