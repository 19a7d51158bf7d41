import RoomletGenerated

/// The updates of a homeserver: see ``Homeserver/updates(since:)``.
public struct Updates: AsyncSequence, Sendable {
    public typealias Element = UpdateEntry

    /// Updates asked for at once.
    private static let batch: UInt32 = 100

    let homeserver: Homeserver
    let since: UInt64

    public func makeAsyncIterator() -> Iterator {
        Iterator(homeserver: homeserver, handled: since)
    }

    /// One reader of the updates.
    public struct Iterator: AsyncIteratorProtocol {
        private let homeserver: Homeserver
        private var handled: UInt64
        private var waiting: ArraySlice<UpdateEntry> = []

        init(homeserver: Homeserver, handled: UInt64) {
            self.homeserver = homeserver
            self.handled = handled
        }

        /// Waits for the next update; `nil` once the homeserver is closed.
        public mutating func next() async throws -> UpdateEntry? {
            if waiting.isEmpty {
                do {
                    waiting = try await homeserver.nextUpdates(since: handled, limit: batch)[...]
                } catch let error as RoomletError where error.code == .closed {
                    return nil
                }
            }
            let entry = waiting.removeFirst()
            handled = entry.pos
            return entry
        }
    }
}
