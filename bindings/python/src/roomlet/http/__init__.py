"""Federation over HTTPS: an ASGI application for what comes in, an asyncio client for what goes out.

Needs `aiohttp` and `dnspython` (`pip install roomlet[http]`); roomlet itself does not.
"""

from .asgi import MAX_BODY_BYTES, FederationApp
from .client import HttpTransport
from .discovery import Discovery, Route, SrvRecord

__all__ = ["MAX_BODY_BYTES", "Discovery", "FederationApp", "HttpTransport", "Route", "SrvRecord"]
