"""A process that stands in for a session's: tells what it is asked, and echoes its socket."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

from aiohttp import web

COOKIE = ("stand-in", "its-secret")


def main() -> None:
    told = json.loads(sys.stdin.buffer.readline())
    if "fails" in told:
        sys.exit(3)
    Path(told["folder"], "a temporary file").touch()
    asyncio.run(serve(told))


async def serve(told) -> None:
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    async def page(request):
        if request.path == "/away":
            raise web.HTTPFound("/elsewhere")
        heard = {
            "path": request.raw_path,
            "cookies": dict(request.cookies),
            "host": request.host,
            "headers": [name.lower() for name in request.headers],
            **told,
        }
        return web.json_response(heard, headers={"Set-Cookie": "inner=1", "X-Kept": "yes"})

    async def socket(request):
        answer = web.WebSocketResponse(max_msg_size=0)
        await answer.prepare(request)
        async for message in answer:
            if message.data == "end":
                break
            sends = answer.send_str if isinstance(message.data, str) else answer.send_bytes
            await sends(message.data)
        return answer

    application = web.Application()
    application.router.add_get("/ws", socket)
    application.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    def wait_for_the_end():
        sys.stdin.buffer.read()
        if "stubborn" not in told:
            loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(json.dumps({"port": runner.addresses[0][1], "cookie": COOKIE}), flush=True)
    await over.wait()
    await runner.cleanup()


if __name__ == "__main__":
    main()
