package dev.roomlet

import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.io.path.writeText
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.io.TempDir

/** The create event of a room of another server: an archive of one line. */
private const val CREATE =
    """{"auth_events":[],"content":{"room_version":"11"},"depth":1,"hashes":{"sha256":"r3d7JIL3rv""" +
    """Xf4MArzCmxgUyRG6fn8lDzgMMXmyIW2k8"},"origin_server_ts":1700000000000,"prev_events":[],"roo""" +
    """m_id":"!q6xDk2CZexjajHiZlF:a.test","sender":"@alice:a.test","signatures":{"a.test":{"ed255""" +
    """19:r017019":"m7ApWbszPJxLg78n2aYNpZ71xSoidk/at1mFAi7kADPhBbjC+HZpogln155XLX2eZ/Avh2HbLtSGy""" +
    """qzxkUJIDg"}},"state_key":"","type":"m.room.create"}"""

/** One server: its updates, its errors, its end. */
class HomeserverTest {
    @Test
    fun `updates resume after a position and are forgotten`() = story {
        Wire().with("one.example") { server ->
            val alice = server.createAccount("alice")
            val room = server.createRoom(alice)
            val before = server.lastUpdate()
            val first = server.sendMessage(alice, room, "1")
            val second = server.sendMessage(alice, room, "2")
            val newest = server.lastUpdate()
            val updates = server.updates(before).through { it.pos == newest }
            assertEquals(listOf(first, second), updates.map { (it as Update.Event).event.eventId })
            server.trimUpdates(updates.first().pos)
            assertEquals(updates.drop(1), server.updates().through { it.pos == newest })
            assertFailsWith<IllegalArgumentException> { server.trimUpdates(-1) }
        }
    }

    @Test
    fun `pages of a timeline meet`() = story {
        Wire().with("one.example") { server ->
            val alice = server.createAccount("alice")
            val room = server.createRoom(alice)
            repeat(5) { server.sendMessage(alice, room, "$it") }
            val back = mutableListOf<RoomEvent>()
            var from: String? = null
            do {
                val page = server.timeline(alice, room, from, limit = 3)
                back += page.events
                from = page.next
            } while (from != null)
            val forward = server.timeline(alice, room, direction = Direction.FORWARD, limit = 100)
            assertEquals(forward.events, back.reversed())
        }
    }

    @Test
    fun `upgrade points from the old room to the new one`() = story {
        Wire().with("one.example") { server ->
            val alice = server.createAccount("alice")
            val bob = server.createAccount("bob")
            val room = server.createRoom(alice)
            val replaced = server.upgradeRoom(alice, room, "12", additionalCreators = listOf(bob))
            val tombstone = server.stateEvent(alice, room, "m.room.tombstone")
            assertEquals(replaced, memberText(tombstone!!.content, "replacement_room"))
            val create = server.stateEvent(alice, replaced, "m.room.create")
            assertContains(create!!.content, """"additional_creators":["$bob"]""")
        }
    }

    @Test
    fun `archive becomes a room`(@TempDir folder: Path) = story {
        val archive = folder.resolve("room.jsonl")
        archive.writeText(CREATE)
        Wire().with("one.example") { server ->
            val imported = server.importRoom(archive, trusted = true)
            val room = "!q6xDk2CZexjajHiZlF:a.test"
            assertEquals(ImportReport(room, 1u, 0u, 0u, 0u, 0u, null), imported)
            assertEquals(1u, server.importRoom(archive, trusted = true).known)
            assertEquals(Code.BAD_PARAM, codeOf { server.importRoom(folder.resolve("none")) })
        }
    }

    @Test
    fun `store is purged, forgotten, checked and copied`(@TempDir folder: Path) = story {
        Wire().with("one.example", file = folder.resolve("one.db")) { server ->
            val alice = server.createAccount("alice")
            val room = server.createRoom(alice)
            val sent = (0 until 5).map { server.sendMessage(alice, room, "$it") }
            assertEquals(3u, server.purgeHistory(room, sent[3]))
            assertEquals(emptyList(), server.checkStore(repair = true).faults)
            server.backup(folder.resolve("copy.db"))
            assertEquals(Code.BAD_PARAM, codeOf { server.backup(folder.resolve("copy.db")) })
            assertEquals(Code.DENIED, codeOf { server.forgetRoom(room) })
            server.leave(alice, room)
            server.forgetRoom(room)
            assertEquals(emptyList(), server.rooms(alice))
        }
    }

