"""A roomlet host program as a child process, spoken to over its line protocol.

One command is one line of tab-separated fields, answered by one line with the same tag; commands run
concurrently. Lines tagged `*` are not answers: updates, and the federation requests that came in.
"""

import asyncio
import json
import os
import shlex
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from .authority import Certificate

Event = dict[str, Any]

# The longest line a host may print: a page of a timeline with events at their size limit.
_LINE_LIMIT = 64 * 1024 * 1024
_PAGE = 200


class HostKind(Enum):
    """Which of the example hosts."""

    C = "c"
    PYTHON = "python"

    def command(self) -> list[str]:
        """The command line that `cargo xtask` put into the environment when it built the host."""
        variable = f"ROOMLET_{self.name}_HOST"
        command = shlex.split(os.environ.get(variable, ""))
        if not command:
            raise RuntimeError(f"{variable} is not set: run this through cargo xtask")
        return command


class HostError(Exception):
    """A command that the host answered with an error."""

    def __init__(self, command: str, code: int, errcode: str, message: str) -> None:
        super().__init__(f"{command}: {code} {errcode}: {message}")
        self.code = code
        self.errcode = errcode
        self.message = message


class HostGone(Exception):
    """The process ended before it answered: whether the command took effect is unknown."""


@dataclass(frozen=True)
class Update:
    """One entry of the update stream; `position` is where to resume after it."""

    position: int
    body: dict[str, Any]


@dataclass(frozen=True)
class InboundRequest:
    """A federation request that another server made."""

    method: str
    target: str


