"""A whole host: one homeserver, federation over HTTPS, commands on stdin and answers on stdout. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Coroutine
from typing import Any

from commands import VERBS, to_json, update_to_dict
from hypercorn.asyncio import serve
from hypercorn.config import Config
from roomlet import Code, Homeserver, Request, Response, RoomletError, TransportError
from roomlet.http import FederationApp, HttpTransport
from roomlet.http.asgi import Message, Receive, Scope, Send

MAX_LINE_BYTES = 1024 * 1024
"""The longest command: an event is at most 64 KiB."""


class Link:
    """The network, which the command `link down` cuts in both directions."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.up = True

    async def send(self, request: Request) -> Response:
        """The transport of the homeserver."""
        if not self.up:
            raise TransportError("the link is down")
        return await self._transport.send(request)

    def guard(self, app: FederationApp) -> Any:
        """The ASGI application in front of `app`: nothing comes through while the link is down."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or self.up:
                await app(scope, receive, send)
                return
            start: Message = {"type": "http.response.start", "status": 503, "headers": [(b"connection", b"close")]}
            await send(start)
            await send({"type": "http.response.body", "body": b""})

        return guarded


class Console:
    """Reads commands and runs them, each in a task of its own: a slow join holds up no other."""

    def __init__(self, server: Homeserver, link: Link) -> None:
        self._server = server
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until `quit` or the end of stdin."""
        reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            tag, verb, *args = line.decode().rstrip("\r\n").split("\t") + [""] * (b"\t" not in line)
            if verb == "quit":
                say(tag, "ok", "")
                break
            self._start(self._answer(tag, verb, args))
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, tag: str, verb: str, args: list[str]) -> None:
        try:
            say(tag, "ok", await self._command(verb, args))
        except RoomletError as error:
            say(tag, "err", str(int(error.code)), error.errcode, error.message)
        except (ValueError, TypeError, IndexError) as error:  # arguments that are missing or of the wrong form
            say(tag, "err", str(int(Code.BAD_PARAM)), "M_INVALID_PARAM", f"{verb}: {error}")

    async def _command(self, verb: str, args: list[str]) -> str:
        if verb == "updates":
            self._start(self._print_updates(int(args[0])))
            return args[0]
        if verb == "link":
            self._link.up = args[0] == "up"
            if self._link.up:
                self._server.wake()
            return args[0]
        if verb not in VERBS:
            raise ValueError("no such command")
        return await VERBS[verb](self._server, args)

    async def _print_updates(self, since: int) -> None:
        async for update in self._server.updates(since):
            say("*", "update", str(update.pos), to_json(update_to_dict(update)))


def say(*fields: str) -> None:
    """One line on stdout; what would break the line becomes a space."""
    print("\t".join(field.replace("\t", " ").replace("\n", " ") for field in fields), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the server's name")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--db", required=True, metavar="FILE")
    parser.add_argument("--tls-cert", required=True, metavar="FILE")
    parser.add_argument("--tls-key", required=True, metavar="FILE")
    parser.add_argument("--ca", metavar="FILE", help="a certificate authority to trust beside the system's")
    parser.add_argument("--resolve", action="append", default=[], metavar="NAME=HOST:PORT")
    parser.add_argument("--log", action="store_true", help="log to stderr")
    return parser.parse_args()


def address(text: str) -> tuple[str, int]:
    """HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host, int(port)


async def main() -> None:
    """Opens the homeserver, serves it, and obeys."""
    options = arguments()
    logging.basicConfig(level=logging.DEBUG if options.log else logging.CRITICAL)
    resolve = {name: address(where) for name, _, where in (item.partition("=") for item in options.resolve)}

    # Bound here, so that `ready` is true when it is said: connections wait until hypercorn accepts them.
    listener = socket.create_server(address(options.listen), backlog=256)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = options.tls_cert, options.tls_key
    config.keep_alive_timeout = 75
    config.errorlog = "-" if options.log else None

    async with HttpTransport(ca_file=options.ca, resolve=resolve) as transport:
        link = Link(transport)
        async with Homeserver.open(options.name, path=options.db, transport=link) as server:
            app = FederationApp(server, on_request=lambda request: say("*", "request", request.method, request.target))
            stop = asyncio.Event()
            serving = asyncio.create_task(serve(link.guard(app), config, shutdown_trigger=stop.wait))
            say("ready")
            await Console(server, link).run()
            stop.set()
            await serving


if __name__ == "__main__":
    asyncio.run(main())
