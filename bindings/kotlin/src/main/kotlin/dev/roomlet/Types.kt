package dev.roomlet

import dev.roomlet.ffi.RoomUpdate
import dev.roomlet.ffi.UpdateEntry

/** One federation request. An HTTP host sends it as it is to its destination. */
public typealias Request = dev.roomlet.ffi.Request

/** The response to a [Request]. */
public typealias Response = dev.roomlet.ffi.Response

/** Limits that are the host's policy; made without arguments, the defaults. */
public typealias Limits = dev.roomlet.ffi.Limits

/** Who can join a new room, and who may do what in it. */
public typealias Preset = dev.roomlet.ffi.Preset

/** What a check of the store found. */
public typealias StoreReport = dev.roomlet.ffi.StoreReport

/** What became of the events of an archive. */
public typealias ImportReport = dev.roomlet.ffi.ImportReport

/** An event as users see it. */
public typealias RoomEvent = dev.roomlet.ffi.RoomEvent

/** Which way a page of a timeline goes. */
public typealias Direction = dev.roomlet.ffi.Direction

/** A page of a timeline. */
public typealias Page = dev.roomlet.ffi.Page

/** A member of a room's current state. */
public typealias Member = dev.roomlet.ffi.Member

/** A room of a local user. */
public typealias RoomSummary = dev.roomlet.ffi.RoomSummary

/** How much a log line matters. */
public typealias LogLevel = dev.roomlet.ffi.LogLevel

/** Something that happened in a room of a local user. */
public sealed interface Update {
    /** Its position: the token to resume after it. */
    public val pos: Long

    /** The id of the room. */
    public val roomId: String

    /** A new event that users may see, as it is now (redacted, if it was since). */
    public data class Event(override val pos: Long, val event: RoomEvent) : Update {
        override val roomId: String get() = event.roomId
    }

    /**
     * Merging histories changed the room's current state without a new event: what [kind] and [stateKey] name is now
     * [event], or no longer there.
     */
    public data class StateChanged(
        override val pos: Long,
        override val roomId: String,
        val kind: String,
        val stateKey: String,
        val event: RoomEvent?,
    ) : Update

    /** The membership of the local user [userId] changed, by [sender]. */
    public data class Membership(
        override val pos: Long,
        override val roomId: String,
        val userId: String,
        val membership: String,
        val sender: String,
    ) : Update

    /** The event [eventId] lost its content to the redaction [redactedBy]. */
    public data class Redacted(
        override val pos: Long,
        override val roomId: String,
        val eventId: String,
        val redactedBy: String,
    ) : Update
}

/** An entry of the update stream as this package gives it. */
internal fun updateOf(entry: UpdateEntry): Update {
    val pos = entry.pos.toLong()
    return when (val update = entry.update) {
        is RoomUpdate.Event -> Update.Event(pos, update.event)
        is RoomUpdate.StateChanged ->
            Update.StateChanged(pos, update.roomId, update.kind, update.stateKey, update.event)
        is RoomUpdate.Membership ->
            Update.Membership(pos, update.roomId, update.userId, update.membership, update.sender)
        is RoomUpdate.Redacted -> Update.Redacted(pos, update.roomId, update.eventId, update.redactedBy)
    }
}
