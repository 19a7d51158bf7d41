import dev.roomlet.*
import kotlinx.coroutines.flow.*
import kotlinx.coroutines.runBlocking

fun main(): Unit = runBlocking {
    val servers = mutableMapOf<String, Homeserver>()
    // A real host sends the request by HTTP to `request.destination`.
    val transport = Transport { request -> servers.getValue(request.destination).handleRequest(request) }
    Homeserver.open("one.example", transport = transport).use { one ->
        Homeserver.open("two.example", transport = transport).use { two ->
            servers += listOf(one, two).associateBy { it.serverName }
            val alice = one.createAccount("alice")
            val bob = two.createAccount("bob")
            val room = one.createRoom(alice, name = "First light", invite = listOf(bob))
            two.join(bob, room)
            val hello = one.sendMessage(alice, room, "hello from alice")
            val event = two.updates().filterIsInstance<Update.Event>().first { it.event.eventId == hello }.event
            println("$bob reads ${event.content}")
        }
    }
}
