import Roomlet

actor Network {
    var servers: [String: Homeserver] = [:]
    func add(_ server: Homeserver) throws { servers[try server.serverName] = server }
}

@main struct Minimal {
    static func main() async throws {
        let network = Network()
        // A real host sends the request by HTTP to `request.destination`.
        let transport: Transport = { try await network.servers[$0.destination]!.handleRequest($0) }
        let one = try await Homeserver.open("one.example", transport: transport)
        let two = try await Homeserver.open("two.example", transport: transport)
        for server in [one, two] { try await network.add(server) }
        let alice = try await one.createAccount("alice")
        let bob = try await two.createAccount("bob")
        let room = try await one.createRoom(alice, name: "First light", invite: [bob])
        try await two.join(bob, room: room)
        let hello = try await one.sendMessage(alice, room: room, body: "hello from alice")
        for try await case .event(let event) in two.updates().map(\.update) where event.eventId == hello {
            return print("\(bob) reads \(event.content)")
        }
    }
}
