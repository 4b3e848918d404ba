"""A hub of aiosignalr with the methods that every measured hub has, at /bench.

    python3 aiosignalr_server.py --listen 127.0.0.1:0
"""

import argparse
import asyncio
import logging

from aiosignalr.server import Hub, SignalRServer


class BenchHub(Hub):
    async def Echo(self, text: str) -> str:
        return text

    async def Join(self, group: str) -> None:
        await self.groups.add(group)

    async def Leave(self, group: str) -> None:
        await self.groups.remove(group)

    async def Broadcast(self, group: str, text: str) -> None:
        await self.clients.group(group).send("Received", text)

    async def Items(self, count: int):
        for number in range(count):
            yield number


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    host, port = parser.parse_args().listen.rsplit(":", 1)
    # A client that goes while it is answered leaves a traceback for each answer.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    server = SignalRServer(BenchHub)
    host, port = await server.serve(host, int(port), path="/bench")
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
