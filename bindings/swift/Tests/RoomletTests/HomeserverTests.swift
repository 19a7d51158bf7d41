import Foundation
import Roomlet
import RoomletGenerated
import Testing

/// The create event of a room of another server: an archive of one line.
private let create = """
    {"auth_events":[],"content":{"room_version":"11"},"depth":1,"hashes":{"sha256":"r3d7JIL3rv\
    Xf4MArzCmxgUyRG6fn8lDzgMMXmyIW2k8"},"origin_server_ts":1700000000000,"prev_events":[],"roo\
    m_id":"!q6xDk2CZexjajHiZlF:a.test","sender":"@alice:a.test","signatures":{"a.test":{"ed255\
    19:r017019":"m7ApWbszPJxLg78n2aYNpZ71xSoidk/at1mFAi7kADPhBbjC+HZpogln155XLX2eZ/Avh2HbLtSGy\
    qzxkUJIDg"}},"state_key":"","type":"m.room.create"}
    """

/// One server: its updates, its errors, its end.
@Suite(.timeLimit(.minutes(1)))
struct HomeserverTests {
    let wire = Wire()

    @Test func updatesResumeAfterAPositionAndAreForgotten() async throws {
        let server = try await wire.open("one.example")
        let alice = try await server.createAccount("alice")
        let room = try await server.createRoom(alice)
        let before = try await server.lastUpdate()
        let first = try await server.sendMessage(alice, room: room, body: "1")
        let second = try await server.sendMessage(alice, room: room, body: "2")
        let newest = try await server.lastUpdate()
        let updates = try await server.updates(since: before, through: newest)
        let ids = updates.map { if case .event(let event) = $0.update { event.eventId } else { "\($0)" } }
        #expect(ids == [first, second])
        try await server.trimUpdates(upTo: updates[0].pos)
        #expect(try await server.updates(through: newest) == [updates[1]])
        try await wire.closeAll()
    }

    @Test func pagesOfATimelineMeet() async throws {
        let server = try await wire.open("one.example")
        let alice = try await server.createAccount("alice")
        let room = try await server.createRoom(alice)
        for number in 0..<5 {
            try await server.sendMessage(alice, room: room, body: "\(number)")
        }
        var page = try await server.timeline(alice, room: room, limit: 3)
        var back = page.events
        while let from = page.next {
            page = try await server.timeline(alice, room: room, from: from, limit: 3)
            back += page.events
        }
        let forward = try await server.timeline(alice, room: room, direction: .forward, limit: 100)
        #expect(back.reversed() == forward.events)
        try await wire.closeAll()
    }

    @Test func upgradePointsFromTheOldRoomToTheNewOne() async throws {
        let server = try await wire.open("one.example")
        let alice = try await server.createAccount("alice")
        let bob = try await server.createAccount("bob")
        let room = try await server.createRoom(alice)
        let replaced = try await server.upgradeRoom(alice, room: room, version: "12", additionalCreators: [bob])
        let tombstone = try await server.stateEvent(alice, room: room, kind: "m.room.tombstone")
        #expect(tombstone?.content.contains("\"replacement_room\":\"\(replaced)\"") == true)
        let create = try await server.stateEvent(alice, room: replaced, kind: "m.room.create")
        #expect(create?.content.contains("\"additional_creators\":[\"\(bob)\"]") == true)
        try await wire.closeAll()
    }

