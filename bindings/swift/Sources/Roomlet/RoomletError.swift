import Foundation
import RoomletGenerated

/// What every operation throws, except for the `CancellationError` of a cancelled task.
public struct RoomletError: Error, Hashable, Sendable, LocalizedError, CustomStringConvertible {
    /// What went wrong.
    public let code: Code
    /// The Matrix errcode of it, as `M_FORBIDDEN`.
    public let errcode: String
    /// What was wrong with which thing, for people.
    public let message: String

    public var description: String { "\(message) (\(errcode), \(code))" }

    public var errorDescription: String? { message }

    init(_ error: RoomletGenerated.RoomletError) {
        switch error {
        case .Failed(let code, let errcode, let about):
            self.code = Code(rawValue: code) ?? .other
            self.errcode = errcode
            message = about
        }
    }
}

/// Why a transport has no response.
public struct Unreachable: Error, Hashable, Sendable {
    /// What happened, for people: it becomes part of the operation's error.
    public let reason: String

    /// An error with this reason.
    public init(_ reason: String) {
        self.reason = reason
    }
}

/// Runs `body` with the library's errors turned into ``RoomletError``.
func translated<T>(_ body: () throws -> T) throws -> T {
    do {
        return try body()
    } catch let error as RoomletGenerated.RoomletError {
        throw RoomletError(error)
    }
}

/// As the other, for what waits.
func translated<T>(isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> sending T) async throws -> sending T {
    do {
        return try await body()
    } catch let error as RoomletGenerated.RoomletError {
        throw RoomletError(error)
    }
}
