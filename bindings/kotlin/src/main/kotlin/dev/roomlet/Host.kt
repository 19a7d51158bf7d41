package dev.roomlet

import dev.roomlet.ffi.HostException
import dev.roomlet.ffi.HostPolicy
import dev.roomlet.ffi.Logger
import kotlinx.coroutines.CancellationException

/** Carries requests to other servers: the host's HTTP client, for example. */
public fun interface Transport {
    /**
     * Delivers [request] to its destination and gives the response, whatever its status. Called from roomlet's
     * coroutines, many at once, and cancelled when the answer is no longer wanted. Whatever it throws means that there
     * is no response; the message of an [UnreachableException] becomes part of the operation's error as it is.
     */
    public suspend fun send(request: Request): Response
}

/** Why a [Transport] has no response. */
public typealias UnreachableException = dev.roomlet.ffi.TransportException.Unreachable

/**
 * What the host decides where a server may make its own checks. What asks waits for the answer, without a limit of time.
 * False refuses, and so does an exception, which goes to the log. As they are here, all accept.
 */
public interface Policy {
    /** May [sender] invite the local user [invitee] to the room? */
    public suspend fun acceptInvite(roomId: String, sender: String, invitee: String): Boolean = true

    /** May [userId] of another server join the room through this server? */
    public suspend fun acceptJoin(roomId: String, userId: String): Boolean = true

    /** May the server [origin] make this federation request? */
    public suspend fun acceptRequest(origin: String, method: String, target: String): Boolean = true

    /**
     * May this event of another server, of type [kind], reach the users? Refused, it stays in the room's history, out
     * of their sight.
     */
    public suspend fun acceptEvent(roomId: String, eventId: String, sender: String, kind: String): Boolean = true
}

/** What the library calls for a [Transport]. */
internal class HostTransport(private val transport: Transport) : dev.roomlet.ffi.Transport {
    override suspend fun send(request: Request): Response =
        answering(::UnreachableException) { transport.send(request) }
}

/** What the library calls for a [Policy]. */
internal class HostPolicyAdapter(private val policy: Policy) : HostPolicy {
    override suspend fun acceptInvite(roomId: String, sender: String, invitee: String): Boolean =
        answering(HostException::Failed) { policy.acceptInvite(roomId, sender, invitee) }

    override suspend fun acceptJoin(roomId: String, userId: String): Boolean =
        answering(HostException::Failed) { policy.acceptJoin(roomId, userId) }

    override suspend fun acceptRequest(origin: String, method: String, target: String): Boolean =
        answering(HostException::Failed) { policy.acceptRequest(origin, method, target) }

    override suspend fun acceptEvent(roomId: String, eventId: String, sender: String, kind: String): Boolean =
        answering(HostException::Failed) { policy.acceptEvent(roomId, eventId, sender, kind) }
}

/** What the library calls for a logger. */
internal class HostLogger(private val logger: (LogLevel, String) -> Unit) : Logger {
    override fun log(level: LogLevel, message: String) = logger(level, message)
}

/**
 * Runs a callback of the host. The generated code answers Rust for an `Exception` alone: anything else would leave
 * the operation waiting for ever, so it becomes the exception that [failed] makes.
 */
private suspend fun <T> answering(failed: (String) -> Exception, callback: suspend () -> T): T =
    try {
        callback()
    } catch (error: UnreachableException) {
        throw error
    } catch (error: CancellationException) {
        throw error
    } catch (error: Throwable) {
        throw failed(error.toString())
    }