    @Test func archiveBecomesARoom() async throws {
        let archive = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).jsonl")
        try create.write(to: archive, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: archive) }
        let server = try await wire.open("one.example")
        let imported = try await server.importRoom(archive, trusted: true)
        #expect(imported.roomId == "!q6xDk2CZexjajHiZlF:a.test")
        #expect(imported.accepted == 1 && imported.leftOut == 0 && imported.firstFault == nil)
        #expect(try await server.importRoom(archive, trusted: true).known == 1)
        let missing = archive.appendingPathExtension("none")
        #expect(try await code { _ = try await server.importRoom(missing) } == .badParam)
        try await wire.closeAll()
    }

    @Test func storeIsPurgedForgottenCheckedAndCopied() async throws {
        let server = try await wire.open("one.example")
        let alice = try await server.createAccount("alice")
        let room = try await server.createRoom(alice)
        var sent: [String] = []
        for number in 0..<5 {
            sent.append(try await server.sendMessage(alice, room: room, body: "\(number)"))
        }
        #expect(try await server.purgeHistory(room: room, from: sent[3]) == 3)
        #expect(try await server.checkStore(repair: true).faults.isEmpty)
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).db")
        #expect(try await code { try await server.backup(to: copy) } == .badParam)
        #expect(try await code { try await server.forgetRoom(room) } == .denied)
        try await server.leave(alice, room: room)
        try await server.forgetRoom(room)
        #expect(try await server.rooms(alice).isEmpty)
        try await wire.closeAll()
    }

    @Test func errorsTellCodeErrcodeAndReason() async throws {
        let server = try await wire.open("one.example")
        let alice = try await server.createAccount("alice")
        let error = try #require(await failure { _ = try await server.rooms("nobody") })
        #expect(error.code == .badId)
        #expect(error.errcode == "M_INVALID_PARAM")
        #expect(error.message == "user id \"nobody\": does not begin with `@`")
        #expect(try await code { _ = try await server.createAccount("alice") } == .exists)
        #expect(try await code { _ = try await server.rooms("@nobody:one.example") } == .unknownUser)
        #expect(try await code { _ = try await server.createRoom(alice, version: "99") } == .unknownRoomVersion)
        let room = try await server.createRoom(alice)
        let sending = try await code {
            try await server.send(alice, room: room, kind: "m.message", content: #"{"a":1.5}"#)
        }
        #expect(sending == .notCanonical)
        try await wire.closeAll()
    }

    @Test func requestOfAStrangerIsAnsweredWithAnError() async throws {
        let server = try await wire.open("one.example")
        let request = Request(
            destination: "one.example", method: "GET", target: "/_matrix/federation/v1/event/%24x",
            authorization: [], body: Data())
        let response = try await server.handleRequest(request)
        #expect(response.status == 401)
        #expect(String(decoding: response.body, as: UTF8.self).contains(#""errcode":"M_UNAUTHORIZED""#))
        try await wire.closeAll()
    }

    @Test(arguments: [(0, 400), (1, 413)])
    func bodyIsReadUpToTheLimit(more: Int, status: UInt16) async throws {
        let server = try await wire.open("one.example")
        let request = Request(
            destination: "one.example", method: "PUT", target: "/_matrix/federation/v1/send/1", authorization: [],
            body: Data(repeating: UInt8(ascii: " "), count: Homeserver.maxRequestBytes + more))
        #expect(try await server.handleRequest(request).status == status)
        try await wire.closeAll()
    }

    @Test func statusThatIsNoneIsAnUnreachableServer() async throws {
        let server = try await Homeserver.open("one.example") { _ in Response(status: 0, body: Data()) }
        let alice = try await server.createAccount("alice")
        let joining = try await code { try await server.join(alice, room: "!x:two.example", via: ["two.example"]) }
        #expect(joining == .unreachable)
        try await server.close()
    }

    @Test func taskThatIsCancelledWhileItOpensHasAServerToClose() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("hs.db").path
            for _ in 0..<20 {
                let opening = Task { try await Homeserver.open("one.example", path: file) { _ in throw Broken() } }
                opening.cancel()
                try await opening.value.close()
            }
        }
    }

    @Test func cancelledTaskEndsItsCommandAndItsRequest() async throws {
        let (asked, asking) = AsyncStream<String>.makeStream()
        let (ended, ending) = AsyncStream<Bool>.makeStream()
        let server = try await Homeserver.open("one.example") { request in
            asking.yield(request.destination)
            let forever = AsyncStream<Never> { _ in }
            for await _ in forever {}
            ending.yield(Task.isCancelled)
            throw Unreachable("given up")
        }
        let alice = try await server.createAccount("alice")
        let joining = Task { try await server.join(alice, room: "!x:two.example", via: ["two.example"]) }
        #expect(await asked.first { _ in true } == "two.example")
        joining.cancel()
        await withDeadline {
            await #expect(throws: CancellationError.self) { try await joining.value }
            #expect(await ended.first { _ in true } == true)
        }
        #expect(try await server.accounts() == [alice])
        try await server.close()
    }

    @Test func cancelledTaskNoLongerWaitsForUpdates() async throws {
        let server = try await wire.open("one.example")
        let newest = try await server.lastUpdate()
        let waiting = Task { try await server.updates(since: newest).first { _ in true } }
        waiting.cancel()
        await withDeadline {
            await #expect(throws: CancellationError.self) { try await waiting.value }
        }
        try await wire.closeAll()
    }

    struct Broken: Error {}

    @Test(arguments: [
        (Unreachable("no way") as any Error, "no way"),
        (Broken(), "the host's transport failed: Broken()"),
        (CancellationError(), "the host's transport failed: CancellationError()"),
    ])
    func transportThatFailsInAnyWayIsAnUnreachableServer(failure: any Error, reason: String) async throws {
        let server = try await Homeserver.open("one.example") { _ in throw failure }
        let alice = try await server.createAccount("alice")
        let error = try #require(
            await RoomletTests.failure { try await server.join(alice, room: "!x:two.example", via: ["two.example"]) })
        #expect(error.code == .unreachable)
        #expect(error.message.hasSuffix("server two.example: \(reason)"))
        try await server.close()
    }

    @Test func closedServerEndsWhatWaitsRefusesTheRestAndClosesAgain() async throws {
        let server = try await wire.open("one.example")
        let newest = try await server.lastUpdate()
        let waiting = Task { try await server.updates(since: newest).first { _ in true } }
        try await withDeadline {
            try await server.close()
            #expect(try await waiting.value == nil)
        }
        try await server.close()
        #expect(try await code { _ = try await server.accounts() } == .closed)
        #expect(try await code { try server.wake() } == .closed)
        #expect(try server.serverName == "one.example")
    }

    @Test func storeInUseOfAnotherServerOrDamagedIsRefused() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("hs.db").path
            let server = try await wire.open("one.example", path: file)
            #expect(try await code { _ = try await wire.open("one.example", path: file) } == .storeLocked)
            try await wire.close(server)
            #expect(try await code { _ = try await wire.open("two.example", path: file) } == .badParam)
            let noise = folder.appendingPathComponent("noise.db")
            try Data(String(repeating: "noise", count: 1000).utf8).write(to: noise)
            #expect(try await code { _ = try await wire.open("one.example", path: noise.path) } == .storeDamaged)
        }
    }

    @Test func codesAreThoseOfTheLibrary() throws {
        let listed = try errorCodes().map { "\($0.number) \($0.name.lowercased())" }
        let here = Code.allCases.filter { $0 != .other }.map { "\($0.rawValue) \("\($0)".lowercased())" }
        #expect(here == listed)
    }

    @Test func defaultLimitsAreThoseOfTheLibrary() throws {
        #expect(try Limits() == defaultLimits())
    }
}