    @Test
    fun `errors tell code, errcode and reason`() = story {
        Wire().with("one.example") { server ->
            val alice = server.createAccount("alice")
            val error = assertFailsWith<RoomletException> { server.rooms("nobody") }
            assertEquals(Code.BAD_ID, error.code)
            assertEquals("M_INVALID_PARAM", error.errcode)
            assertEquals("user id \"nobody\": does not begin with `@`", error.message)
            assertEquals(Code.EXISTS, codeOf { server.createAccount("alice") })
            assertEquals(Code.UNKNOWN_USER, codeOf { server.rooms("@nobody:one.example") })
            assertEquals(Code.UNKNOWN_ROOM_VERSION, codeOf { server.createRoom(alice, version = "99") })
            val room = server.createRoom(alice)
            assertEquals(Code.NOT_CANONICAL, codeOf { server.send(alice, room, "m.message", """{"a":1.5}""") })
        }
    }

    @Test
    fun `request of a stranger is answered with an error`() = story {
        Wire().with("one.example") { server ->
            val target = "/_matrix/federation/v1/event/%24x"
            val response = server.handleRequest(Request("one.example", "GET", target, emptyList(), byteArrayOf()))
            assertEquals(401u.toUShort(), response.status)
            assertEquals("M_UNAUTHORIZED", memberText(response.body.decodeToString(), "errcode"))
        }
    }

    @Test
    fun `cancelled wait ends at once and its request is cancelled with the server`() = story {
        val asked = CompletableDeferred<Request>()
        val cancelled = CompletableDeferred<Unit>()
        val silent = Transport { request ->
            asked.complete(request)
            try {
                awaitCancellation()
            } finally {
                cancelled.complete(Unit)
            }
        }
        Homeserver.open("one.example", transport = silent).use { server ->
            val alice = server.createAccount("alice")
            coroutineScope {
                val joining = launch { server.join(alice, "!x:two.example", listOf("two.example")) }
                assertEquals("two.example", asked.await().destination)
                // Much less than the 30 seconds after which roomlet itself gives the request up.
                withTimeout(10.seconds) { joining.cancelAndJoin() }
                val newest = server.lastUpdate()
                val waiting = launch(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                    server.updates(newest).collect()
                }
                waiting.cancelAndJoin()
            }
            assertEquals(listOf(alice), server.accounts())
        }
        cancelled.await()
    }

    @Test
    fun `transport that fails in any way is an unreachable server`() = story {
        val failures = mapOf(
            UnreachableException("no way") to "no way",
            IllegalStateException("broken") to "java.lang.IllegalStateException: broken",
            NotImplementedError("later") to "kotlin.NotImplementedError: later",
            CancellationException("given up") to
                "the host's transport failed: java.util.concurrent.CancellationException: given up",
        )
        for ((failure, reason) in failures) {
            Homeserver.open("one.example", transport = { throw failure }).use { server ->
                val alice = server.createAccount("alice")
                val error = assertFailsWith<RoomletException> {
                    server.join(alice, "!x:two.example", listOf("two.example"))
                }
                assertEquals(Code.UNREACHABLE, error.code)
                assertEquals(reason, error.message?.substringAfterLast("server two.example: "))
            }
        }
    }

