import Foundation
import Roomlet
import Testing

/// Two servers in one process, wired by callbacks.
@Suite(.timeLimit(.minutes(1)))
struct TwoServersTests {
    let wire = Wire()

    @Test func twoServersInviteTalkRedactAndRememberAfterARestart() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("two.db").path
            let one = try await wire.open("one.example", path: folder.appendingPathComponent("one.db").path)
            var two = try await wire.open("two.example", path: file)
            let alice = try await one.createAccount("alice")
            let bob = try await two.createAccount("bob")
            #expect([alice, bob] == ["@alice:one.example", "@bob:two.example"])

            let room = try await one.createRoom(alice, name: "Tea", topic: "Leaves")
            try await one.invite(alice, room: room, target: bob, reason: "come in")
            try await two.await(inviteOf: bob, to: room)
            #expect(try await two.rooms(bob) == [RoomSummary(roomId: room, membership: "invite")])
            #expect(try await two.invitePreview(bob, room: room).contains(#""content":{"name":"Tea"}"#))
            try await one.await(event: two.join(bob, room: room))

            let hello = try await one.send(alice, room: room, kind: "m.message", content: text("hello"))
            try await two.await(event: hello)
            let answer = try await two.sendMessage(bob, room: room, body: #"good "morning""#, txnId: "1")
            #expect(try await two.sendMessage(bob, room: room, body: #"good "morning""#, txnId: "1") == answer)
            try await one.await(event: answer)
            let morning = "\(bob) \(text(#"good \"morning\""#))"
            #expect(try await one.messages(alice, room: room) == ["\(alice) \(text("hello"))", morning])
            #expect(try await two.messages(bob, room: room) == ["\(alice) \(text("hello"))", morning])

            let redaction = try await one.redact(alice, room: room, event: hello, reason: "typo")
            try await two.await { $0 == .redacted(roomId: room, eventId: hello, redactedBy: redaction) }
            let redacted = try await two.event(bob, room: room, event: hello)
            #expect(redacted.content == "{}")
            #expect(redacted.redactedBy == redaction)

            try await wire.close(two)
            let late = try await one.sendMessage(alice, room: room, body: "are you there?")
            let state = try await one.state(alice, room: room)
            two = try await wire.open("two.example", path: file)
            try one.wake()
            try await two.await(event: late)
            #expect(try await two.accounts() == [bob])
            let said = ["\(alice) {}", morning, "\(alice) \(text("are you there?"))"]
            #expect(try await two.messages(bob, room: room) == said)
            #expect(try await two.state(bob, room: room) == state)
            try await wire.closeAll()
        }
    }

    @Test func membersComeAndGoByTheRulesOfTheRoom() async throws {
        let one = try await wire.open("one.example")
        let two = try await wire.open("two.example")
        let alice = try await one.createAccount("alice")
        let bob = try await two.createAccount("bob")
        let room = try await one.createRoom(alice, preset: .public, version: "10")
        try await two.join(bob, room: room, via: ["one.example"])
        let both = [Member(userId: alice, membership: "join"), Member(userId: bob, membership: "join")]
        #expect(try await two.members(bob, room: room) == both)
        let greeting = try await two.event(
            bob, room: room, event: two.sendMessage(bob, room: room, body: "hello"))
        #expect(greeting.kind == "m.room.message")
        #expect(greeting.content == #"{"body":"hello","msgtype":"m.text"}"#)

        let topic = #"{"topic":"Leaves"}"#
        try await two.await(event: one.setState(alice, room: room, kind: "m.room.topic", content: topic))
        #expect(try await two.stateEvent(bob, room: room, kind: "m.room.topic")?.content == topic)
        #expect(try await two.stateEvent(bob, room: room, kind: "m.room.topic", stateKey: "other") == nil)

        #expect(try await code { try await two.kick(bob, room: room, target: alice) } == .denied)
        try await two.await(event: one.ban(alice, room: room, target: bob, reason: "noise"))
        #expect(try await code { try await two.sendMessage(bob, room: room, body: "but") } == .notJoined)
        try await one.unban(alice, room: room, target: bob)
        try await two.join(bob, room: room, via: ["one.example"])
        try await two.await(event: one.kick(alice, room: room, target: bob))
        try await one.invite(alice, room: room, target: bob)
        try await two.await(inviteOf: bob, to: room)
        #expect(try await two.leave(bob, room: room) != nil)
        #expect(try await one.members(alice, room: room, membership: "join") == [both[0]])
        try await wire.closeAll()
    }

    /// Writes down what it is asked, and refuses eve and `x.refused`.
    struct Judge: Policy {
        let asked = Lines()

        func acceptJoin(roomId: String, userId: String) async throws -> Bool {
            asked.add(.info, "join \(roomId) \(userId)")
            return !userId.hasPrefix("@eve:")
        }

        func acceptRequest(origin: String, method: String, target: String) async throws -> Bool {
            asked.add(.info, "request \(origin) \(method) \(target.prefix(20))")
            return true
        }

        func acceptEvent(roomId: String, eventId: String, sender: String, kind: String) async throws -> Bool {
            asked.add(.info, "event \(roomId) \(eventId) \(sender) \(kind)")
            return kind != "x.refused"
        }
    }

    @Test func policyIsAskedAboutJoinsRequestsAndEvents() async throws {
        let judge = Judge()
        let one = try await wire.open("one.example")
        let two = try await wire.open("two.example", policy: judge)
        let alice = try await one.createAccount("alice")
        let eve = try await one.createAccount("eve")
        let bob = try await two.createAccount("bob")
        let room = try await two.createRoom(bob, preset: .public)
        #expect(try await code { try await one.join(eve, room: room, via: ["two.example"]) } == .remote)
        try await one.join(alice, room: room, via: ["two.example"])
        let refused = try await one.send(alice, room: room, kind: "x.refused", content: "{}")
        let taken = try await one.send(alice, room: room, kind: "x.taken", content: "{}")
        try await two.await(event: taken)
        #expect(try await code { _ = try await two.event(bob, room: room, event: refused) } == .unknownEvent)
        let wanted = [
            "info join \(room) \(eve)",
            "info join \(room) \(alice)",
            "info request one.example PUT /_matrix/federation/",
            "info event \(room) \(refused) \(alice) x.refused",
            "info event \(room) \(taken) \(alice) x.taken",
        ]
        #expect(Set(wanted).isSubset(of: judge.asked.all))
        try await wire.closeAll()
    }

    /// Refuses carol and fails on dave.
    struct Choosy: Policy {
        func acceptInvite(roomId: String, sender: String, invitee: String) async throws -> Bool {
            if invitee.hasPrefix("@dave:") { throw NoOpinion() }
            return !invitee.hasPrefix("@carol:")
        }
    }

    struct NoOpinion: Error {}

    @Test func policyOfTheHostDecidesAndRefusesWhenItFails() async throws {
        let lines = Lines()
        let one = try await wire.open("one.example")
        let two = try await wire.open("two.example", policy: Choosy(), logger: { lines.add($0, $1) })
        let alice = try await one.createAccount("alice")
        let room = try await one.createRoom(alice)
        for name in ["bob", "carol", "dave"] {
            _ = try await two.createAccount(name)
        }
        try await one.invite(alice, room: room, target: "@bob:two.example")
        for refused in ["@carol:two.example", "@dave:two.example"] {
            #expect(try await code { try await one.invite(alice, room: room, target: refused) } == .remote)
            #expect(try await two.rooms(refused) == [])
        }
        #expect(try await two.rooms("@bob:two.example") == [RoomSummary(roomId: room, membership: "invite")])
        try await wire.closeAll()
        #expect(
            lines.all == [
                "info server two.example: open",
                "error the host's accept_invite failed, which refuses: NoOpinion()",
                "info server two.example: closed",
            ])
    }
}

/// Lines of a log.
final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []

    func add(_ level: LogLevel, _ line: String) {
        lock.withLock { lines.append("\(level) \(line)") }
    }

    var all: [String] { lock.withLock { lines } }
}
