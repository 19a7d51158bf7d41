package dev.roomlet

import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.flow.transformWhile
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** Carries requests between the homeservers of this process. */
class Wire : Transport {
    private val servers = ConcurrentHashMap<String, Homeserver>()

    override suspend fun send(request: Request): Response {
        val server = servers[request.destination] ?: throw UnreachableException("${request.destination} is not there")
        return server.handleRequest(request)
    }

    /** Runs [block] with a homeserver that the others reach, and closes it. */
    suspend fun <T> with(
        name: String,
        file: Path? = null,
        policy: Policy? = null,
        logger: ((LogLevel, String) -> Unit)? = null,
        block: suspend (Homeserver) -> T,
    ): T = Homeserver.open(name, file?.toString(), this, policy, logger).use { server ->
        servers[name] = server
        try {
            block(server)
        } finally {
            servers.remove(name)
        }
    }

    /** Runs [block] with two homeservers in memory, `one.example` and `two.example`. */
    suspend fun withTwo(block: suspend (Homeserver, Homeserver) -> Unit) {
        with("one.example") { one -> with("two.example") { two -> block(one, two) } }
    }
}

/** Runs a test, which fails rather than wait for ever. */
fun story(block: suspend () -> Unit): Unit = runBlocking { withTimeout(60.seconds) { block() } }

/** The code of the error that [block] ends with. */
suspend fun codeOf(block: suspend () -> Unit): Code? =
    try {
        block()
        null
    } catch (error: RoomletException) {
        error.code
    }

/** Waits until users of this server see the event. */
suspend fun Homeserver.awaitEvent(eventId: String): Update =
    updates().first { it is Update.Event && it.event.eventId == eventId }

/** Waits until the local user has this membership in the room. */
suspend fun Homeserver.awaitMembership(userId: String, roomId: String, membership: String): Update =
    updates().first {
        it is Update.Membership && it.userId == userId && it.roomId == roomId && it.membership == membership
    }

/** The elements up to and with the first that [last] accepts. */
suspend fun <T> Flow<T>.through(last: (T) -> Boolean): List<T> =
    transformWhile {
        emit(it)
        !last(it)
    }.toList()

/** The content of a message of one text. */
fun text(body: String): String = """{"m.text":[{"body":"$body"}]}"""

/** Senders and contents of the messages that the user sees, the oldest first. */
suspend fun Homeserver.messages(userId: String, roomId: String): List<Pair<String, String>> =
    timeline(userId, roomId, direction = Direction.FORWARD, limit = 100)
        .events
        .filter { it.kind == "m.message" }
        .map { it.sender to it.content }
