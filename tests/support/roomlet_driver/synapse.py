"""Synapse as a peer: a child process of its own, spoken to over its client API."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from .authority import Certificate
from .ports import free_port

Event = dict[str, Any]

_UNLIMITED = {"per_second": 10000, "burst_count": 10000}
_PAGE = 200


class SynapseError(Exception):
    """A client API request that Synapse refused."""

    def __init__(self, request: str, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{request}: {status} {dict(body)}")
        self.status = status
        self.errcode = body.get("errcode", "")


class Synapse:
    """One Synapse server, named `localhost:PORT`, which trusts `ca_file` and nobody else."""

    def __init__(self, port: int, directory: Path, certificate: Certificate, ca_file: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = f"localhost:{port}"
        client_port = free_port()
        self._url = f"http://127.0.0.1:{client_port}"
        self._directory = directory
        self._log_file = directory / "synapse.log"
        self._config_file = directory / "homeserver.yaml"
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        # Synapse reads YAML, and JSON is YAML.
        self._config_file.write_text(
            json.dumps(self._config(port, client_port, certificate, ca_file), indent=2)
        )

    @property
    def running(self) -> bool:
        """Whether the process was started and not ended by us."""
        return self._process is not None

    async def start(self, timeout: float = 90.0) -> None:
        """Starts the process and waits until it answers."""
        assert self._process is None, f"{self.name} runs already"
        command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(self._config_file)]
        with self._log_file.open("ab") as log:
            if not (self._directory / "signing.key").exists():
                generate = await asyncio.create_subprocess_exec(
                    *command, "--generate-keys", stdout=log, stderr=log, cwd=self._directory
                )
                assert await generate.wait() == 0, self.log_tail()
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, cwd=self._directory
            )
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120))
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            with suppress(aiohttp.ClientError):
                async with self._http.get(f"{self._url}/_matrix/client/versions") as response:
                    if response.status == 200:
                        return
            ended = self._process.returncode is not None
            if ended or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"Synapse did not start\n{self.log_tail()}")
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Ends the process in good order."""
        await self._end(signal.SIGTERM)

    async def close(self) -> None:
        """Ends the process and the client's connections."""
        await self.stop()
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def user(self, localpart: str) -> "SynapseUser":
        """Registers a user and logs in as it."""
        body = {"username": localpart, "password": "test", "auth": {"type": "m.login.dummy"}}
        answer = await self.request("POST", "/register", body)
        return SynapseUser(self, answer["user_id"], answer["access_token"])

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, token: str | None = None
    ) -> Any:
        """One request of the client API; `path` is below `/_matrix/client/v3` and already encoded."""
        assert self._http is not None, "Synapse is not started"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = URL(f"{self._url}/_matrix/client/v3{path}", encoded=True)
        async with self._http.request(method, url, json=body, headers=headers) as response:
            answer = await response.json()
            if response.status != 200:
                raise SynapseError(f"{method} {path}", response.status, answer)
            return answer

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the process wrote."""
        text = self._log_file.read_text(errors="replace").splitlines()
        return "\n".join([f"--- end of {self._log_file} ---", *text[-lines:]])

    async def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(with_signal)
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._process = None

    def _config(self, port: int, client_port: int, certificate: Certificate, ca_file: Path) -> dict[str, Any]:
        directory = self._directory
        listener = {"type": "http", "bind_addresses": ["127.0.0.1"]}
        return {
            "server_name": self.name,
            "signing_key_path": str(directory / "signing.key"),
            "media_store_path": str(directory / "media"),
            "pid_file": str(directory / "pid"),
            "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
            "listeners": [
                {**listener, "port": port, "tls": True, "resources": [{"names": ["federation"]}]},
                {**listener, "port": client_port, "tls": False, "resources": [{"names": ["client"]}]},
            ],
            "tls_certificate_path": str(certificate.cert),
            "tls_private_key_path": str(certificate.key),
            "federation_custom_ca_list": [str(ca_file)],
            "federation_ip_range_blacklist": [],
            "ip_range_blacklist": [],
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "report_stats": False,
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "macaroon_secret_key": "test",
            "form_secret": "test",
            # An outage of a test lasts seconds: ten minutes of waiting after it would only be waiting.
            "federation": {
                "destination_min_retry_interval": "1s",
                "destination_max_retry_interval": "2s",
                "max_short_retries": 1,
                "max_short_retry_delay": "1s",
            },
            # A repeated first /sync must tell what is, not what was two minutes ago.
            "caches": {"sync_response_cache_duration": 0},
            "experimental_features": {"msc1767_enabled": True},
            "rc_message": _UNLIMITED,
            "rc_registration": _UNLIMITED,
            "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED, "failed_attempts": _UNLIMITED},
            "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
            "rc_joins_per_room": _UNLIMITED,
            "rc_invites": {"per_room": _UNLIMITED, "per_user": _UNLIMITED, "per_issuer": _UNLIMITED},
            "rc_room_creation": _UNLIMITED,
            "rc_federation": {
                "window_size": 1,
                "sleep_limit": 100000,
                "sleep_delay": 1,
                "reject_limit": 100000,
                "concurrent": 1000,
            },
            "federation_rr_transactions_per_room_per_second": 10000,
        }


class SynapseUser:
    """A user of a Synapse server, logged in."""

    def __init__(self, server: Synapse, user_id: str, token: str) -> None:
        self.server = server
        self.user_id = user_id
        self._token = token
        self._transactions = 0

    async def create_room(self, version: str, **options: Any) -> str:
        """Makes a room (options as in the client API); returns its id."""
        answer = await self._request("POST", "/createRoom", {"room_version": version, **options})
        room_id: str = answer["room_id"]
        return room_id

    async def upgrade(self, room: str, version: str) -> str:
        """Replaces the room by one of `version`; returns the new room's id."""
        answer = await self._request("POST", _room(room, "upgrade"), {"new_version": version})
        room_id: str = answer["replacement_room"]
        return room_id

    async def join(self, room: str, *via: str) -> None:
        """Joins, through one of the servers `via` if this one is not in the room."""
        query = "&".join(f"server_name={quote(server, safe='')}" for server in via)
        await self._request("POST", f"/join/{quote(room, safe='')}?{query}", {})

    async def invite(self, room: str, target: str) -> None:
        """Invites `target`."""
        await self._request("POST", _room(room, "invite"), {"user_id": target})

    async def leave(self, room: str) -> None:
        """Leaves the room, or rejects an invite to it."""
        await self._request("POST", _room(room, "leave"), {})

    async def kick(self, room: str, target: str) -> None:
        """Kicks `target`."""
        await self._request("POST", _room(room, "kick"), {"user_id": target})

    async def ban(self, room: str, target: str) -> None:
        """Bans `target`."""
        await self._request("POST", _room(room, "ban"), {"user_id": target})

    async def send(self, room: str, kind: str, content: Mapping[str, Any]) -> str:
        """Sends a timeline event; returns its id."""
        self._transactions += 1
        path = _room(room, "send", kind, f"m{self._transactions}")
        event_id: str = (await self._request("PUT", path, content))["event_id"]
        return event_id

    async def redact(self, room: str, event_id: str) -> str:
        """Redacts an event; returns the redaction's id."""
        self._transactions += 1
        path = _room(room, "redact", event_id, f"m{self._transactions}")
        redaction: str = (await self._request("PUT", path, {}))["event_id"]
        return redaction

    async def event(self, room: str, event_id: str) -> Event:
        """One event."""
        event: Event = await self._request("GET", _room(room, "event", event_id))
        return event

    async def set_state(self, room: str, kind: str, state_key: str, content: Mapping[str, Any]) -> str:
        """Sends a state event; returns its id."""
        answer = await self._request("PUT", _room(room, "state", kind, state_key), content)
        event_id: str = answer["event_id"]
        return event_id

    async def state(self, room: str) -> list[Event]:
        """The current state."""
        events: list[Event] = await self._request("GET", _room(room, "state"))
        return events

    async def membership(self, room: str, of: str) -> str | None:
        """The membership of the user `of`, or None if the room never had one."""
        for event in await self.state(room):
            if event["type"] == "m.room.member" and event["state_key"] == of:
                membership: str = event["content"]["membership"]
                return membership
        return None

    async def invited_to(self) -> set[str]:
        """The rooms that the user is invited to and has not answered."""
        answer = await self._request("GET", "/sync?timeout=0")
        return set(answer.get("rooms", {}).get("invite", {}))

    async def history(self, room: str) -> list[Event]:
        """The whole timeline, oldest first: pages `/messages` backwards to the start."""
        events: list[Event] = []
        query = ""
        while True:
            answer = await self._request("GET", f"{_room(room, 'messages')}?dir=b&limit={_PAGE}{query}")
            events += answer["chunk"]
            if not answer.get("end"):
                break
            query = f"&from={quote(answer['end'], safe='')}"
        events.reverse()
        return events

    async def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return await self.server.request(method, path, body, self._token)


def _room(room: str, *parts: str) -> str:
    return "/rooms/" + "/".join(quote(part, safe="") for part in (room, *parts))