class Host:
    """One server. The database, and so the server's identity, outlives `kill` and `stop`."""

    def __init__(
        self,
        kind: HostKind,
        name: str,
        port: int,
        directory: Path,
        certificate: Certificate,
        ca_file: Path,
        resolve: Mapping[str, str] | None = None,
    ) -> None:
        """A server called `name` on 127.0.0.1:`port`.

        `directory` gets its database and log; `resolve` maps server names to `host:port`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self.name = name
        self.port = port
        self.log_file = directory / "host.log"
        self.updates: list[Update] = []
        self.requests: list[InboundRequest] = []
        self._arguments = [
            *("--name", name, "--listen", f"127.0.0.1:{port}", "--db", str(directory / "roomlet.db")),
            *("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key), "--ca", str(ca_file)),
        ]
        for server, address in (resolve or {}).items():
            self._arguments += ["--resolve", f"{server}={address}"]
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._pending: dict[str, asyncio.Future[list[str]]] = {}
        self._last_tag = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.kind.value} host)"

    @property
    def running(self) -> bool:
        """Whether the process was started and not ended by us."""
        return self._process is not None

    def user_id(self, localpart: str) -> str:
        """The id of a local user."""
        return f"@{localpart}:{self.name}"

    async def start(self, timeout: float = 60.0) -> None:
        """Starts the process and waits until it listens."""
        assert self._process is None, f"{self} runs already"
        self._ready = asyncio.Event()
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.kind.command(),
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_LIMIT,
            )
        self._reader = asyncio.create_task(self._read(self._process))
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._reader}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self.kill()
            raise AssertionError(f"{self} did not start listening within {timeout:.0f} s\n{self.log_tail()}")

    async def stop(self) -> None:
        """Ends the process in good order; kills it if it does not end within 20 seconds."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.write(b"quit\tquit\n")
            await process.stdin.drain()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"{self} did not end after `quit`\n{self.log_tail()}") from None
        await self._ended()

    async def kill(self) -> None:
        """Ends the process with SIGKILL; answers that it had written before are still delivered."""
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()
        await self._ended()

    async def call(self, verb: str, *fields: str, timeout: float = 120.0) -> str:
        """Runs a command and returns its result.

        Raises `HostError` if the host refuses it, `HostGone` if the process ends first.
        """
        process = self._process
        if process is None:
            raise HostGone(f"{self} is not running")
        assert process.stdin is not None
        self._last_tag += 1
        tag = f"t{self._last_tag}"
        line = "\t".join([tag, verb, *fields])
        assert "\n" not in line and line.count("\t") == len(fields) + 1, f"not one line of fields: {line!r}"
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._pending[tag] = answer
        try:
            process.stdin.write(line.encode() + b"\n")
            await process.stdin.drain()
            words = await asyncio.wait_for(answer, timeout)
        except ConnectionError as error:
            raise HostGone(f"{self} ended before it answered: {verb}") from error
        except TimeoutError:
            raise AssertionError(
                f"{self} did not answer within {timeout:.0f} s: {line}\n{self.log_tail()}"
            ) from None
        finally:
            self._pending.pop(tag, None)
        if words[1] == "ok":
            return words[2] if len(words) > 2 else ""
        raise HostError(" ".join([verb, *fields]), int(words[2]), words[3], "\t".join(words[4:]))

    async def account(self, localpart: str) -> str:
        """Makes an account; returns its user id."""
        return await self.call("account", localpart)

    async def create_room(self, user: str, **options: Any) -> str:
        """Makes a room (`preset`, `version`, `name`, `topic`, `invite`, …); returns its id."""
        return await self.call("create", user, json.dumps(options))

    async def upgrade(self, user: str, room: str, version: str) -> str:
        """Replaces the room by one of `version`; returns the new room's id."""
        return await self.call("upgrade", user, room, version)

    async def invite(self, user: str, room: str, target: str) -> str:
        """Invites `target`."""
        return await self.call("invite", user, room, target)

    async def join(self, user: str, room: str, *via: str) -> str:
        """Joins, through one of the servers `via` if this one is not in the room."""
        return await self.call("join", user, room, ",".join(via))

    async def leave(self, user: str, room: str) -> str:
        """Leaves the room, or rejects an invite to it."""
        return await self.call("leave", user, room)

    async def send(
        self, user: str, room: str, kind: str, content: Mapping[str, Any], transaction: str = ""
    ) -> str:
        """Sends a timeline event; returns its id once it is durable."""
        fields = [user, room, kind, json.dumps(content), *([transaction] if transaction else [])]
        return await self.call("send", *fields)

    async def set_state(
        self, user: str, room: str, kind: str, state_key: str, content: Mapping[str, Any]
    ) -> str:
        """Sends a state event; returns its id once it is durable."""
        return await self.call("setstate", user, room, kind, state_key, json.dumps(content))

    async def redact(self, user: str, room: str, event_id: str) -> str:
        """Redacts an event; returns the redaction's id once it is durable."""
        return await self.call("redact", user, room, event_id)

    async def event(self, user: str, room: str, event_id: str) -> Event:
        """One event."""
        event: Event = json.loads(await self.call("event", user, room, event_id))
        return event

    async def state(self, user: str, room: str) -> list[Event]:
        """The current state."""
        events: list[Event] = json.loads(await self.call("state", user, room))
        return events

    async def membership(self, user: str, room: str, of: str) -> str | None:
        """The membership of the user `of`, or None if the room never had one."""
        for event in await self.state(user, room):
            if event["type"] == "m.room.member" and event["state_key"] == of:
                membership: str = event["content"]["membership"]
                return membership
        return None

    async def rooms(self, user: str) -> dict[str, str]:
        """The user's rooms and invites: room id to membership."""
        return {room["room_id"]: room["membership"] for room in json.loads(await self.call("rooms", user))}

    async def history(self, user: str, room: str) -> list[Event]:
        """The whole timeline, oldest first: pages backwards until there is nothing more."""
        events: list[Event] = []
        token: str | None = ""
        while token is not None:
            page = json.loads(await self.call("timeline", user, room, token, "b", str(_PAGE)))
            events += page["events"]
            token = page.get("next")
        events.reverse()
        return events

    async def follow_updates(self, since: int = 0) -> None:
        """Begins to collect the update stream after `since` in `updates`."""
        await self.call("updates", str(since))

    async def link(self, *, up: bool) -> None:
        """Cuts the server from all others, or heals the cut."""
        await self.call("link", "up" if up else "down")

    async def wake(self) -> None:
        """Tells the server that the network is back: it delivers at once what waits."""
        await self.call("wake")

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the process wrote to stderr."""
        text = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        return "\n".join([f"--- end of {self.log_file} ---", *text[-lines:]])

    async def _ended(self) -> None:
        if self._reader is not None:
            await self._reader
        self._process = None
        self._reader = None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if not line.endswith(b"\n"):
                break  # a line that the kill cut off is no answer
            self._take(line.decode().rstrip("\n").split("\t"))
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(HostGone(f"{self} ended before it answered"))

    def _take(self, words: list[str]) -> None:
        match words:
            case ["ready"]:
                self._ready.set()
            case ["*", "update", position, body]:
                self.updates.append(Update(int(position), json.loads(body)))
            case ["*", "request", method, target]:
                self.requests.append(InboundRequest(method, target))
            case [tag, "ok" | "err", *_] if tag in self._pending and not self._pending[tag].done():
                self._pending[tag].set_result(words)
            case _:
                pass  # the answer to a command whose caller has given up
