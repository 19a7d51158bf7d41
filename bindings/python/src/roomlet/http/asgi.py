"""The ASGI application: HTTP requests of other servers become frames, and answers become responses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol
from urllib.parse import quote

from ..errors import Code, RoomletError
from ..types import Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 12_500_000
"""The default limit of a request's body: that of `Homeserver.handle_request`."""

_PREFIX = b"/_matrix/"
_WELL_KNOWN = b"/.well-known/matrix/server"


class Handler(Protocol):
    """What answers frames: a `roomlet.Homeserver`."""

    @property
    def server_name(self) -> str:
        """The server's name."""

    async def handle_request(self, request: Request, /) -> Response:
        """Answers one request."""


class FederationApp:
    """Answers `/_matrix/…` for `homeserver`. Mounts in any ASGI server or framework.

    The signature of a request covers its path and query as they were on the wire: the ASGI server has to pass
    `raw_path`, as hypercorn and uvicorn do; without it the path is quoted again, which is right for plain ones.
    """

    def __init__(
        self,
        homeserver: Handler,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        well_known: str | None = None,
        on_request: Callable[[Request], None] | None = None,
    ) -> None:
        """`well_known` is the `host[:port]` to which `/.well-known/matrix/server` delegates, if this application serves
        the server name itself. `on_request` sees every frame before it is answered.
        """
        self._homeserver = homeserver
        self._max_body_bytes = max_body_bytes
        self._well_known = well_known
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            response = await self._answer(scope, receive)
            if response is not None:
                await _respond(send, response)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        path = _raw_path(scope)
        if path == _WELL_KNOWN and self._well_known is not None:
            return Response(200, json.dumps({"m.server": self._well_known}).encode())
        if not path.startswith(_PREFIX):
            return _error(404, "M_UNRECOGNIZED", "not a path of the federation API")
        try:
            body = await _body(scope, receive, self._max_body_bytes)
        except _TooLarge:
            return _error(413, "M_TOO_LARGE", f"the body is larger than {self._max_body_bytes} bytes")
        except _Gone:
            return None
        query = scope.get("query_string", b"")
        target = path + b"?" + query if query else path
        request = Request(
            destination=self._homeserver.server_name,
            method=scope["method"],
            target=target.decode("latin-1"),
            authorization=tuple(
                value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"
            ),
            body=body,
        )
        if self._on_request is not None:
            self._on_request(request)
        try:
            return await self._homeserver.handle_request(request)
        except RoomletError as error:
            status = 503 if error.code in (Code.CLOSED, Code.BUSY) else 500
            return _error(status, error.errcode, error.message)


class _TooLarge(Exception):
    """The body is beyond the limit."""


class _Gone(Exception):
    """The client went away before its request was complete."""


def _raw_path(scope: Scope) -> bytes:
    """The path as on the wire, without what the application is mounted under."""
    raw: bytes | None = scope.get("raw_path")
    path = raw.split(b"?", 1)[0] if raw else quote(scope["path"]).encode()
    root = quote(scope.get("root_path", "")).encode()
    if root and not path.startswith((_PREFIX, _WELL_KNOWN)):
        path = path.removeprefix(root)
    return path


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit() and (len(value) > 18 or int(value) > limit):
            raise _TooLarge
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > limit:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


def _error(status: int, errcode: str, message: str) -> Response:
    return Response(status, json.dumps({"errcode": errcode, "error": message}).encode())


async def _respond(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(response.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
