"""The asyncio client: carries frames to other servers over HTTPS."""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import ssl
from collections.abc import Mapping
from types import TracebackType

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..errors import TransportError
from ..types import Request, Response
from .discovery import Discovery, LookupSrv, Route, WellKnown, is_ip, split_name

MAX_RESPONSE_BYTES = 128 * 1024 * 1024
"""The default limit of a response's body: the state of a room with 100,000 members fits."""
CONNECT_TIMEOUT_S = 10.0
"""How long connecting may take, TLS included."""
TOTAL_TIMEOUT_S = 120.0
"""How long a request may take. The homeserver gives up earlier; this frees what it left behind."""
WELL_KNOWN_TIMEOUT_S = 10.0
"""How long a well-known may take, redirects included."""
WELL_KNOWN_MAX_BYTES = 50 * 1024
"""The limit of a well-known's body."""
WELL_KNOWN_MAX_REDIRECTS = 5
"""The limit of a well-known's redirects."""


class HttpTransport:
    """A `roomlet.Transport` over HTTPS, with server discovery. Close it after the homeserver, or use `async with`."""

    def __init__(
        self,
        *,
        ca_file: str | os.PathLike[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Mapping[str, tuple[str, int]] | None = None,
        lookup_srv: LookupSrv | None = None,
        well_known_port: int = 443,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        """`ca_file` adds a certificate authority to the system's; `ssl_context` replaces all of TLS's settings. `resolve`
        maps server names to the host and port to connect to, without discovery; their certificates are checked as ever.
        """
        if ssl_context is None:
            ssl_context = ssl.create_default_context()
            if ca_file is not None:
                ssl_context.load_verify_locations(ca_file)
        self._ssl = ssl_context
        self._resolve = dict(resolve or {})
        self._well_known_port = well_known_port
        self._max_response_bytes = max_response_bytes
        self._discovery = Discovery(self._fetch_well_known, lookup_srv=lookup_srv)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpTransport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request) -> Response:
        """Delivers `request` to the server that its destination names."""
        try:
            route = await self.route(request.destination)
        except ValueError as error:
            raise TransportError(str(error)) from None
        failures = []
        for address in route.addresses:
            try:
                return await self._exchange(route, address, request)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                # Nothing was sent: the next address may be tried.
                failures.append(f"{address[0]}:{address[1]}: {_why(error)}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise TransportError(f"{address[0]}:{address[1]}: {_why(error)}") from None
        raise TransportError("; ".join(failures))

    async def route(self, name: str) -> Route:
        """How the server `name` is reached."""
        if name in self._resolve:
            host, _ = split_name(name)
            return Route(name, host, (self._resolve[name],))
        return await self._discovery.resolve(name)

    async def _exchange(self, route: Route, address: tuple[str, int], request: Request) -> Response:
        headers = CIMultiDict({"Host": route.host})
        for value in request.authorization:
            headers.add("Authorization", value)
        if request.body or request.method in ("POST", "PUT"):
            headers["Content-Type"] = "application/json"
        async with self._open_session().request(
            request.method,
            _url(address, request.target),
            headers=headers,
            data=request.body or None,
            server_hostname=route.tls_name,
            allow_redirects=False,
        ) as response:
            return Response(response.status, await _read(response, self._max_response_bytes))

    async def _fetch_well_known(self, host: str) -> WellKnown | None:
        # Any failure means the same: there is no delegation, and the next step of discovery is tried (FED-12).
        url = URL.build(scheme="https", host=host, port=self._well_known_port, path="/.well-known/matrix/server")
        try:
            async with (
                asyncio.timeout(WELL_KNOWN_TIMEOUT_S),
                self._open_session().get(url, max_redirects=WELL_KNOWN_MAX_REDIRECTS + 1) as response,
            ):
                if response.status != 200 or response.url.scheme != "https":
                    return None
                answer = json.loads(await _read(response, WELL_KNOWN_MAX_BYTES))
                server = answer["m.server"]
                return WellKnown(server, max_age_s(response.headers)) if isinstance(server, str) else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._ssl, limit=0, limit_per_host=20),
                timeout=aiohttp.ClientTimeout(total=TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                headers={"User-Agent": "roomlet"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def max_age_s(headers: Mapping[str, str] | CIMultiDictProxy[str]) -> float | None:
    """How many seconds the headers let a response be cached; None if they do not say."""
    for directive in headers.get("Cache-Control", "").split(","):
        name, _, value = directive.strip().lower().partition("=")
        if name in ("no-store", "no-cache"):
            return 0.0
        value = value.strip('"')
        if name == "max-age" and value.isascii() and value.isdigit():
            return float(value[:10])
    try:
        expires = email.utils.parsedate_to_datetime(headers["Expires"])
        date = email.utils.parsedate_to_datetime(headers["Date"])
        return max(0.0, (expires - date).total_seconds())
    except KeyError:
        return None
    except (ValueError, TypeError):
        return 0.0


def _url(address: tuple[str, int], target: str) -> URL:
    host, port = address
    host = f"[{host}]" if ":" in host and is_ip(host) else host
    # Encoded already: the signature covers these very bytes.
    return URL(f"https://{host}:{port}{target}", encoded=True)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise aiohttp.ClientPayloadError(f"the response is larger than {limit} bytes")
    return bytes(body)


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
