import Foundation
import Roomlet
import Testing

/// Carries requests between the homeservers of this process.
actor Wire {
    private var servers: [String: Homeserver] = [:]

    func send(_ request: Request) async throws -> Response {
        guard let server = servers[request.destination] else {
            throw Unreachable("\(request.destination) is not there")
        }
        return try await server.handleRequest(request)
    }

    /// Opens a homeserver that the others reach.
    func open(
        _ name: String, path: String? = nil, policy: (any Policy)? = nil, logger: Logger? = nil
    ) async throws -> Homeserver {
        let server = try await Homeserver.open(
            name, path: path, transport: { try await self.send($0) }, policy: policy, logger: logger)
        servers[name] = server
        return server
    }

    /// Closes a homeserver, which the others no longer reach.
    func close(_ server: Homeserver) async throws {
        servers[try server.serverName] = nil
        try await server.close()
    }

    /// Closes all that are open.
    func closeAll() async throws {
        for server in servers.values {
            try await close(server)
        }
    }
}

/// Ends the test run if `body` takes longer than a minute. The time limit of the testing library cancels a test, which
/// does not end a wait that ignores cancellation: the very fault that some tests look for.
func withDeadline(_ body: () async throws -> Void) async rethrows {
    let end = DispatchWorkItem { fatalError("a test waited for more than a minute") }
    DispatchQueue.global().asyncAfter(deadline: .now() + 60, execute: end)
    defer { end.cancel() }
    try await body()
}

/// A folder of its own for `body`, removed at its end.
func withFolder(_ body: (URL) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("roomlet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(folder)
}

/// The error of roomlet's that `body` ends with.
func failure(of body: () async throws -> Void) async throws -> RoomletError? {
    do {
        try await body()
        return nil
    } catch let error as RoomletError {
        return error
    }
}

/// The code of the error that `body` ends with, if it is one of roomlet's.
func code(of body: () async throws -> Void) async throws -> Code? {
    try await failure(of: body)?.code
}

extension Homeserver {
    /// Waits for the first update that `wanted` accepts.
    @discardableResult
    func await(_ wanted: (RoomUpdate) -> Bool) async throws -> UpdateEntry {
        try #require(await updates().first { wanted($0.update) })
    }

    /// Waits until users of this server see the event.
    @discardableResult
    func await(event id: String) async throws -> UpdateEntry {
        try await self.await {
            if case .event(let event) = $0 { event.eventId == id } else { false }
        }
    }

    /// Waits until the local user was invited to the room.
    func await(inviteOf user: String, to room: String) async throws {
        try await self.await {
            if case .membership(room, user, "invite", _) = $0 { true } else { false }
        }
    }

    /// The updates after `since` up to and with position `last`.
    func updates(since: UInt64 = 0, through last: UInt64) async throws -> [UpdateEntry] {
        var seen: [UpdateEntry] = []
        for try await entry in updates(since: since) {
            seen.append(entry)
            if entry.pos == last { break }
        }
        return seen
    }

    /// Senders and contents of the messages that the user sees, the oldest first.
    func messages(_ user: String, room: String) async throws -> [String] {
        try await timeline(user, room: room, direction: .forward, limit: 100).events
            .filter { $0.kind == "m.message" }
            .map { "\($0.sender) \($0.content)" }
    }
}

/// The content of a message of one text.
func text(_ body: String) -> String {
    #"{"m.text":[{"body":"\#(body)"}]}"#
}
