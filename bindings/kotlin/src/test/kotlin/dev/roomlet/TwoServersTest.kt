package dev.roomlet

import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import org.junit.jupiter.api.io.TempDir

/** Two servers in one process, wired by callbacks. */
class TwoServersTest {
    @Test
    fun `two servers invite, talk, redact, and remember after a restart`(@TempDir folder: Path) = story {
        val wire = Wire()
        wire.with("one.example", folder.resolve("one.db")) { one ->
            val alice = one.createAccount("alice")
            assertEquals("@alice:one.example", alice)
            lateinit var bob: String
            lateinit var room: String
            lateinit var state: List<RoomEvent>
            wire.with("two.example", folder.resolve("two.db")) { two ->
                bob = two.createAccount("bob")
                room = one.createRoom(alice, name = "Tea", topic = "Leaves")
                one.invite(alice, room, bob, reason = "come in")
                two.awaitMembership(bob, room, "invite")
                assertEquals(listOf(RoomSummary(room, "invite")), two.rooms(bob))
                assertContains(two.invitePreview(bob, room), """"content":{"name":"Tea"}""")

                one.awaitEvent(two.join(bob, room))
                val hello = one.send(alice, room, "m.message", text("hello"))
                two.awaitEvent(hello)
                val answer = two.sendMessage(bob, room, "good \"morning\"", txnId = "1")
                assertEquals(answer, two.sendMessage(bob, room, "good \"morning\"", txnId = "1"))
                one.awaitEvent(answer)
                val said = listOf(alice to text("hello"), bob to text("good \\\"morning\\\""))
                assertEquals(said, one.messages(alice, room))
                assertEquals(said, two.messages(bob, room))

                val redaction = one.redact(alice, room, hello, reason = "typo")
                val seen = two.updates().through { it is Update.Redacted }.last()
                assertIs<Update.Redacted>(seen)
                assertEquals(Update.Redacted(seen.pos, room, hello, redaction), seen)
                val redacted = two.event(bob, room, hello)
                assertEquals("{}", redacted.content)
                assertEquals(redaction, redacted.redactedBy)
                state = one.state(alice, room)
            }
            val late = one.sendMessage(alice, room, "are you there?")

            wire.with("two.example", folder.resolve("two.db")) { two ->
                one.wake()
                two.awaitEvent(late)
                assertEquals(listOf(bob), two.accounts())
                val said = listOf(alice to "{}", bob to text("good \\\"morning\\\""), alice to text("are you there?"))
                assertEquals(said, two.messages(bob, room))
                assertEquals(state, two.state(bob, room))
            }
        }
    }

    @Test
    fun `members come and go by the rules of the room`() = story {
        Wire().withTwo { one, two ->
            val alice = one.createAccount("alice")
            val bob = two.createAccount("bob")
            val room = one.createRoom(alice, Preset.PUBLIC, version = "10")
            two.join(bob, room, via = listOf("one.example"))
            assertEquals(listOf(Member(alice, "join"), Member(bob, "join")), two.members(bob, room))
            val greeting = two.event(bob, room, two.sendMessage(bob, room, "hello"))
            assertEquals("m.room.message", greeting.kind)
            assertEquals("""{"body":"hello","msgtype":"m.text"}""", greeting.content)

            two.awaitEvent(one.setState(alice, room, "m.room.topic", """{"topic":"Leaves"}"""))
            assertEquals("""{"topic":"Leaves"}""", two.stateEvent(bob, room, "m.room.topic")?.content)
            assertNull(two.stateEvent(bob, room, "m.room.topic", "other"))

            assertEquals(Code.DENIED, codeOf { two.kick(bob, room, alice) })
            two.awaitEvent(one.ban(alice, room, bob, reason = "noise"))
            assertEquals(Code.NOT_JOINED, codeOf { two.sendMessage(bob, room, "but") })
            one.unban(alice, room, bob)
            two.join(bob, room, via = listOf("one.example"))
            two.awaitEvent(one.kick(alice, room, bob))
            one.invite(alice, room, bob)
            two.awaitMembership(bob, room, "invite")
            assertNotNull(two.leave(bob, room))
            assertEquals(listOf(Member(alice, "join")), one.members(alice, room, "join"))
        }
    }

    @Test
    fun `policy is asked about joins, requests and events`() = story {
        val asked = ConcurrentLinkedQueue<String>()
        val policy = object : Policy {
            override suspend fun acceptJoin(roomId: String, userId: String): Boolean {
                asked += "join $roomId $userId"
                return !userId.startsWith("@eve:")
            }

            override suspend fun acceptRequest(origin: String, method: String, target: String): Boolean {
                asked += "request $origin $method ${target.take(20)}"
                return true
            }

            override suspend fun acceptEvent(roomId: String, eventId: String, sender: String, kind: String): Boolean {
                asked += "event $roomId $eventId $sender $kind"
                return kind != "x.refused"
            }
        }
        val wire = Wire()
        wire.with("one.example") { one ->
            wire.with("two.example", policy = policy) { two ->
                val (alice, eve) = listOf("alice", "eve").map { one.createAccount(it) }
                val bob = two.createAccount("bob")
                val room = two.createRoom(bob, Preset.PUBLIC)
                assertEquals(Code.REMOTE, codeOf { one.join(eve, room, listOf("two.example")) })
                one.join(alice, room, listOf("two.example"))
                val refused = one.send(alice, room, "x.refused", "{}")
                val taken = one.send(alice, room, "x.taken", "{}")
                two.awaitEvent(taken)
                assertEquals(Code.UNKNOWN_EVENT, codeOf { two.event(bob, room, refused) })
                val wanted = listOf(
                    "join $room $eve",
                    "join $room $alice",
                    "request one.example PUT /_matrix/federation/",
                    "event $room $refused $alice x.refused",
                    "event $room $taken $alice x.taken",
                )
                assertEquals(emptyList(), wanted - asked.toSet())
            }
        }
    }

    @Test
    fun `policy of the host decides, and refuses when it fails`() = story {
        val policy = object : Policy {
            override suspend fun acceptInvite(roomId: String, sender: String, invitee: String): Boolean {
                check(!invitee.startsWith("@dave:")) { "no opinion" }
                return !invitee.startsWith("@carol:")
            }
        }
        val wire = Wire()
        wire.with("one.example") { one ->
            wire.with("two.example", policy = policy) { two ->
                val alice = one.createAccount("alice")
                val (bob, carol, dave) = listOf("bob", "carol", "dave").map { two.createAccount(it) }
                val room = one.createRoom(alice)
                one.invite(alice, room, bob)
                assertEquals(Code.REMOTE, codeOf { one.invite(alice, room, carol) })
                assertEquals(Code.REMOTE, codeOf { one.invite(alice, room, dave) })
                assertEquals(listOf(RoomSummary(room, "invite")), two.rooms(bob))
                assertEquals(emptyList(), two.rooms(carol) + two.rooms(dave))
            }
        }
    }
}
