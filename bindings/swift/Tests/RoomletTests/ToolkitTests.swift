import Foundation
import Roomlet
import Testing

private let seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
private let publicKey = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"

/// The toolkit: functions without a server.
@Suite struct ToolkitTests {
    @Test func exampleOfTheDocumentation() throws {
        let create = """
            {"type":"m.room.create","state_key":"","sender":"@a:domain","room_id":"!x:domain","content":{},
            "prev_events":[],"auth_events":[],"depth":1,"origin_server_ts":1}
            """
        let event = try Toolkit.signEvent(
            create, version: "11", server: "domain", keyId: "ed25519:1", seed: "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1")
        let id = try Toolkit.eventId(event, version: "11")
        let verdict = try Toolkit.checkAuthEvents(event, authEvents: [], version: "11")
        #expect(id.count == 44)
        #expect(verdict == Verdict(isAllowed: true, rule: nil, about: nil))
    }

    /// An event of a room of version 11, signed.
    private func event(_ kind: String, key: String = "", content: String = "{}", cites: [String] = [], time: Int) throws -> String {
        let auth = cites.map { "\"\($0)\"" }.joined(separator: ",")
        let json = """
            {"type":"\(kind)","state_key":"\(key)","sender":"@a:domain","room_id":"!x:domain","content":\(content),
            "prev_events":[],"auth_events":[\(auth)],"depth":1,"origin_server_ts":\(time)}
            """
        return try Toolkit.signEvent(json, version: "11", server: "domain", keyId: "ed25519:1", seed: seed)
    }

    private func code(_ body: () throws -> Void) -> Code? {
        do {
            try body()
            return nil
        } catch let error as RoomletError {
            return error.code
        } catch {
            return nil
        }
    }

    @Test func jsonAndEventsAreSignedAndChecked() throws {
        #expect(try Toolkit.canonicalJson(#"{ "b": 1, "a": [] }"#) == #"{"a":[],"b":1}"#)
        #expect(try Toolkit.publicKey(seed) == publicKey)
        let signed = try Toolkit.signJson(#"{"two":"Two","one":1}"#, server: "domain", keyId: "ed25519:1", seed: seed)
        try Toolkit.verifyJson(signed, server: "domain", keyId: "ed25519:1", publicKey: publicKey)
        let unsigned = code {
            try Toolkit.verifyJson("{}", server: "domain", keyId: "ed25519:1", publicKey: publicKey)
        }
        #expect(unsigned == .missingSignature)
        let name = try event("m.room.name", time: 1)
        try Toolkit.checkEvent(name, version: "11")
        #expect(code { try Toolkit.checkEvent("{}", version: "11") } == .badEvent)
        let keys = #"{"domain":{"ed25519:1":"\#(publicKey)"}}"#
        #expect(try Toolkit.verifyEvent(name, version: "11", keys: keys) == name)
        #expect(try Toolkit.requiredSigners(name, version: "11") == ["domain"])
        #expect(try Toolkit.contentHash("{}") == "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o")
        let redacted = try Toolkit.redact(#"{"type":"x","content":{"a":1}}"#, version: "11")
        #expect(redacted == #"{"content":{},"type":"x"}"#)
    }

    @Test func eventsAreJudgedAndStatesResolved() throws {
        let create = try event("m.room.create", time: 1)
        let createId = try Toolkit.eventId(create, version: "11")
        let join = try event(
            "m.room.member", key: "@a:domain", content: #"{"membership":"join"}"#, cites: [createId], time: 2)
        let both = [createId, try Toolkit.eventId(join, version: "11")]
        let topics = try [3, 4].map { try event("m.room.topic", content: "{}", cites: both, time: $0) }
        #expect(try Toolkit.checkAuthEvents(topics[0], authEvents: [create, join], version: "11").isAllowed)
        #expect(try Toolkit.checkAuth(topics[0], state: [create], version: "11").rule == "AUTH-17")
        #expect(try Toolkit.authTypes(topics[0], version: "11").first?.kind == "m.room.create")
        #expect(try Toolkit.selectAuthEvents(topics[0], state: [create, join], version: "11") == both)

        let states = try topics.map { both + [try Toolkit.eventId($0, version: "11")] }
        let events = [create, join] + topics
        let resolved = try Toolkit.resolveState("11", states: states, events: events)
        #expect(resolved.sorted() == states[1].sorted())
        let byId = Dictionary(uniqueKeysWithValues: try events.map { (try Toolkit.eventId($0, version: "11"), $0) })
        let fromSource = try Toolkit.resolveStateFrom("11", states: states) { ids in ids.compactMap { byId[$0] } }
        #expect(fromSource == resolved)
        #expect(throws: CancellationError.self) {
            try Toolkit.resolveStateFrom("11", states: states) { _ in throw CancellationError() }
        }
        let nothing = code { _ = try Toolkit.resolveStateFrom("11", states: states) { _ in [] } }
        #expect(nothing == .unknownEvent)
    }

    @Test func identifiersAndVersionsAreKnown() throws {
        #expect(try Toolkit.parseId(.user, text: "@a:b:80") == ParsedId(local: "a", server: "b:80", host: "b", port: 80))
        #expect(code { _ = try Toolkit.parseId(.room, text: "@a:b") } == .badId)
        #expect(try Toolkit.roomVersions().count == 14)
        #expect(try Toolkit.roomVersion("12").stateResolution == "2.1")
    }
}
