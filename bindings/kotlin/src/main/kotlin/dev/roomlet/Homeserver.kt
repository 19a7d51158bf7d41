package dev.roomlet

import dev.roomlet.ffi.Config
import dev.roomlet.ffi.CreateRoom
import java.nio.file.Path
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext

private typealias Native = dev.roomlet.ffi.Homeserver

/**
 * A Matrix homeserver inside this program: [open] one, and [close] it, by `use {}` for example.
 *
 * A command returns once its result is durable here; other servers hear of it later. Cancelling a coroutine ends
 * its wait at once, but not the command: with a transaction id (`txnId`) it can be repeated safely.
 * Every method can be called from any thread and throws [RoomletException]; after [close] its code is [Code.CLOSED].
 */
public class Homeserver private constructor(private val native: Native) : AutoCloseable {
    /** The server's name, the domain of its users. */
    public val serverName: String
        get() = translated { native.serverName() }

    /**
     * Stops all work, closes the store and lets go of the transport, policy and logger. Calls that wait throw
     * [Code.CLOSED], flows of [updates] end; closing again has no effect. Blocks the thread until all is quiet, but for
     * no answer of another server; [shutdown] suspends instead. Throws [Code.WRONG_THREAD] in the logger, which all waits for.
     */
    override fun close(): Unit = translated { native.closeBlocking() }

    /** As [close], without blocking the thread. */
    public suspend fun shutdown(): Unit = translated { native.shutdown() }

    /**
     * Answers a federation request that came from another server, whose HTTP response it becomes. What is wrong with
     * the request is in the response; only a destination that is no server name throws [Code.BAD_ID]. A body of more than
     * [MAX_REQUEST_BYTES] is answered with 413: read no more.
     */
    public suspend fun handleRequest(request: Request): Response = translated { native.handleRequest(request) }

    /** The network is back, or the app woke up: deliveries that wait after a failure are tried at once. */
    public fun wake(): Unit = translated { native.wake() }

    /** Makes an account and gives its user id, `@localpart:server_name`. Throws [Code.BAD_ID], [Code.EXISTS]. */
    public suspend fun createAccount(localpart: String): String = translated { native.createAccount(localpart) }

    /** The ids of the accounts, in order. */
    public suspend fun accounts(): List<String> = translated { native.accounts() }

    /**
     * Makes a room and gives its id. The users in [invite] are invited before it returns; an invite that another server or
     * the host refuses fails alone, and nothing tells of it but the members and the log: to have its error, make the room
     * without it and call [Homeserver.invite]. Throws [Code.UNKNOWN_USER], also for an invited user of this server who is
     * no account, and [Code.UNKNOWN_ROOM_VERSION].
     *
     * @param version the room version; without one [Limits.defaultRoomVersion]
     * @param type the type in the room's create event, as `m.space`
     * @param isDirect marks the invites as to a direct chat
     */
    public suspend fun createRoom(
        userId: String,
        preset: Preset = Preset.PRIVATE,
        version: String? = null,
        name: String? = null,
        topic: String? = null,
        type: String? = null,
        invite: List<String> = emptyList(),
        isDirect: Boolean = false,
        additionalCreators: List<String> = emptyList(),
    ): String = translated {
        val options = CreateRoom(preset, version, name, topic, type, invite, isDirect, additionalCreators)
        native.createRoom(userId, options)
    }

    /**
     * Replaces a room by a new one of [version], higher or lower, and gives the new room's id. The new room takes over
     * what the old one says of itself, and no members; the old one gets a tombstone that points to it. Throws
     * [Code.DENIED], [Code.UNKNOWN_ROOM_VERSION]; [Code.BAD_PARAM] for [additionalCreators] in a version before 12.
     */
    public suspend fun upgradeRoom(
        userId: String,
        roomId: String,
        version: String,
        additionalCreators: List<String> = emptyList(),
    ): String = translated { native.upgradeRoom(userId, roomId, version, additionalCreators) }

