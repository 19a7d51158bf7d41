import RoomletGenerated

/// Carries a request to its destination and gives the response, whatever its status: the host's HTTP client, for
/// example.
///
/// Called from roomlet's tasks, many at once, and cancelled when the answer is no longer wanted. Whatever it throws means
/// that there is no response; the reason of an ``Unreachable`` becomes part of the operation's error as it is.
public typealias Transport = @Sendable (Request) async throws -> Response

/// Takes log lines, on roomlet's threads and those that open and close, and returns soon: opening, closing, what fails, and
/// what does not work between servers.
public typealias Logger = @Sendable (LogLevel, String) -> Void

/// What the host decides where a server may make its own checks.
///
/// What asks waits for the answer, without a limit of time. `false` refuses, and so does an error, which goes to the log.
/// Those that a type leaves out accept.
public protocol Policy: Sendable {
    /// May `sender` invite the local user `invitee` to the room?
    func acceptInvite(roomId: String, sender: String, invitee: String) async throws -> Bool

    /// May `userId` of another server join the room through this server?
    func acceptJoin(roomId: String, userId: String) async throws -> Bool

    /// May the server `origin` make this federation request?
    func acceptRequest(origin: String, method: String, target: String) async throws -> Bool

    /// May this event of another server, of type `kind`, reach the users? Refused, it stays in the room's history, out
    /// of their sight.
    func acceptEvent(roomId: String, eventId: String, sender: String, kind: String) async throws -> Bool
}

extension Policy {
    public func acceptInvite(roomId: String, sender: String, invitee: String) async throws -> Bool { true }
    public func acceptJoin(roomId: String, userId: String) async throws -> Bool { true }
    public func acceptRequest(origin: String, method: String, target: String) async throws -> Bool { true }
    public func acceptEvent(roomId: String, eventId: String, sender: String, kind: String) async throws -> Bool { true }
}

/// What the library calls for a ``Transport``.
final class HostTransport: RoomletGenerated.Transport {
    private let transport: Transport

    init(_ transport: @escaping Transport) {
        self.transport = transport
    }

    func send(request: Request) async throws -> Response {
        do {
            return try await transport(request)
        } catch let error as Unreachable {
            throw TransportError.Unreachable(reason: error.reason)
        }
    }
}

/// What the library calls for a ``Policy``.
final class HostPolicy: RoomletGenerated.HostPolicy {
    private let policy: any Policy

    init(_ policy: any Policy) {
        self.policy = policy
    }

    func acceptInvite(roomId: String, sender: String, invitee: String) async throws -> Bool {
        try await policy.acceptInvite(roomId: roomId, sender: sender, invitee: invitee)
    }

    func acceptJoin(roomId: String, userId: String) async throws -> Bool {
        try await policy.acceptJoin(roomId: roomId, userId: userId)
    }

    func acceptRequest(origin: String, method: String, target: String) async throws -> Bool {
        try await policy.acceptRequest(origin: origin, method: method, target: target)
    }

    func acceptEvent(roomId: String, eventId: String, sender: String, kind: String) async throws -> Bool {
        try await policy.acceptEvent(roomId: roomId, eventId: eventId, sender: sender, kind: kind)
    }
}

/// What the library calls for a ``Logger``.
final class HostLogger: RoomletGenerated.Logger {
    private let logger: Logger

    init(_ logger: @escaping Logger) {
        self.logger = logger
    }

    func log(level: LogLevel, message: String) throws {
        logger(level, message)
    }
}
