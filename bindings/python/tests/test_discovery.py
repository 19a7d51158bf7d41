"""Server discovery: each step, its order, its caching."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from roomlet.http.discovery import (
    DnsSrv,
    Discovery,
    Route,
    SrvRecord,
    WellKnown,
    in_order,
    split_name,
)


@dataclass
class World:
    """What the network would say, and what it was asked."""

    well_known: dict[str, str] = field(default_factory=dict)
    srv: dict[str, list[SrvRecord]] = field(default_factory=dict)
    max_age_s: float | None = None
    now: float = 1000.0
    asked: list[str] = field(default_factory=list)

    async def fetch(self, host: str) -> WellKnown | None:
        self.asked.append(f"https://{host}")
        server = self.well_known.get(host)
        return WellKnown(server, self.max_age_s) if server is not None else None

    async def lookup(self, name: str) -> list[SrvRecord]:
        self.asked.append(name)
        return self.srv.get(name, [])

    def discovery(self) -> Discovery:
        return Discovery(self.fetch, lookup_srv=self.lookup, clock=lambda: self.now, rng=random.Random(1))


WELL_KNOWN = {
    "a.org": "192.0.2.7",
    "b.org": "[2001:db8::7]:99",
    "c.org": "hs.c.org:99",
    "d.org": "hs.d.org",
    "e.org": "hs.e.org",
    "f.org": "hs.f.org",
    "bad.org": "not a name",
    "port.org": "hs.port.org:0",
    "chain.org": "d.org",
}
SRV = {
    "_matrix-fed._tcp.hs.d.org": [SrvRecord(10, 5, 4431, "srv.d.org")],
    "_matrix._tcp.hs.d.org": [SrvRecord(10, 5, 4432, "old.d.org")],
    "_matrix._tcp.hs.e.org": [SrvRecord(10, 5, 4433, "old.e.org")],
    "_matrix-fed._tcp.g.org": [SrvRecord(20, 0, 2, "second.g.org"), SrvRecord(10, 0, 1, "first.g.org")],
    "_matrix._tcp.h.org": [SrvRecord(10, 5, 4434, "old.h.org")],
    "_matrix-fed._tcp.none.org": [SrvRecord(0, 0, 0, ".")],
}


@pytest.mark.parametrize(
    ("name", "route"),
    [
        # 1: IP literals
        ("192.0.2.1", Route("192.0.2.1", "192.0.2.1", (("192.0.2.1", 8448),))),
        ("192.0.2.1:99", Route("192.0.2.1:99", "192.0.2.1", (("192.0.2.1", 99),))),
        ("[2001:db8::1]", Route("[2001:db8::1]", "2001:db8::1", (("2001:db8::1", 8448),))),
        ("[2001:db8::1]:99", Route("[2001:db8::1]:99", "2001:db8::1", (("2001:db8::1", 99),))),
        # 2: an explicit port
        ("d.org:99", Route("d.org:99", "d.org", (("d.org", 99),))),
        # 3: the well-known, and the steps of the name that it gives
        ("a.org", Route("192.0.2.7", "192.0.2.7", (("192.0.2.7", 8448),))),
        ("b.org", Route("[2001:db8::7]:99", "2001:db8::7", (("2001:db8::7", 99),))),
        ("c.org", Route("hs.c.org:99", "hs.c.org", (("hs.c.org", 99),))),
        ("d.org", Route("hs.d.org", "hs.d.org", (("srv.d.org", 4431),))),
        ("e.org", Route("hs.e.org", "hs.e.org", (("old.e.org", 4433),))),
        ("f.org", Route("hs.f.org", "hs.f.org", (("hs.f.org", 8448),))),
        # no second well-known
        ("chain.org", Route("d.org", "d.org", (("d.org", 8448),))),
        # 4, 5: SRV
        ("g.org", Route("g.org", "g.org", (("first.g.org", 1), ("second.g.org", 2)))),
        ("h.org", Route("h.org", "h.org", (("old.h.org", 4434),))),
        # 6: nothing says anything, or nothing usable
        ("plain.org", Route("plain.org", "plain.org", (("plain.org", 8448),))),
        ("none.org", Route("none.org", "none.org", (("none.org", 8448),))),
        ("bad.org", Route("bad.org", "bad.org", (("bad.org", 8448),))),
        ("port.org", Route("port.org", "port.org", (("port.org", 8448),))),
    ],
)
async def test_name_leads_to_its_route(name: str, route: Route) -> None:
    assert await World(WELL_KNOWN, SRV).discovery().resolve(name) == route


@pytest.mark.parametrize("name", ["192.0.2.1", "[2001:db8::1]", "d.org:99"])
async def test_literals_and_ports_ask_nobody(name: str) -> None:
    world = World(WELL_KNOWN, SRV)
    await world.discovery().resolve(name)
    assert world.asked == []


@pytest.mark.parametrize("name", ["", "a b", "a.org:", "a.org:0", "a.org:65536", "[::g]", "[1.2.3]", "a.org/x", "ä.org"])
def test_what_is_no_server_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        split_name(name)


@pytest.mark.parametrize(
    ("max_age_s", "held_s"),
    [(None, 24 * 3600), (3600.0, 3600), (0.0, 300), (1e9, 48 * 3600)],
)
async def test_well_known_is_held_as_long_as_it_says_within_limits(max_age_s: float | None, held_s: int) -> None:
    world = World(WELL_KNOWN, SRV, max_age_s)
    discovery = world.discovery()
    await discovery.resolve("c.org")
    world.now += held_s - 1
    await discovery.resolve("c.org")
    assert world.asked == ["https://c.org"]
    world.now += 1
    await discovery.resolve("c.org")
    assert world.asked == ["https://c.org"] * 2


async def test_failures_are_held_twice_as_long_each_time_up_to_an_hour() -> None:
    world = World()
    discovery = world.discovery()
    for held_s in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        world.asked.clear()
        await discovery.resolve("plain.org")
        assert "https://plain.org" in world.asked
        world.asked.clear()
        world.now += held_s - 1
        await discovery.resolve("plain.org")
        assert "https://plain.org" not in world.asked
        world.now += 1


async def test_success_ends_the_count_of_failures() -> None:
    world = World()
    discovery = world.discovery()
    await discovery.resolve("i.org")
    world.now += 60
    world.well_known["i.org"] = "hs.i.org:1"
    assert (await discovery.resolve("i.org")).addresses == (("hs.i.org", 1),)
    world.now += 24 * 3600
    del world.well_known["i.org"]
    await discovery.resolve("i.org")
    world.now += 60
    world.asked.clear()
    await discovery.resolve("i.org")
    assert "https://i.org" in world.asked


async def test_one_fetch_serves_all_who_wait() -> None:
    world = World(WELL_KNOWN)
    discovery = world.discovery()
    routes = await asyncio.gather(*(discovery.resolve("c.org") for _ in range(10)))
    assert {route.addresses for route in routes} == {(("hs.c.org", 99),)}
    assert world.asked == ["https://c.org"]


async def test_one_who_gives_up_does_not_end_the_fetch_of_others() -> None:
    release = asyncio.Event()

    async def fetch(host: str) -> WellKnown | None:
        await release.wait()
        return WellKnown("hs.c.org:99", None)

    async def no_srv(name: str) -> list[SrvRecord]:
        return []

    discovery = Discovery(fetch, lookup_srv=no_srv)
    first = asyncio.create_task(discovery.resolve("c.org"))
    second = asyncio.create_task(discovery.resolve("c.org"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    release.set()
    assert (await second).addresses == (("hs.c.org", 99),)


def test_srv_records_come_by_priority_and_by_weight_within_one() -> None:
    light, heavy = SrvRecord(1, 1, 1, "light"), SrvRecord(1, 99, 1, "heavy")
    later = SrvRecord(2, 100, 1, "later")
    rng = random.Random(7)
    first = [in_order([later, light, heavy], rng)[0].target for _ in range(1000)]
    assert set(first) == {"light", "heavy"}
    assert 900 < first.count("heavy") < 1000
    assert all(in_order([later, light, heavy], rng)[2] == later for _ in range(100))


async def test_dns_that_does_not_answer_gives_no_records() -> None:
    srv = DnsSrv()
    assert await srv("..") == []
