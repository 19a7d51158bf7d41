import RoomletGenerated

/// A Matrix homeserver inside this program.
///
/// A command returns once its result is durable here; other servers hear of it later. Cancelling a task ends the command
/// that it waits for, with a `CancellationError`: what was durable by then stays, so the command may still have taken
/// effect, and with a transaction id (`txnId`) it can be repeated safely. Other errors are ``RoomletError``; after
/// ``close()`` with the code ``Code/closed``.
public final class Homeserver: Sendable {
    private let native: RoomletGenerated.Homeserver

    private init(_ native: RoomletGenerated.Homeserver) {
        self.native = native
    }

    /// Opens a homeserver: its store, with a new signing key on first use, and what was under way is resumed.
    ///
    /// - Parameters:
    ///   - serverName: The domain of its users; it cannot change once the store was made.
    ///   - path: The SQLite file, made if it is not there; without one nothing survives the process.
    ///   - transport: Carries requests to other servers.
    ///   - policy: What the host decides; without one nothing is refused.
    ///   - logger: Takes log lines.
    ///   - limits: Limits that are the host's policy.
    /// - Throws: ``Code/badId`` for a name that is none, ``Code/badParam`` for the store of another server,
    ///   ``Code/unknownRoomVersion`` or ``Code/badParam`` for limits that mean nothing;
    ///   ``Code/storeLocked``, ``Code/storeDamaged``, ``Code/storeNewer``, ``Code/storeFull``.
    public static func open(
        _ serverName: String,
        path: String? = nil,
        transport: @escaping Transport,
        policy: (any Policy)? = nil,
        logger: Logger? = nil,
        limits: Limits = Limits()
    ) async throws -> Homeserver {
        try await translated {
            Homeserver(
                try await RoomletGenerated.Homeserver.open(
                    config: Config(serverName: serverName, path: path, limits: limits),
                    transport: HostTransport(transport),
                    policy: policy.map(HostPolicy.init),
                    logger: logger.map(HostLogger.init)
                ))
        }
    }

    /// Stops all work, closes the store and lets go of the transport, policy and logger.
    ///
    /// Calls that wait throw ``Code/closed``, iterations over ``updates(since:)`` end; closing again has no effect.
    public func close() async throws {
        try await translated { try await native.close() }
    }

    /// The server's name, the domain of its users.
    public var serverName: String {
        get throws { try translated { try native.serverName() } }
    }

    /// The largest body of a request of another server, in bytes.
    public static let maxRequestBytes = 12_500_000

    /// Answers a federation request that came from another server, whose HTTP response it becomes. A body of more than
    /// ``maxRequestBytes`` is answered with 413: read no more.
    ///
    /// - Throws: ``Code/badId`` if the destination is no server name; what else is wrong is in the response.
    public func handleRequest(_ request: Request) async throws -> Response {
        try await cancellable { try await $0.handleRequest(request: request) }
    }

    /// The network is back, or the app woke up: deliveries that wait after a failure are tried at once.
    public func wake() throws {
        try translated { try native.wake() }
    }

    /// Makes an account and gives its user id, `@localpart:server_name`.
    ///
    /// - Throws: ``Code/badId``, ``Code/exists``.
    public func createAccount(_ localpart: String) async throws -> String {
        try await cancellable { try await $0.createAccount(localpart: localpart) }
    }

    /// The ids of the accounts, in order.
    public func accounts() async throws -> [String] {
        try await cancellable { try await $0.accounts() }
    }

    /// Every update after position `since` (0: from the beginning), as it comes; ends when the homeserver closes.
    ///
    /// Store the `pos` of what you have handled: after a crash, resume there. Each iteration reads for itself.
    public func updates(since: UInt64 = 0) -> Updates {
        Updates(homeserver: self, since: since)
    }

    /// Waits for updates after position `since`: 1 to `limit` of them.
    func nextUpdates(since: UInt64, limit: UInt32) async throws -> [UpdateEntry] {
        try await cancellable { try await $0.updates(since: since, max: limit) }
    }

    /// The position of the newest update.
    public func lastUpdate() async throws -> UInt64 {
        try await cancellable { try await $0.lastUpdate() }
    }

    /// Forgets the updates up to and with position `upTo`, which every reader has handled. Without this they pile up.
    ///
    /// - Throws: ``Code/badParam`` for a position beyond the newest update.
    public func trimUpdates(upTo: UInt64) async throws {
        try await cancellable { try await $0.trimUpdates(upTo: upTo) }
    }

    /// Makes the calls in `body` so that cancelling the task ends them: of itself, a call to the library goes on.
    func cancellable<T: Sendable>(_ body: (RoomletGenerated.Homeserver) async throws -> T) async throws -> T {
        let operation = Operation()
        return try await translated {
            let cancellable = try native.under(operation: operation)
            return try await withTaskCancellationHandler {
                do {
                    return try await body(cancellable)
                } catch RoomletGenerated.RoomletError.Failed(Code.cancelled.rawValue, _, _) {
                    throw CancellationError()
                }
            } onCancel: {
                // It throws in its signature alone.
                try? operation.cancel()
            }
        }
    }
}
