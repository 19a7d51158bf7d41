/// What went wrong, as a number that never changes its meaning: the raw value, which the C API has too.
public enum Code: Int32, CaseIterable, Sendable {
    /// Not JSON, or JSON that breaks a limit of the parser.
    case badJson = 100
    /// JSON that canonical JSON does not allow: a float, an integer out of range.
    case notCanonical = 101
    /// An identifier that breaks its grammar or length.
    case badId = 102
    /// An event, request or field beyond its size limit.
    case tooLarge = 103
    /// An event without a required field, or with one of the wrong type.
    case badEvent = 104
    /// A room version that this server does not know.
    case unknownRoomVersion = 105
    /// A parameter that is missing or makes no sense.
    case badParam = 106
    /// A signature that does not verify.
    case badSignature = 200
    /// A signature that has to be there and is not.
    case missingSignature = 201
    /// A signing key that could not be had.
    case unknownKey = 202
    /// A signing key that was not valid at the time of the event.
    case expiredKey = 203
    /// A federation request without valid authentication.
    case unauthorized = 204
    /// What the rules refuse, those of the room or of the command; the message names the rule.
    case denied = 300
    /// The user is not in the room.
    case notJoined = 301
    /// The host's policy, a server ACL or a membership refuses this.
    case forbidden = 302
    /// A room that this server does not hold.
    case unknownRoom = 400
    /// An event that this server does not hold.
    case unknownEvent = 401
    /// A user that is not an account of this server.
    case unknownUser = 402
    /// Something else that is not there.
    case notFound = 403
    /// A federation endpoint that this server does not have.
    case unknownEndpoint = 404
    /// A federation endpoint that does not know this method.
    case unknownMethod = 405
    /// The thing exists already.
    case exists = 406
    /// The other server could not be reached.
    case unreachable = 500
    /// The other server answered with an error; the message has its errcode.
    case remote = 501
    /// The other server's answer breaks the protocol.
    case badReply = 502
    /// Too much is under way; try again later.
    case busy = 503
    /// The store could not be read or written.
    case store = 600
    /// The store has no room left on its disk.
    case storeFull = 601
    /// Another owner has the store open, in this process or another.
    case storeLocked = 602
    /// The store's file is damaged or is no store.
    case storeDamaged = 603
    /// The store was written by a newer version of roomlet.
    case storeNewer = 604
    /// The server was closed.
    case closed = 700
    /// The operation was cancelled.
    case cancelled = 701
    /// An earlier panic made this server unusable; others live on.
    case poisoned = 702
    /// A bug in roomlet: a panic was stopped at the boundary.
    case panic = 703
    /// A null pointer, a bad length, a bad struct size or a wrong handle at the C boundary.
    case badArgument = 704
    /// The call is not allowed on this thread.
    case wrongThread = 705
    /// A callback of the host failed.
    case host = 706
    /// The handle was freed already.
    case freedHandle = 707
    /// The wait ended before the operation did; it goes on.
    case timedOut = 708
    /// A code of a library newer than this package; the message says more.
    case other = 0
}