    /**
     * Takes a whole room from the file [archive]: its events in federation form, one a line, the create event first and
     * others after those that they cite. All rules hold; where it is [trusted] the signatures alone are taken as right.
     * An import that ended early can be repeated. Throws [Code.BAD_PARAM] for a file that cannot be read or is no
     * archive.
     */
    public suspend fun importRoom(archive: Path, trusted: Boolean = false): ImportReport =
        translated { native.importRoom(archive.toString(), trusted) }

    /**
     * Deletes what came before the event [from] in the room's timeline, gives the disk space back, and tells how many
     * events that was. What the rest needs stays, and what is still to be delivered. Throws [Code.UNKNOWN_EVENT].
     */
    public suspend fun purgeHistory(roomId: String, from: String): ULong =
        translated { native.purgeHistory(roomId, from) }

    /**
     * Deletes all there is of a room, pending invites too, and gives the disk space back; what other servers are still
     * owed of it goes out all the same. Throws [Code.DENIED] while a user of this server is in it.
     */
    public suspend fun forgetRoom(roomId: String): Unit = translated { native.forgetRoom(roomId) }

    /**
     * Reads all that is stored, and reports what does not fit together; with [repair], what follows from other things
     * is put right, and events that cannot be read are deleted, so that the rest of their rooms can be used: make a copy of
     * the file first, if somebody may want to look at them. Commands on a room wait while it is looked at.
     */
    public suspend fun checkStore(repair: Boolean = false): StoreReport = translated { native.checkStore(repair) }

    /**
     * Writes a copy of the store, as it is at one moment, to the new file [path]; commands go on meanwhile. Throws
     * [Code.BAD_PARAM] if there is such a file, or if the store is in memory.
     */
    public suspend fun backup(path: Path): Unit = translated { native.backup(path.toString()) }

    /**
     * Invites [target] and gives the id of the event. Throws [Code.NOT_JOINED], [Code.DENIED]; [Code.UNREACHABLE] or
     * [Code.REMOTE] where the server of [target] could not be asked or refused.
     */
    public suspend fun invite(userId: String, roomId: String, target: String, reason: String? = null): String =
        translated { native.invite(userId, roomId, target, reason) }

    /**
     * Joins and gives the id of the event; through one of the servers [via] if this server is not in the room (the
     * server that sent an invite is asked too). Throws [Code.DENIED], [Code.UNKNOWN_ROOM], [Code.UNREACHABLE] or
     * [Code.REMOTE].
     */
    public suspend fun join(userId: String, roomId: String, via: List<String> = emptyList()): String =
        translated { native.join(userId, roomId, via) }

    /**
     * Leaves, rejects an invite or retracts a knock, and gives the id of the event; null where the server of an
     * invite's sender could not be reached, or refused, and the invite was only dropped here. Throws [Code.NOT_JOINED].
     */
    public suspend fun leave(userId: String, roomId: String, reason: String? = null): String? =
        translated { native.leave(userId, roomId, reason) }

    /**
     * Kicks [target] and gives the id of the event. Throws [Code.NOT_JOINED], [Code.DENIED]; [Code.BAD_PARAM] where
     * [target] is not there.
     */
    public suspend fun kick(userId: String, roomId: String, target: String, reason: String? = null): String =
        translated { native.kick(userId, roomId, target, reason) }

    /** Bans [target] and gives the id of the event. Throws [Code.NOT_JOINED], [Code.DENIED]. */
    public suspend fun ban(userId: String, roomId: String, target: String, reason: String? = null): String =
        translated { native.ban(userId, roomId, target, reason) }

    /**
     * Lifts the ban of [target] and gives the id of the event. Throws [Code.NOT_JOINED], [Code.DENIED]; [Code.BAD_PARAM]
     * where there is none.
     */
    public suspend fun unban(userId: String, roomId: String, target: String, reason: String? = null): String =
        translated { native.unban(userId, roomId, target, reason) }

