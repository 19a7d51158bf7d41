package dev.roomlet

/** What went wrong, as a number that never changes its meaning. */
public enum class Code(
    /** The number, which the C API has too. */
    public val number: Int,
) {
    /** Not JSON, or JSON that breaks a limit of the parser. */
    BAD_JSON(100),

    /** JSON that canonical JSON does not allow: a float, an integer out of range. */
    NOT_CANONICAL(101),

    /** An identifier that breaks its grammar or length. */
    BAD_ID(102),

    /** An event, request or field beyond its size limit. */
    TOO_LARGE(103),

    /** An event without a required field, or with one of the wrong type. */
    BAD_EVENT(104),

    /** A room version that this server does not know. */
    UNKNOWN_ROOM_VERSION(105),

    /** A parameter that is missing or makes no sense. */
    BAD_PARAM(106),

    /** A signature that does not verify. */
    BAD_SIGNATURE(200),

    /** A signature that has to be there and is not. */
    MISSING_SIGNATURE(201),

    /** A signing key that could not be had. */
    UNKNOWN_KEY(202),

    /** A signing key that was not valid at the time of the event. */
    EXPIRED_KEY(203),

    /** A federation request without valid authentication. */
    UNAUTHORIZED(204),

    /** What the rules refuse, those of the room or of the command; the message names the rule. */
    DENIED(300),

    /** The user is not in the room. */
    NOT_JOINED(301),

    /** The host's policy, a server ACL or a membership refuses this. */
    FORBIDDEN(302),

    /** A room that this server does not hold. */
    UNKNOWN_ROOM(400),

    /** An event that this server does not hold. */
    UNKNOWN_EVENT(401),

    /** A user that is not an account of this server. */
    UNKNOWN_USER(402),

    /** Something else that is not there. */
    NOT_FOUND(403),

    /** A federation endpoint that this server does not have. */
    UNKNOWN_ENDPOINT(404),

    /** A federation endpoint that does not know this method. */
    UNKNOWN_METHOD(405),

    /** The thing exists already. */
    EXISTS(406),

    /** The other server could not be reached. */
    UNREACHABLE(500),

    /** The other server answered with an error; the message has its errcode. */
    REMOTE(501),

    /** The other server's answer breaks the protocol. */
    BAD_REPLY(502),

    /** Too much is under way; try again later. */
    BUSY(503),

    /** The store could not be read or written. */
    STORE(600),

    /** The store has no room left on its disk. */
    STORE_FULL(601),

    /** Another owner has the store open, in this process or another. */
    STORE_LOCKED(602),

    /** The store's file is damaged or is no store. */
    STORE_DAMAGED(603),

    /** The store was written by a newer version of roomlet. */
    STORE_NEWER(604),

    /** The server was closed. */
    CLOSED(700),

    /** The operation was cancelled. */
    CANCELLED(701),

    /** An earlier panic made this server unusable; others live on. */
    POISONED(702),

    /** A bug in roomlet: a panic was stopped at the boundary. */
    PANIC(703),

    /** A null pointer, a bad length, a bad struct size or a wrong handle at the C boundary. */
    BAD_ARGUMENT(704),

    /** The call is not allowed on this thread. */
    WRONG_THREAD(705),

    /** A callback of the host failed. */
    HOST(706),

    /** The handle was freed already. */
    FREED_HANDLE(707),

    /** The wait ended before the operation did; it goes on. */
    TIMED_OUT(708),

    /** A code of a library newer than this package; the message says more. */
    OTHER(0),
    ;

    internal companion object {
        private val byNumber = entries.associateBy(Code::number)

        /** The code with this number. */
        fun of(number: Int): Code = byNumber[number] ?: OTHER
    }
}

/**
 * What every operation throws.
 *
 * @property code what went wrong
 * @property errcode the Matrix errcode of it, as `M_FORBIDDEN`
 * @param message what was wrong with which thing, for people
 */
public class RoomletException internal constructor(
    public val code: Code,
    public val errcode: String,
    message: String,
    cause: Throwable,
) : Exception(message, cause)

/** Runs [block] with the library's exceptions turned into [RoomletException]. */
internal inline fun <T> translated(block: () -> T): T =
    try {
        block()
    } catch (error: dev.roomlet.ffi.RoomletException.Failed) {
        throw RoomletException(Code.of(error.code), error.errcode, error.about, error)
    }
