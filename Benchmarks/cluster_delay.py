# SPDX-License-Identifier: Apache-2.0
"""A network that takes its time, without a kernel that can delay packets: TCP relays that hold every byte back."""

import asyncio
import collections
import contextlib
import time

import load

# The most that a relay reads at a time, bytes.
CHUNK = 65536


class Delay:
    """One direction of a connection: what is put in comes out later, in order."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._last = 0.0
        self.waiting = collections.deque()

    def put(self, data, now):
        """`None` is the end. What comes later never overtakes."""
        self._last = max(self._last, now + self._seconds)
        self.waiting.append((self._last, data))

    def hold(self, until):
        """Lets nothing that comes from now on out before a time."""
        self._last = max(self._last, until)


async def _carry(reader, writer, delay):
    """Reads from one side and writes to the other, each in its own time."""
    arrived = asyncio.Event()

    async def read():
        data = b"-"
        while data:
            try:
                data = await reader.read(CHUNK)
            except OSError:
                data = b""
            delay.put(data or None, time.monotonic())
            arrived.set()

    async def write():
        while True:
            while not delay.waiting:
                arrived.clear()
                await arrived.wait()
            due, data = delay.waiting.popleft()
            await asyncio.sleep(max(due - time.monotonic(), 0))
            if data is None:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    reading = asyncio.ensure_future(read())
    try:
        with contextlib.suppress(OSError):
            await write()
    finally:
        reading.cancel()


async def _relay(client, target, round_trip):
    """One connection. Whoever connects has to wait for a round trip before it may say something, as TCP has it."""
    reader, writer = client
    accepted = time.monotonic()
    try:
        far_reader, far_writer = await asyncio.open_connection(*target)
    except OSError:
        writer.close()
        return
    there, back = Delay(round_trip / 2), Delay(round_trip / 2)
    there.hold(accepted + round_trip * 1.5)
    await asyncio.gather(
        _carry(reader, far_writer, there), _carry(far_reader, writer, back), return_exceptions=True)
    for end in (writer, far_writer):
        end.close()


async def _serve(relays, round_trip):
    async with contextlib.AsyncExitStack() as stack:
        for address, target in relays:
            def accept(reader, writer, target=target):
                return _relay((reader, writer), target, round_trip)
            await stack.enter_async_context(await asyncio.start_server(accept, *address))
        await asyncio.Event().wait()


def run(relays, round_trip):
    """Relays connections to each address to its target until the process is ended: pairs of (host, port)."""
    asyncio.run(_serve(relays, round_trip))


def started(relays, round_trip):
    """A process that does so; it is in the network namespace that this thread is in. `stop` ends it."""
    return load.Child(run, relays, round_trip)