    @Test
    fun `closed server ends what waits, refuses the rest and closes again`() = story {
        val server = Homeserver.open("one.example", transport = Wire())
        coroutineScope {
            val since = server.lastUpdate()
            val waiting = async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                server.updates(since).firstOrNull()
            }
            server.shutdown()
            assertNull(waiting.await())
        }
        server.close()
        assertEquals(Code.CLOSED, codeOf { server.accounts() })
        assertEquals(Code.CLOSED, codeOf { server.wake() })
        assertEquals("one.example", server.serverName)
    }

    @Test
    fun `cancelled opening leaves the file free`(@TempDir folder: Path) = story {
        val file = folder.resolve("hs.db").toString()
        suspend fun open() = Homeserver.open("one.example", file, Wire())
        open().close()
        repeat(40) { steps ->
            coroutineScope {
                val opening = async(Dispatchers.Default) { open() }
                delay(steps * 250L / 1000)
                opening.cancel()
                try {
                    opening.await().close()
                } catch (_: CancellationException) {
                    // It was in time.
                }
            }
            open().close()
        }
    }

    @Test
    fun `close in the logger is refused instead of waiting for itself`() = story {
        val refused = CompletableDeferred<Code?>()
        val opened = CompletableDeferred<Homeserver>()
        val logger = { level: LogLevel, _: String ->
            if (level == LogLevel.WARN) {
                runBlocking { refused.complete(codeOf { opened.await().close() }) }
            }
        }
        Homeserver.open("one.example", transport = Wire(), logger = logger).use { server ->
            opened.complete(server)
            val header = "X-Matrix origin=\"two.example\",destination=\"one.example\",key=\"ed25519:1\",sig=\"" +
                "A".repeat(86) + "\""
            val target = "/_matrix/federation/v1/event/x"
            server.handleRequest(Request("one.example", "GET", target, listOf(header), byteArrayOf()))
            assertEquals(Code.WRONG_THREAD, refused.await())
        }
    }

    @Test
    fun `body is read up to the limit`() = story {
        Wire().with("one.example") { server ->
            for ((length, status) in listOf(Homeserver.MAX_REQUEST_BYTES to 400, Homeserver.MAX_REQUEST_BYTES + 1 to 413)) {
                val body = ByteArray(length) { ' '.code.toByte() }
                val request = Request("one.example", "PUT", "/_matrix/federation/v1/send/1", emptyList(), body)
                assertEquals(status.toUShort(), server.handleRequest(request).status)
            }
        }
    }

    @Test
    fun `status that is none is an unreachable server`() = story {
        Homeserver.open("one.example", transport = { Response(0u, byteArrayOf()) }).use { server ->
            val alice = server.createAccount("alice")
            assertEquals(Code.UNREACHABLE, codeOf { server.join(alice, "!x:two.example", listOf("two.example")) })
        }
    }

    @Test
    fun `store in use, of another server, or damaged is refused`(@TempDir folder: Path) = story {
        val file = folder.resolve("hs.db")
        val wire = Wire()
        wire.with("one.example", file) {
            assertEquals(Code.STORE_LOCKED, codeOf { wire.with("one.example", file) {} })
        }
        assertEquals(Code.BAD_PARAM, codeOf { wire.with("two.example", file) {} })
        val noise = folder.resolve("noise.db")
        noise.writeText("noise".repeat(1000))
        assertEquals(Code.STORE_DAMAGED, codeOf { wire.with("one.example", noise) {} })
    }

    @Test
    fun `policy that fails is told to the logger`() = story {
        val lines = ConcurrentLinkedQueue<Pair<LogLevel, String>>()
        val policy = object : Policy {
            override suspend fun acceptRequest(origin: String, method: String, target: String): Boolean =
                error("no opinion on $origin")
        }
        val wire = Wire()
        wire.with("one.example") { one ->
            wire.with("two.example", policy = policy, logger = { level, line -> lines += level to line }) { two ->
                val alice = one.createAccount("alice")
                val bob = two.createAccount("bob")
                val room = one.createRoom(alice)
                assertEquals(Code.REMOTE, codeOf { one.invite(alice, room, bob) })
            }
        }
        val expected = "the host's accept_request failed, which refuses: " +
            "java.lang.IllegalStateException: no opinion on one.example"
        assertContains(lines, LogLevel.ERROR to expected)
    }

    @Test
    fun `codes are those of the library`() {
        val listed = dev.roomlet.ffi.errorCodes().associate { it.number to it.name.lowercase() }
        val here = Code.entries.filter { it != Code.OTHER }.associate { it.number to it.name.replace("_", "").lowercase() }
        assertEquals(listed, here)
        assertEquals(Code.OTHER, Code.of(-1))
    }

    @Test
    fun `default limits are those of the library`() {
        assertEquals(dev.roomlet.ffi.defaultLimits(), Limits())
    }
}