    /**
     * Sends an event of type [kind] whose [content] is a JSON object, and gives its id. The same [txnId] of the same
     * user in the same room gives the same event id, which makes a retry safe, whichever command it was given with: this,
     * [setState] or [redact]. Throws [Code.NOT_JOINED], [Code.DENIED] (the message names the rule); [Code.BAD_PARAM] for a
     * type that the room's version retired or that has a command of its own; [Code.TOO_LARGE], [Code.BAD_JSON],
     * [Code.NOT_CANONICAL].
     */
    public suspend fun send(
        userId: String,
        roomId: String,
        kind: String,
        content: String,
        txnId: String? = null,
    ): String = translated { native.send(userId, roomId, kind, content, txnId) }

    /** Sends a text message in the form that the room's version asks for; else as [send]. */
    public suspend fun sendMessage(userId: String, roomId: String, body: String, txnId: String? = null): String {
        val create = stateEvent(userId, roomId, "m.room.create")
        return if (create?.let { memberText(it.content, "room_version") } in CONTENT_BLOCK_VERSIONS) {
            send(userId, roomId, "m.message", """{"m.text":[{"body":${quoted(body)}}]}""", txnId)
        } else {
            send(userId, roomId, "m.room.message", """{"body":${quoted(body)},"msgtype":"m.text"}""", txnId)
        }
    }

    /** Sends a state event; else as [send]. */
    public suspend fun setState(
        userId: String,
        roomId: String,
        kind: String,
        content: String,
        stateKey: String = "",
        txnId: String? = null,
    ): String = translated { native.setState(userId, roomId, kind, stateKey, content, txnId) }

    /** Redacts an event and gives the id of the redaction. Throws [Code.UNKNOWN_EVENT]; else as [send]. */
    public suspend fun redact(
        userId: String,
        roomId: String,
        eventId: String,
        reason: String? = null,
        txnId: String? = null,
    ): String = translated { native.redact(userId, roomId, eventId, reason, txnId) }

    /**
     * A page of up to [limit] events (at least 1 and at most 1,000) of the timeline as the user may see it, from the token
     * `next` of another page; without one from the newest event backward, or from the oldest forward. Backward, other
     * servers are asked where the local history ends. Throws [Code.NOT_JOINED]; [Code.BAD_PARAM] for a token that is none.
     */
    public suspend fun timeline(
        userId: String,
        roomId: String,
        from: String? = null,
        direction: Direction = Direction.BACKWARD,
        limit: Int = 50,
    ): Page {
        require(limit >= 0) { "limit is $limit" }
        return translated { native.timeline(userId, roomId, from, direction, limit.toUInt()) }
    }

    /** One event. Throws [Code.NOT_JOINED], [Code.UNKNOWN_EVENT]. */
    public suspend fun event(userId: String, roomId: String, eventId: String): RoomEvent =
        translated { native.event(userId, roomId, eventId) }

    /**
     * The current state (what it was at the end, for a user who left), by type and state key. Throws [Code.NOT_JOINED].
     */
    public suspend fun state(userId: String, roomId: String): List<RoomEvent> =
        translated { native.state(userId, roomId) }

    /** One event of the current state; null if there is no such state. Throws [Code.NOT_JOINED]. */
    public suspend fun stateEvent(userId: String, roomId: String, kind: String, stateKey: String = ""): RoomEvent? =
        translated { native.stateEvent(userId, roomId, kind, stateKey) }

    /** The members, all or with one [membership], by user id. Throws [Code.NOT_JOINED]. */
    public suspend fun members(userId: String, roomId: String, membership: String? = null): List<Member> =
        translated { native.members(userId, roomId, membership) }

    /** The user's rooms and invites, by room id. Throws [Code.UNKNOWN_USER]. */
    public suspend fun rooms(userId: String): List<RoomSummary> = translated { native.rooms(userId) }

