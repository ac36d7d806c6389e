// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A value that some threads change and others wait for.
///
/// `@unchecked Sendable`: `value` is touched only while `condition` is locked.
final class Observed<Value>: @unchecked Sendable {
    private let condition = NSCondition()
    private var value: Value

    init(_ value: Value) { self.value = value }

    @discardableResult
    func update<Result>(_ change: (inout Value) throws -> Result) rethrows -> Result {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return try change(&value)
    }

    func read<Result>(_ body: (Value) throws -> Result) rethrows -> Result {
        condition.lock()
        defer { condition.unlock() }
        return try body(value)
    }

    /// Waits until `answer` gives something, at most so many seconds; `nil` when it did not.
    func wait<Result>(atMost seconds: Double, until answer: (Value) -> Result?) -> Result? {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let result = answer(value) { return result }
            if !condition.wait(until: end) { return answer(value) }
        }
    }
}

/// Asks again and again, every few milliseconds, until there is an answer: for what gives no notice when it changes.
/// - Throws: `HarnessError` that names `event` when there is none within so many seconds.
func eventually<Result>(
    _ event: String, within seconds: Double = 10, every pause: Double = 0.01, _ ask: () throws -> Result?
) throws -> Result {
    let end = Date(timeIntervalSinceNow: seconds)
    while true {
        if let result = try ask() { return result }
        guard Date() < end else { throw HarnessError("did not happen within \(seconds) s: \(event)") }
        Thread.sleep(forTimeInterval: pause)
    }
}

/// As `eventually`, for a condition.
func eventually(
    _ event: String, within seconds: Double = 10, every pause: Double = 0.01, holds: () throws -> Bool
) throws {
    let _: Bool = try eventually(event, within: seconds, every: pause) { try holds() ? true : nil }
}
