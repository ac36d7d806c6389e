// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadGenerator
import LoadPlan

/// How far a load has come, in one line of a terminal's standard error; nothing where that is none.
struct ProgressBar {
    private static let width = 24
    private let isShown = isatty(STDERR_FILENO) == 1

    /// Draws it again and again while `body` runs.
    func during<Value: Sendable>(
        _ name: String, seconds: Double, _ progress: LoadProgress,
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        guard isShown else { return try await body() }
        let drawing = Task {
            let clock = ContinuousClock()
            let begin = clock.now
            while !Task.isCancelled {
                let passed = (clock.now - begin) / .seconds(1)
                _ = Output.write(Self.line(name, passed, of: seconds, progress.now), to: STDERR_FILENO)
                try? await Task.sleep(for: .milliseconds(200))
            }
            // Erases the line (ECMA-48, EL).
            _ = Output.write("\r\u{1B}[K", to: STDERR_FILENO)
        }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        drawing.cancel()
        await drawing.value
        return try result.get()
    }

    private static func line(
        _ name: String, _ passed: Double, of seconds: Double, _ counts: (done: UInt64, failed: UInt64)
    ) -> String {
        let share = min(max(passed / max(seconds, 0.001), 0), 1)
        let full = Int(share * Double(width))
        let bar = String(repeating: "=", count: full) + String(repeating: " ", count: width - full)
        let done = BenchText.grouped(Int64(clamping: counts.done))
        let failed = counts.failed > 0 ? ", \(BenchText.grouped(Int64(clamping: counts.failed))) failed" : ""
        return "\r\u{1B}[K[\(bar)] \(name)  \(done) requests\(failed)"
    }
}