    /**
     * The stripped state that came with a pending invite, as a JSON array: what the inviting server says, verified by
     * nobody. Throws [Code.NOT_FOUND] without an invite.
     */
    public suspend fun invitePreview(userId: String, roomId: String): String =
        translated { native.invitePreview(userId, roomId) }

    /**
     * Every update after position [since] (0: from the beginning), as it comes; ends when the homeserver closes. Store
     * the `pos` of what you have handled: after a crash, resume there. Each collector reads for itself.
     */
    public fun updates(since: Long = 0): Flow<Update> = flow {
        var handled = since
        while (true) {
            for (update in nextUpdates(handled) ?: break) {
                emit(update)
                handled = update.pos
            }
        }
    }

    /** Waits for updates after position [since]; null once the homeserver is closed. */
    private suspend fun nextUpdates(since: Long): List<Update>? =
        try {
            translated { native.updates(position(since), BATCH) }.map(::updateOf)
        } catch (error: RoomletException) {
            if (error.code == Code.CLOSED) null else throw error
        }

    /** The position of the newest update. */
    public suspend fun lastUpdate(): Long = translated { native.lastUpdate() }.toLong()

    /**
     * Forgets the updates up to and with position [upTo], which every reader has handled. Without this they pile up. Throws
     * [Code.BAD_PARAM] for a position beyond the newest update.
     */
    public suspend fun trimUpdates(upTo: Long): Unit = translated { native.trimUpdates(position(upTo)) }

    public companion object {
        /** The largest body of a request of another server, in bytes. */
        public const val MAX_REQUEST_BYTES: Int = 12_500_000

        /** Updates asked for at once. */
        private const val BATCH: UInt = 100u

        /** A position as the library takes it; a negative one would be the greatest of all. */
        private fun position(pos: Long): ULong {
            require(pos >= 0) { "position $pos is negative" }
            return pos.toULong()
        }

        /** Room versions whose messages are made of content blocks; `m.room.message` is banned there. */
        private val CONTENT_BLOCK_VERSIONS = setOf("I.1", "org.matrix.msc1767.10")

        /**
         * Opens a homeserver: its store, with a new signing key on first use, and what was under way is resumed.
         *
         * Throws [Code.BAD_ID] for a name that is none, [Code.BAD_PARAM] for the store of another server and
         * [Code.UNKNOWN_ROOM_VERSION] or [Code.BAD_PARAM] for limits that mean nothing;
         * [Code.STORE_LOCKED], [Code.STORE_DAMAGED], [Code.STORE_NEWER], [Code.STORE_FULL].
         * A coroutine that is cancelled meanwhile ends when the homeserver is open and closed again.
         *
         * @param serverName the domain of its users; it cannot change once the store was made
         * @param path the SQLite file, made if it is not there; without one nothing survives the process
         * @param policy what the host decides; without one nothing is refused
         * @param logger takes log lines, on roomlet's threads and those that open and close, and returns soon: opening,
         *     closing, what fails, and what does not work between servers
         */
        public suspend fun open(
            serverName: String,
            path: String? = null,
            transport: Transport,
            policy: Policy? = null,
            logger: ((LogLevel, String) -> Unit)? = null,
            limits: Limits = Limits(),
        ): Homeserver {
            val config = Config(serverName, path, limits)
            val judge = policy?.let(::HostPolicyAdapter)
            // Cancelled midway, what opens all the same would be closed by nobody, and its file would stay locked.
            val homeserver = withContext(NonCancellable) {
                translated { Homeserver(Native.open(config, HostTransport(transport), judge, logger?.let(::HostLogger))) }
            }
            try {
                currentCoroutineContext().ensureActive()
            } catch (cancelled: CancellationException) {
                withContext(NonCancellable) { homeserver.shutdown() }
                throw cancelled
            }
            return homeserver
        }
    }
}
