import Foundation
import RoomletGenerated

extension Homeserver {
    /// Makes a room and gives its id; an invite that another server or the host refuses fails alone, and nothing tells of it
    /// but the members and the log: to have its error, make the room without it and call ``invite(_:room:target:reason:)``.
    ///
    /// - Parameters:
    ///   - version: The room version; without one `Limits.defaultRoomVersion`.
    ///   - type: The type in the room's create event, as `m.space`.
    ///   - invite: Users who are invited before it returns.
    ///   - isDirect: Marks these invites as to a direct chat.
    ///   - additionalCreators: Users who are creators too (room versions from 12).
    /// - Throws: ``Code/unknownUser``, also for an invited user of this server who is no account;
    ///   ``Code/unknownRoomVersion``.
    public func createRoom(
        _ userId: String,
        preset: Preset = .private,
        version: String? = nil,
        name: String? = nil,
        topic: String? = nil,
        type: String? = nil,
        invite: [String] = [],
        isDirect: Bool = false,
        additionalCreators: [String] = []
    ) async throws -> String {
        let options = CreateRoom(
            preset: preset, version: version, name: name, topic: topic, roomType: type, invite: invite,
            isDirect: isDirect, additionalCreators: additionalCreators)
        return try await cancellable { try await $0.createRoom(userId: userId, options: options) }
    }

    /// Replaces a room by a new one of `version`, higher or lower, and gives the new room's id.
    ///
    /// The new room takes over what the old one says of itself, and no members; the old one gets a tombstone that points
    /// to it.
    ///
    /// - Parameter additionalCreators: Users who are creators too (room versions from 12).
    /// - Throws: ``Code/denied``, ``Code/unknownRoomVersion``, ``Code/badParam``.
    public func upgradeRoom(
        _ userId: String, room: String, version: String, additionalCreators: [String] = []
    ) async throws -> String {
        try await cancellable {
            try await $0.upgradeRoom(
                userId: userId, roomId: room, version: version, additionalCreators: additionalCreators)
        }
    }

    /// Takes a whole room from a file of its events in federation form: one a line, the create event first and others
    /// after those that they cite.
    ///
    /// All rules hold. An import that ended early can be repeated.
    ///
    /// - Parameter trusted: The signatures alone are taken as right.
    /// - Throws: ``Code/badParam`` for a file that cannot be read or is no archive.
    public func importRoom(_ archive: URL, trusted: Bool = false) async throws -> ImportReport {
        try await cancellable { try await $0.importRoom(archive: archive.path, trusted: trusted) }
    }

    /// Deletes what came before the event `from` in the room's timeline, gives the disk space back, and tells how many
    /// events that was. What the rest needs stays, and what is still to be delivered.
    ///
    /// - Throws: ``Code/unknownEvent``.
    @discardableResult
    public func purgeHistory(room: String, from: String) async throws -> UInt64 {
        try await cancellable { try await $0.purgeHistory(roomId: room, from: from) }
    }

    /// Deletes all there is of a room, pending invites too, and gives the disk space back; what other servers are still owed
    /// of it goes out all the same.
    ///
    /// - Throws: ``Code/denied`` while a user of this server is in it.
    public func forgetRoom(_ room: String) async throws {
        try await cancellable { try await $0.forgetRoom(roomId: room) }
    }

    /// Reads all that is stored, and reports what does not fit together. Commands on a room wait while it is looked at.
    ///
    /// - Parameter repair: What follows from other things is put right, and events that cannot be read are deleted, so that
    ///   the rest of their rooms can be used: make a copy of the file first, if somebody may want to look at them.
    public func checkStore(repair: Bool = false) async throws -> StoreReport {
        try await cancellable { try await $0.checkStore(repair: repair) }
    }

    /// Writes a copy of the store, as it is at one moment, to a new file; commands go on meanwhile.
    ///
    /// - Throws: ``Code/badParam`` if there is such a file, or if the store is in memory.
    public func backup(to file: URL) async throws {
        try await cancellable { try await $0.backup(path: file.path) }
    }

