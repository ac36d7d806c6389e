// SPDX-License-Identifier: Apache-2.0
import Testing

/// Starts one development node for all tests of a suite, and stops it after the last, whatever they did.
struct DevNodeTrait: SuiteTrait, TestScoping {
    let options: [String]

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let node = try Node.dev(options)
        defer { _ = try? node.stop() }
        try await Node.$shared.withValue(node) { try await function() }
    }
}

/// As `DevNodeTrait`, but a node of `claviger serve` with as much time for a request as a debug build may need on a
/// machine that others use as well. For suites whose many requests must all succeed, and that do not ask how fast.
struct PatientNodeTrait: SuiteTrait, TestScoping {
    /// Time for a request, seconds. An attempt at one HSM has no more than by default, so that another is asked as soon.
    static let deadline = 2.0
    let plaintext: Bool

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let dev = try Node.dev(plaintext ? ["--plaintext"] : [])
        try dev.stop()
        var configuration = try ServeConfiguration(from: dev, plaintext: plaintext)
        configuration.set("request_deadline", "\"\(Int(Self.deadline))s\"", in: "[xks]")
        let node = try Node.serve(configuration)
        defer { _ = try? node.stop() }
        try await Node.$shared.withValue(node) { try await function() }
    }
}

extension SuiteTrait where Self == DevNodeTrait {
    /// A node with these options of `claviger dev`; tests find it in `sharedNode()`.
    static func devNode(_ options: String...) -> Self { DevNodeTrait(options: options) }
}

extension SuiteTrait where Self == PatientNodeTrait {
    static func patientNode(plaintext: Bool) -> Self { PatientNodeTrait(plaintext: plaintext) }
}

func sharedNode() throws -> Node {
    guard let node = Node.shared else { throw HarnessError("this suite has no node") }
    return node
}
