import Foundation
import Testing

/// The program of the README, built from `Examples/Minimal.swift`.
@Suite struct MinimalTests {
    @Test func minimalProgramPrintsTheMessageThatCrossed() throws {
        let program = Process()
        program.executableURL = Bundle.main.bundleURL.appendingPathComponent("Minimal")
        let printed = Pipe()
        program.standardOutput = printed
        try program.run()
        let output = printed.fileHandleForReading.readDataToEndOfFile()
        program.waitUntilExit()
        #expect(program.terminationStatus == 0)
        #expect(String(decoding: output, as: UTF8.self) == "@bob:two.example reads \(text("hello from alice"))\n")
    }
}
