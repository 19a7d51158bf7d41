"""The ASGI application and the client, against each other and against loopback servers."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from conftest import Certificates
from hypercorn.asyncio import serve
from hypercorn.config import Config
from roomlet import Homeserver, Request, Response, RoomletError, TransportError
from roomlet.http import MAX_BODY_BYTES, FederationApp, HttpTransport, SrvRecord
from roomlet.http.client import max_age_s

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Echo:
    """A homeserver that answers with what it was asked."""

    server_name = "hs.test"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def handle_request(self, request: Request, /) -> Response:
        self.requests.append(request)
        return Response(200, b'{"ok":true}')


async def ask(app: FederationApp, scope: dict[str, Any], *bodies: bytes, gone: bool = False) -> list[dict[str, Any]]:
    """Runs one HTTP request through the application and gives what it sent."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    base = {"type": "http", "method": "GET", "headers": [], "query_string": b"", "root_path": ""}
    await app({**base, **scope}, receive, send)
    return sent


async def test_default_limit_of_a_body_is_the_homeservers() -> None:
    async with Homeserver.open("one.test", transport=HttpTransport()) as server:
        for length, status in ((MAX_BODY_BYTES, 400), (MAX_BODY_BYTES + 1, 413)):
            request = Request("one.test", "PUT", "/_matrix/federation/v1/send/1", (), b" " * length)
            assert (await server.handle_request(request)).status == status


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"path": "/_matrix/a/b", "raw_path": b"/_matrix/a%2Fb"}, "/_matrix/a%2Fb"),
        ({"path": "/_matrix/a", "raw_path": b"/_matrix/a", "query_string": b"x=%24a&y"}, "/_matrix/a?x=%24a&y"),
        ({"path": "/_matrix/a", "raw_path": b"/_matrix/a?x", "query_string": b"x"}, "/_matrix/a?x"),
        ({"path": "/_matrix/é b", "raw_path": None}, "/_matrix/%C3%A9%20b"),
        ({"path": "/hs/_matrix/a", "raw_path": b"/hs/_matrix/a", "root_path": "/hs"}, "/_matrix/a"),
        ({"path": "/_matrix/a", "raw_path": b"/_matrix/a", "root_path": "/hs"}, "/_matrix/a"),
    ],
)
async def test_target_is_what_was_on_the_wire(scope: dict[str, Any], target: str) -> None:
    echo = Echo()
    sent = await ask(FederationApp(echo), scope)
    assert sent[0]["status"] == 200
    assert echo.requests == [Request("hs.test", "GET", target)]


async def test_every_authorization_header_and_the_whole_body_reach_the_homeserver() -> None:
    echo = Echo()
    headers = [(b"authorization", b"X-Matrix one"), (b"host", b"x"), (b"Authorization", b"X-Matrix two")]
    scope = {"method": "PUT", "path": "/_matrix/a", "raw_path": b"/_matrix/a", "headers": headers}
    sent = await ask(FederationApp(echo), scope, b'{"a":', b"1}")
    assert echo.requests == [Request("hs.test", "PUT", "/_matrix/a", ("X-Matrix one", "X-Matrix two"), b'{"a":1}')]
    assert sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"11")],
        },
        {"type": "http.response.body", "body": b'{"ok":true}'},
    ]


@pytest.mark.parametrize(
    ("headers", "bodies"),
    [([(b"content-length", b"11")], []), ([(b"content-length", b"9" * 4000)], []), ([], [b"123456", b"78901"])],
)
async def test_body_beyond_the_limit_is_refused_unseen(headers: list[tuple[bytes, bytes]], bodies: list[bytes]) -> None:
    echo = Echo()
    scope = {"method": "PUT", "path": "/_matrix/a", "raw_path": b"/_matrix/a", "headers": headers}
    sent = await ask(FederationApp(echo, max_body_bytes=10), scope, *bodies)
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"]) == {
        "errcode": "M_TOO_LARGE",
        "error": "the body is larger than 10 bytes",
    }
    assert echo.requests == []


async def test_request_that_breaks_off_is_dropped() -> None:
    echo = Echo()
    scope = {"method": "PUT", "path": "/_matrix/a", "raw_path": b"/_matrix/a"}
    assert await ask(FederationApp(echo), scope, b"{", gone=True) == []
    assert echo.requests == []