    /// Invites `target` and gives the id of the event.
    ///
    /// - Throws: ``Code/notJoined``, ``Code/denied``; ``Code/unreachable`` or ``Code/remote`` where the server of
    ///   `target` could not be asked or refused.
    @discardableResult
    public func invite(_ userId: String, room: String, target: String, reason: String? = nil) async throws -> String {
        try await cancellable { try await $0.invite(userId: userId, roomId: room, target: target, reason: reason) }
    }

    /// Joins and gives the id of the event; through one of the servers `via` if this server is not in the room (the
    /// server that sent an invite is asked too).
    ///
    /// - Throws: ``Code/denied``, ``Code/unknownRoom``, ``Code/unreachable``, ``Code/remote``.
    @discardableResult
    public func join(_ userId: String, room: String, via: [String] = []) async throws -> String {
        try await cancellable { try await $0.join(userId: userId, roomId: room, via: via) }
    }

    /// Leaves, rejects an invite or retracts a knock, and gives the id of the event; `nil` where the server of
    /// an invite's sender could not be reached, or refused, and the invite was only dropped here.
    ///
    /// - Throws: ``Code/notJoined``.
    @discardableResult
    public func leave(_ userId: String, room: String, reason: String? = nil) async throws -> String? {
        try await cancellable { try await $0.leave(userId: userId, roomId: room, reason: reason) }
    }

    /// Kicks `target` and gives the id of the event.
    ///
    /// - Throws: ``Code/notJoined``, ``Code/denied``; ``Code/badParam`` if `target` is not there.
    @discardableResult
    public func kick(_ userId: String, room: String, target: String, reason: String? = nil) async throws -> String {
        try await cancellable { try await $0.kick(userId: userId, roomId: room, target: target, reason: reason) }
    }

    /// Bans `target` and gives the id of the event.
    ///
    /// - Throws: ``Code/notJoined``, ``Code/denied``.
    @discardableResult
    public func ban(_ userId: String, room: String, target: String, reason: String? = nil) async throws -> String {
        try await cancellable { try await $0.ban(userId: userId, roomId: room, target: target, reason: reason) }
    }

    /// Lifts the ban of `target` and gives the id of the event.
    ///
    /// - Throws: ``Code/notJoined``, ``Code/denied``; ``Code/badParam`` if there is none.
    @discardableResult
    public func unban(_ userId: String, room: String, target: String, reason: String? = nil) async throws -> String {
        try await cancellable { try await $0.unban(userId: userId, roomId: room, target: target, reason: reason) }
    }

    /// Sends an event of type `kind` whose `content` is a JSON object, and gives its id.
    ///
    /// The same `txnId` of the same user in the same room gives the same event id, which makes a retry safe, whichever
    /// command it was given with: this, `setState` or `redact`.
    ///
    /// - Throws: ``Code/notJoined``, ``Code/denied`` (the message names the rule); ``Code/badParam`` for a type that the
    ///   room's version retired or that has a command of its own; ``Code/tooLarge``, ``Code/badJson``,
    ///   ``Code/notCanonical``.
    @discardableResult
    public func send(
        _ userId: String, room: String, kind: String, content: String, txnId: String? = nil
    ) async throws -> String {
        try await cancellable {
            try await $0.send(userId: userId, roomId: room, kind: kind, content: content, txnId: txnId)
        }
    }

    /// Sends a text message in the form that the room's version asks for; else as
    /// ``send(_:room:kind:content:txnId:)``.
    @discardableResult
    public func sendMessage(_ userId: String, room: String, body: String, txnId: String? = nil) async throws -> String {
        let create = try await stateEvent(userId, room: room, kind: "m.room.create")
        let version = try create.flatMap { event in
            try JSONDecoder().decode(CreateContent.self, from: Data(event.content.utf8)).roomVersion
        }
        if contentBlockVersions.contains(version ?? "") {
            return try await send(
                userId, room: room, kind: "m.message", content: json(BlockMessage(text: [.init(body: body)])), txnId: txnId)
        }
        return try await send(
            userId, room: room, kind: "m.room.message", content: json(TextMessage(body: body)), txnId: txnId)
    }

