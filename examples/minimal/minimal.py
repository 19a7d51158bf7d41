import asyncio
import json

from roomlet import EventUpdate, Homeserver, Request, Response


class Network:
    servers: dict[str, Homeserver] = {}

    async def send(self, request: Request) -> Response:
        # A real host sends the request by HTTP to `request.destination`: roomlet.http does it.
        return await self.servers[request.destination].handle_request(request)


async def main() -> None:
    network = Network()
    async with Homeserver.open("one.example", transport=network) as one, Homeserver.open("two.example", transport=network) as two:
        network.servers.update({one.server_name: one, two.server_name: two})
        alice = await one.create_account("alice")
        bob = await two.create_account("bob")
        room = await one.create_room(alice, name="First light", invite=[bob])
        await two.join(bob, room)
        hello = await one.send_message(alice, room, "hello from alice")
        async for update in two.updates():
            if isinstance(update, EventUpdate) and update.event.event_id == hello:
                print(f"{bob} reads {json.dumps(update.event.content, separators=(',', ':'))}")
                break


asyncio.run(main())
