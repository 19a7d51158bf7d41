import RoomletGenerated

/// What the authorization rules say of an event.
public typealias Verdict = RoomletGenerated.Verdict

/// Type and state key of a state event.
public typealias StateType = RoomletGenerated.StateType

/// What an identifier names.
public typealias IdKind = RoomletGenerated.IdKind

/// An identifier in its parts.
public typealias ParsedId = RoomletGenerated.ParsedId

/// What a room version can do.
public typealias RoomVersionInfo = RoomletGenerated.RoomVersionInfo

/// The primitives of Matrix rooms without a homeserver: JSON, signatures, events, authorization, state resolution,
/// identifiers, room versions.
///
/// Functions without state, for any thread; events are JSON in federation form. What is wrong throws ``RoomletError``.
public enum Toolkit {
    /// The canonical form of a JSON value. Throws ``Code/badJson``, ``Code/notCanonical``.
    public static func canonicalJson(_ json: String) throws -> String {
        try translated { try RoomletGenerated.canonicalJson(json: json) }
    }

    /// The public key of a signing key, both in unpadded base64; `seed` is its 32 bytes. Throws ``Code/badParam``.
    public static func publicKey(_ seed: String) throws -> String {
        try translated { try RoomletGenerated.publicKey(seed: seed) }
    }

    /// The object with the signature of `server` beside those that it has.
    public static func signJson(_ json: String, server: String, keyId: String, seed: String) throws -> String {
        try translated { try RoomletGenerated.signJson(object: json, server: server, keyId: keyId, seed: seed) }
    }

    /// Checks the signature of `server`. Throws ``Code/missingSignature``, ``Code/badSignature``.
    public static func verifyJson(_ json: String, server: String, keyId: String, publicKey: String) throws {
        try translated { try RoomletGenerated.verifyJson(object: json, server: server, keyId: keyId, publicKey: publicKey) }
    }

    /// The content hash of an event, as `hashes.sha256` has it.
    public static func contentHash(_ event: String) throws -> String {
        try translated { try RoomletGenerated.contentHash(event: event) }
    }

    /// The id of an event of a room of this version.
    public static func eventId(_ event: String, version: String) throws -> String {
        try translated { try RoomletGenerated.eventId(event: event, version: version) }
    }

    /// What is left of an event after a redaction.
    public static func redact(_ event: String, version: String) throws -> String {
        try translated { try RoomletGenerated.redact(event: event, version: version) }
    }

    /// The servers whose signatures an event needs.
    public static func requiredSigners(_ event: String, version: String) throws -> [String] {
        try translated { try RoomletGenerated.requiredSigners(event: event, version: version) }
    }

    /// Checks the form of an event; neither hash nor signatures. What it throws names field and rule.
    public static func checkEvent(_ event: String, version: String) throws {
        try translated { try RoomletGenerated.checkEvent(event: event, version: version) }
    }

    /// The event with its content hash and the signature of `server`.
    public static func signEvent(
        _ event: String, version: String, server: String, keyId: String, seed: String
    ) throws -> String {
        try translated { try RoomletGenerated.signEvent(event: event, version: version, server: server, keyId: keyId, seed: seed) }
    }

    /// Checks the signatures that an event needs, and its content hash; gives the event, or its redacted form if the
    /// hash does not fit. `keys` is a JSON object by server, then by key id, of public keys in base64.
    public static func verifyEvent(_ event: String, version: String, keys: String) throws -> String {
        try translated { try RoomletGenerated.verifyEvent(event: event, version: version, keys: keys) }
    }

    /// Whether an event is allowed by its own auth events, which are given. Neither hashes nor signatures are looked
    /// at.
    public static func checkAuthEvents(_ event: String, authEvents: [String], version: String) throws -> Verdict {
        try translated { try RoomletGenerated.checkAuthEvents(event: event, authEvents: authEvents, version: version) }
    }

    /// Whether an event is allowed in the state of these events; else as `checkAuthEvents`.
    public static func checkAuth(_ event: String, state: [String], version: String) throws -> Verdict {
        try translated { try RoomletGenerated.checkAuth(event: event, state: state, version: version) }
    }

    /// Type and state key of the state events that an event has to cite; it need not be finished.
    public static func authTypes(_ event: String, version: String) throws -> [StateType] {
        try translated { try RoomletGenerated.authTypes(event: event, version: version) }
    }

    /// The ids of those events of `state` that an event has to cite.
    public static func selectAuthEvents(_ event: String, state: [String], version: String) throws -> [String] {
        try translated { try RoomletGenerated.selectAuthEvents(event: event, state: state, version: version) }
    }

    /// The ids of the events of the state that several states resolve to. Each of `states` is given by the ids of its
    /// events; `events` has these and their auth chains.
    public static func resolveState(_ version: String, states: [[String]], events: [String]) throws -> [String] {
        try translated { try RoomletGenerated.resolveState(version: version, states: states, events: events) }
    }

    /// Checks an identifier by the grammar of its kind and takes it apart. Throws ``Code/badId``, with the rule.
    public static func parseId(_ kind: IdKind, text: String) throws -> ParsedId {
        try translated { try RoomletGenerated.parseId(kind: kind, text: text) }
    }

    /// The names of all room versions.
    public static func roomVersions() throws -> [String] {
        try translated { try RoomletGenerated.roomVersions() }
    }

    /// What a room version can do. Throws ``Code/unknownRoomVersion``.
    public static func roomVersion(_ id: String) throws -> RoomVersionInfo {
        try translated { try RoomletGenerated.roomVersion(id: id) }
    }

    /// As `resolveState`; `source` gives the events of ids when they are needed. What it throws comes out again.
    public static func resolveStateFrom(
        _ version: String, states: [[String]], source: @escaping ([String]) throws -> [String]
    ) throws -> [String] {
        let adapter = SourceAdapter(source)
        do {
            return try translated {
                try RoomletGenerated.resolveStateFrom(version: version, states: states, source: adapter)
            }
        } catch {
            throw adapter.thrown ?? error
        }
    }
}

/// What the library calls for a source of events; it stays on one thread.
private final class SourceAdapter: RoomletGenerated.EventSource, @unchecked Sendable {
    private let source: ([String]) throws -> [String]
    var thrown: (any Error)?

    init(_ source: @escaping ([String]) throws -> [String]) {
        self.source = source
    }

    func events(ids: [String]) throws -> [String] {
        do {
            return try source(ids)
        } catch {
            thrown = error
            throw RoomletGenerated.HostError.Failed(reason: "\(error)")
        }
    }
}