@pytest.mark.parametrize("path", ["/", "/_matrix", "/other/_matrix/a", "/.well-known/matrix/server"])
async def test_other_paths_are_not_found(path: str) -> None:
    echo = Echo()
    sent = await ask(FederationApp(echo), {"path": path, "raw_path": path.encode()})
    assert sent[0]["status"] == 404
    assert json.loads(sent[1]["body"])["errcode"] == "M_UNRECOGNIZED"
    assert echo.requests == []


async def test_well_known_delegates_where_the_host_asks_for_it() -> None:
    path = "/.well-known/matrix/server"
    sent = await ask(FederationApp(Echo(), well_known="hs.test:443"), {"path": path, "raw_path": path.encode()})
    assert (sent[0]["status"], sent[1]["body"]) == (200, b'{"m.server": "hs.test:443"}')


async def test_closed_homeserver_answers_unavailable() -> None:
    class Closed(Echo):
        async def handle_request(self, request: Request, /) -> Response:
            raise RoomletError(700, "M_UNKNOWN", "the server was closed")

    sent = await ask(FederationApp(Closed()), {"path": "/_matrix/a", "raw_path": b"/_matrix/a"})
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"]) == {"errcode": "M_UNKNOWN", "error": "the server was closed"}


@asynccontextmanager
async def loopback(handler: Handler, certificates: Certificates) -> AsyncIterator[int]:
    """An HTTPS server on 127.0.0.1; gives its port."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.server_context())
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def no_srv(name: str) -> list[SrvRecord]:
    return []


async def test_frame_survives_the_way_over_https(certificates: Certificates) -> None:
    echo = Echo()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile = str(certificates.cert), str(certificates.key)
    config.errorlog = None
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(FederationApp(echo), config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    request = Request(
        destination="hs.test",
        method="PUT",
        target="/_matrix/federation/v1/send/a%2Fb%20%24?x=%3A&y=!:",
        authorization=('X-Matrix origin="a",sig="1"', 'X-Matrix origin="a",sig="2"'),
        body='{"ä":1}'.encode(),
    )
    async with HttpTransport(ca_file=certificates.ca, resolve={"hs.test": ("127.0.0.1", port)}) as transport:
        assert await transport.send(request) == Response(200, b'{"ok":true}')
    stop.set()
    await serving
    assert echo.requests == [request]


async def test_host_header_is_the_name_and_redirects_are_not_followed(certificates: Certificates) -> None:
    seen: list[tuple[str | None, str | None, str | None]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        seen.append((headers.get("Host"), headers.get("Content-Type"), headers.get("User-Agent")))
        return web.Response(status=302, headers={"Location": "https://localhost/"}, body=b"{}")

    async with loopback(handler, certificates) as port:
        name = f"localhost:{port}"
        async with HttpTransport(ca_file=certificates.ca) as transport:
            assert await transport.send(Request(name, "GET", "/_matrix/a")) == Response(302, b"{}")
            assert await transport.send(Request(name, "POST", "/_matrix/a")) == Response(302, b"{}")
    assert seen == [(name, None, "roomlet"), (name, "application/json", "roomlet")]


@pytest.mark.parametrize("name", ["other.test", "127.0.0.2"])
async def test_certificate_of_another_name_is_refused(certificates: Certificates, name: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("no request may arrive")

    async with loopback(handler, certificates) as port:
        async with HttpTransport(ca_file=certificates.ca, resolve={name: ("127.0.0.1", port)}) as transport:
            with pytest.raises(TransportError, match="certificate"):
                await transport.send(Request(name, "GET", "/_matrix/a"))


async def test_unknown_certificate_authority_is_refused(certificates: Certificates) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("no request may arrive")

    async with loopback(handler, certificates) as port, HttpTransport() as transport:
        with pytest.raises(TransportError, match="certificate"):
            await transport.send(Request(f"localhost:{port}", "GET", "/_matrix/a"))


async def test_ip_literal_is_checked_against_the_certificate(certificates: Certificates) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"{}")

    async with loopback(handler, certificates) as port, HttpTransport(ca_file=certificates.ca) as transport:
        assert await transport.send(Request(f"127.0.0.1:{port}", "GET", "/_matrix/a")) == Response(200, b"{}")


async def test_next_address_is_tried_where_one_does_not_connect(certificates: Certificates) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"{}")

    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = unused.getsockname()[1]
    async with loopback(handler, certificates) as port:

        async def srv(name: str) -> list[SrvRecord]:
            if name != "_matrix-fed._tcp.localhost":
                return []
            return [SrvRecord(1, 0, dead, "127.0.0.1"), SrvRecord(2, 0, port, "127.0.0.1")]

        async with HttpTransport(ca_file=certificates.ca, lookup_srv=srv, well_known_port=dead) as transport:
            assert await transport.send(Request("localhost", "GET", "/_matrix/a")) == Response(200, b"{}")


async def test_unreachable_server_is_a_transport_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = unused.getsockname()[1]
    async with HttpTransport() as transport:
        with pytest.raises(TransportError, match=f"127.0.0.1:{dead}"):
            await transport.send(Request(f"127.0.0.1:{dead}", "GET", "/_matrix/a"))
        with pytest.raises(TransportError, match="is no server name"):
            await transport.send(Request("a b", "GET", "/_matrix/a"))


async def test_response_beyond_the_limit_is_a_transport_error(certificates: Certificates) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * 1001)

    async with loopback(handler, certificates) as port:
        async with HttpTransport(ca_file=certificates.ca, max_response_bytes=1000) as transport:
            with pytest.raises(TransportError, match="larger than 1000 bytes"):
                await transport.send(Request(f"localhost:{port}", "GET", "/_matrix/a"))


WELL_KNOWN_ANSWERS: list[tuple[str, Callable[[int], web.Response], bool]] = [
    ("plain", lambda port: web.Response(body=json.dumps({"m.server": f"hs.test:{port}"}).encode()), True),
    ("text", lambda port: web.Response(text=json.dumps({"m.server": f"hs.test:{port}"})), True),
    ("status", lambda port: web.Response(status=404, text=json.dumps({"m.server": f"hs.test:{port}"})), False),
    ("not_json", lambda port: web.Response(text="<html>"), False),
    ("not_an_object", lambda port: web.Response(text="[]"), False),
    ("no_member", lambda port: web.Response(text="{}"), False),
    ("not_a_string", lambda port: web.Response(text='{"m.server":1}'), False),
    ("too_large", lambda port: web.Response(text=json.dumps({"m.server": f"hs.test:{port}"}) + " " * 51200), False),
    ("too_deep", lambda port: web.Response(text="[" * 50000), False),
]


@pytest.mark.parametrize(
    ("answer", "delegates"), [row[1:] for row in WELL_KNOWN_ANSWERS], ids=[row[0] for row in WELL_KNOWN_ANSWERS]
)
async def test_well_known_answer(
    certificates: Certificates, answer: Callable[[int], web.Response], delegates: bool
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return answer(99)

    async with loopback(handler, certificates) as port:
        async with HttpTransport(ca_file=certificates.ca, lookup_srv=no_srv, well_known_port=port) as transport:
            route = await transport.route("localhost")
    assert route.addresses == ((("hs.test", 99),) if delegates else (("localhost", 8448),))


@pytest.mark.parametrize(("redirects", "delegates"), [(1, True), (5, True), (6, False)])
async def test_well_known_redirects_are_followed_up_to_a_limit(
    certificates: Certificates, redirects: int, delegates: bool
) -> None:
    left = redirects

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal left
        if left > 0:
            left -= 1
            return web.Response(status=301, headers={"Location": f"/{left}"})
        return web.Response(text='{"m.server":"hs.test:99"}')

    async with loopback(handler, certificates) as port:
        async with HttpTransport(ca_file=certificates.ca, lookup_srv=no_srv, well_known_port=port) as transport:
            route = await transport.route("localhost")
    assert route.addresses == ((("hs.test", 99),) if delegates else (("localhost", 8448),))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Cache-Control": "public, max-age=60"}, 60.0),
        ({"Cache-Control": 'Max-Age="60"'}, 60.0),
        ({"Cache-Control": "no-store"}, 0.0),
        ({"Cache-Control": "max-age=x"}, None),
        ({"Cache-Control": "max-age=" + "9" * 400}, 9999999999.0),
        ({"Expires": "Thu, 01 Jan 1970 00:01:00 GMT", "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, 60.0),
        ({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT", "Date": "Thu, 01 Jan 1970 00:01:00 GMT"}, 0.0),
        ({"Expires": "0", "Date": "Thu, 01 Jan 1970 00:01:00 GMT"}, 0.0),
    ],
)
def test_cache_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert max_age_s(headers) == seconds


def test_default_tls_verifies() -> None:
    transport = HttpTransport()
    assert transport._ssl.verify_mode == ssl.CERT_REQUIRED
    assert transport._ssl.check_hostname
