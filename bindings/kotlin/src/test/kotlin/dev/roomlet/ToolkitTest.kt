package dev.roomlet

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

private const val SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
private const val PUBLIC = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"

/** The toolkit: functions without a server. */
class ToolkitTest {
    @Test
    fun `example of the documentation`() {
        val create = """{"type":"m.room.create","state_key":"","sender":"@a:domain","room_id":"!x:domain","content":{},
            "prev_events":[],"auth_events":[],"depth":1,"origin_server_ts":1}"""
        val event = Toolkit.signEvent(create, "11", "domain", "ed25519:1", "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")
        val id = Toolkit.eventId(event, "11")
        val verdict = Toolkit.checkAuthEvents(event, emptyList(), "11")
        assertEquals(44, id.length)
        assertEquals(Verdict(true, null, null), verdict)
    }

    /** An event of a room of version 11, signed. */
    private fun event(kind: String, key: String, content: String, cites: List<String>, time: Int): String {
        val auth = cites.joinToString { "\"$it\"" }
        val json = """{"type":"$kind","state_key":"$key","sender":"@a:domain","room_id":"!x:domain","content":$content,
            "prev_events":[],"auth_events":[$auth],"depth":1,"origin_server_ts":$time}"""
        return Toolkit.signEvent(json, "11", "domain", "ed25519:1", SEED)
    }

    private fun codeOf(call: () -> Unit): Code = assertFailsWith<RoomletException> { call() }.code

    @Test
    fun `JSON and events are signed and checked`() {
        assertEquals("""{"a":[],"b":1}""", Toolkit.canonicalJson("""{ "b": 1, "a": [] }"""))
        assertEquals(PUBLIC, Toolkit.publicKey(SEED))
        val signed = Toolkit.signJson("""{"two":"Two","one":1}""", "domain", "ed25519:1", SEED)
        Toolkit.verifyJson(signed, "domain", "ed25519:1", PUBLIC)
        assertEquals(Code.MISSING_SIGNATURE, codeOf { Toolkit.verifyJson("{}", "domain", "ed25519:1", PUBLIC) })
        val event = event("m.room.name", "", "{}", emptyList(), 1)
        Toolkit.checkEvent(event, "11")
        assertEquals(Code.BAD_EVENT, codeOf { Toolkit.checkEvent("{}", "11") })
        assertEquals(event, Toolkit.verifyEvent(event, "11", """{"domain":{"ed25519:1":"$PUBLIC"}}"""))
        assertEquals(listOf("domain"), Toolkit.requiredSigners(event, "11"))
        assertEquals("RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o", Toolkit.contentHash("{}"))
        assertEquals("""{"content":{},"type":"x"}""", Toolkit.redact("""{"type":"x","content":{"a":1}}""", "11"))
    }

    @Test
    fun `events are judged and states resolved`() {
        val create = event("m.room.create", "", "{}", emptyList(), 1)
        val createId = Toolkit.eventId(create, "11")
        val join = event("m.room.member", "@a:domain", """{"membership":"join"}""", listOf(createId), 2)
        val both = listOf(createId, Toolkit.eventId(join, "11"))
        val topics = listOf(3, 4).map { event("m.room.topic", "", """{"topic":"$it"}""", both, it) }
        assertEquals(true, Toolkit.checkAuthEvents(topics[0], listOf(create, join), "11").isAllowed)
        assertEquals("AUTH-17", Toolkit.checkAuth(topics[0], listOf(create), "11").rule)
        assertEquals("m.room.create", Toolkit.authTypes(topics[0], "11").first().kind)
        assertEquals(both, Toolkit.selectAuthEvents(topics[0], listOf(create, join), "11"))

        val states = topics.map { both + Toolkit.eventId(it, "11") }
        val events = listOf(create, join) + topics
        val resolved = Toolkit.resolveState("11", states, events)
        assertEquals(states[1].sorted(), resolved.sorted())
        val byId = events.associateBy { Toolkit.eventId(it, "11") }
        assertEquals(resolved, Toolkit.resolveStateFrom("11", states) { ids -> ids.map(byId::getValue) })
        assertFailsWith<IllegalStateException> { Toolkit.resolveStateFrom("11", states) { error("no") } }
        assertEquals(Code.UNKNOWN_EVENT, codeOf { Toolkit.resolveStateFrom("11", states) { emptyList() } })
    }

    @Test
    fun `identifiers and versions are known`() {
        assertEquals(ParsedId("a", "b:80", "b", 80u), Toolkit.parseId(IdKind.USER, "@a:b:80"))
        assertEquals(Code.BAD_ID, codeOf { Toolkit.parseId(IdKind.ROOM, "@a:b") })
        assertEquals(14, Toolkit.roomVersions().size)
        assertEquals("2.1", Toolkit.roomVersion("12").stateResolution)
    }
}
