package dev.roomlet

import dev.roomlet.ffi.HostException

/** What the authorization rules say of an event. */
public typealias Verdict = dev.roomlet.ffi.Verdict

/** Type and state key of a state event. */
public typealias StateType = dev.roomlet.ffi.StateType

/** What an identifier names. */
public typealias IdKind = dev.roomlet.ffi.IdKind

/** An identifier in its parts. */
public typealias ParsedId = dev.roomlet.ffi.ParsedId

/** What a room version can do. */
public typealias RoomVersionInfo = dev.roomlet.ffi.RoomVersionInfo

/** Gives events that a resolution needs. */
public fun interface EventSource {
    /** The events of these [ids], in any order. Called on the thread that resolves; what it throws comes out again. */
    public fun events(ids: List<String>): List<String>
}

/**
 * The primitives of Matrix rooms without a homeserver: JSON, signatures, events, authorization, state resolution,
 * identifiers, room versions. Functions without state, for any thread; events are JSON in federation form. What is wrong
 * throws [RoomletException].
 */
public object Toolkit {
    /** The canonical form of a JSON value. Throws [Code.BAD_JSON], [Code.NOT_CANONICAL]. */
    public fun canonicalJson(json: String): String = translated { dev.roomlet.ffi.canonicalJson(json) }

    /** The public key of a signing key, both in unpadded base64; [seed] is its 32 bytes. Throws [Code.BAD_PARAM]. */
    public fun publicKey(seed: String): String = translated { dev.roomlet.ffi.publicKey(seed) }

    /** The object with the signature of [server] beside those that it has. */
    public fun signJson(json: String, server: String, keyId: String, seed: String): String =
        translated { dev.roomlet.ffi.signJson(json, server, keyId, seed) }

    /** Checks the signature of [server]. Throws [Code.MISSING_SIGNATURE], [Code.BAD_SIGNATURE]. */
    public fun verifyJson(json: String, server: String, keyId: String, publicKey: String): Unit =
        translated { dev.roomlet.ffi.verifyJson(json, server, keyId, publicKey) }

    /** The content hash of an event, as `hashes.sha256` has it. */
    public fun contentHash(event: String): String = translated { dev.roomlet.ffi.contentHash(event) }

    /** The id of an event of a room of this version. */
    public fun eventId(event: String, version: String): String = translated { dev.roomlet.ffi.eventId(event, version) }

    /** What is left of an event after a redaction. */
    public fun redact(event: String, version: String): String = translated { dev.roomlet.ffi.redact(event, version) }

    /** The servers whose signatures an event needs. */
    public fun requiredSigners(event: String, version: String): List<String> =
        translated { dev.roomlet.ffi.requiredSigners(event, version) }

    /** Checks the form of an event; neither hash nor signatures. What it throws names field and rule. */
    public fun checkEvent(event: String, version: String): Unit =
        translated { dev.roomlet.ffi.checkEvent(event, version) }

    /** The event with its content hash and the signature of [server]. */
    public fun signEvent(event: String, version: String, server: String, keyId: String, seed: String): String =
        translated { dev.roomlet.ffi.signEvent(event, version, server, keyId, seed) }

    /**
     * Checks the signatures that an event needs, and its content hash; gives the event, or its redacted form if the
     * hash does not fit. [keys] is a JSON object by server, then by key id, of public keys in base64.
     */
    public fun verifyEvent(event: String, version: String, keys: String): String =
        translated { dev.roomlet.ffi.verifyEvent(event, version, keys) }

    /**
     * Whether an event is allowed by its own auth events, which are given. Neither hashes nor signatures are looked
     * at.
     */
    public fun checkAuthEvents(event: String, authEvents: List<String>, version: String): Verdict =
        translated { dev.roomlet.ffi.checkAuthEvents(event, authEvents, version) }

    /** Whether an event is allowed in the state of these events; else as [checkAuthEvents]. */
    public fun checkAuth(event: String, state: List<String>, version: String): Verdict =
        translated { dev.roomlet.ffi.checkAuth(event, state, version) }

    /** Type and state key of the state events that an event has to cite; it need not be finished. */
    public fun authTypes(event: String, version: String): List<StateType> =
        translated { dev.roomlet.ffi.authTypes(event, version) }

    /** The ids of those events of [state] that an event has to cite. */
    public fun selectAuthEvents(event: String, state: List<String>, version: String): List<String> =
        translated { dev.roomlet.ffi.selectAuthEvents(event, state, version) }

    /**
     * The ids of the events of the state that several states resolve to. Each of [states] is given by the ids of its
     * events; [events] has these and their auth chains.
     */
    public fun resolveState(version: String, states: List<List<String>>, events: List<String>): List<String> =
        translated { dev.roomlet.ffi.resolveState(version, states, events) }

    /** Checks an identifier by the grammar of its kind and takes it apart. Throws [Code.BAD_ID], with the rule. */
    public fun parseId(kind: IdKind, text: String): ParsedId = translated { dev.roomlet.ffi.parseId(kind, text) }

    /** The names of all room versions. */
    public fun roomVersions(): List<String> = translated { dev.roomlet.ffi.roomVersions() }

    /** What a room version can do. Throws [Code.UNKNOWN_ROOM_VERSION]. */
    public fun roomVersion(id: String): RoomVersionInfo = translated { dev.roomlet.ffi.roomVersion(id) }

    /** As [resolveState]; [source] is called when events are needed. */
    public fun resolveStateFrom(version: String, states: List<List<String>>, source: EventSource): List<String> {
        var thrown: Throwable? = null
        val adapter = object : dev.roomlet.ffi.EventSource {
            override fun events(ids: List<String>): List<String> = try {
                source.events(ids)
            } catch (error: Throwable) {
                thrown = error
                throw HostException.Failed(error.toString())
            }
        }
        return try {
            translated { dev.roomlet.ffi.resolveStateFrom(version, states, adapter) }
        } catch (error: RoomletException) {
            throw thrown ?: error
        }
    }
}