    /// Sends a state event; else as ``send(_:room:kind:content:txnId:)``.
    @discardableResult
    public func setState(
        _ userId: String, room: String, kind: String, stateKey: String = "", content: String, txnId: String? = nil
    ) async throws -> String {
        try await cancellable {
            try await $0.setState(
                userId: userId, roomId: room, kind: kind, stateKey: stateKey, content: content, txnId: txnId)
        }
    }

    /// Redacts an event and gives the id of the redaction.
    ///
    /// - Throws: ``Code/unknownEvent``; else as ``send(_:room:kind:content:txnId:)``.
    @discardableResult
    public func redact(
        _ userId: String, room: String, event: String, reason: String? = nil, txnId: String? = nil
    ) async throws -> String {
        try await cancellable {
            try await $0.redact(userId: userId, roomId: room, eventId: event, reason: reason, txnId: txnId)
        }
    }

    /// A page of up to `limit` events (at least 1 and at most 1,000) of the timeline as the user may see it, from the token
    /// `next` of another page; without one from the newest event backward, or from the oldest forward. Backward, other
    /// servers are asked where the local history ends.
    ///
    /// - Throws: ``Code/notJoined``; ``Code/badParam`` for a token that is none.
    public func timeline(
        _ userId: String, room: String, from: String? = nil, direction: Direction = .backward, limit: UInt32 = 50
    ) async throws -> Page {
        try await cancellable {
            try await $0.timeline(userId: userId, roomId: room, fromToken: from, direction: direction, limit: limit)
        }
    }

    /// One event.
    ///
    /// - Throws: ``Code/notJoined``, ``Code/unknownEvent``.
    public func event(_ userId: String, room: String, event: String) async throws -> RoomEvent {
        try await cancellable { try await $0.event(userId: userId, roomId: room, eventId: event) }
    }

    /// The current state (what it was at the end, for a user who left), by type and state key.
    ///
    /// - Throws: ``Code/notJoined``.
    public func state(_ userId: String, room: String) async throws -> [RoomEvent] {
        try await cancellable { try await $0.state(userId: userId, roomId: room) }
    }

    /// One event of the current state; `nil` if there is no such state.
    ///
    /// - Throws: ``Code/notJoined``.
    public func stateEvent(
        _ userId: String, room: String, kind: String, stateKey: String = ""
    ) async throws -> RoomEvent? {
        try await cancellable {
            try await $0.stateEvent(userId: userId, roomId: room, kind: kind, stateKey: stateKey)
        }
    }

    /// The members, all or with one `membership`, by user id.
    ///
    /// - Throws: ``Code/notJoined``.
    public func members(_ userId: String, room: String, membership: String? = nil) async throws -> [Member] {
        try await cancellable { try await $0.members(userId: userId, roomId: room, membership: membership) }
    }

    /// The user's rooms and invites, by room id.
    ///
    /// - Throws: ``Code/unknownUser``.
    public func rooms(_ userId: String) async throws -> [RoomSummary] {
        try await cancellable { try await $0.rooms(userId: userId) }
    }

    /// The stripped state that came with a pending invite, as a JSON array: what the inviting server says, verified by
    /// nobody.
    ///
    /// - Throws: ``Code/notFound`` without an invite.
    public func invitePreview(_ userId: String, room: String) async throws -> String {
        try await cancellable { try await $0.invitePreview(userId: userId, roomId: room) }
    }
}

/// Room versions whose messages are made of content blocks; `m.room.message` is banned there.
private let contentBlockVersions: Set<String> = ["I.1", "org.matrix.msc1767.10"]

/// What matters here of the content of `m.room.create`.
private struct CreateContent: Decodable {
    let roomVersion: String?

    enum CodingKeys: String, CodingKey {
        case roomVersion = "room_version"
    }
}

/// The content of a text message made of content blocks.
private struct BlockMessage: Encodable {
    struct Text: Encodable {
        let body: String
    }

    let text: [Text]

    enum CodingKeys: String, CodingKey {
        case text = "m.text"
    }
}

/// The content of a text message of the older room versions.
private struct TextMessage: Encodable {
    let msgtype = "m.text"
    let body: String
}

private func json(_ content: some Encodable) throws -> String {
    String(decoding: try JSONEncoder().encode(content), as: UTF8.self)
}
