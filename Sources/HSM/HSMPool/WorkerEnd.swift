// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol

/// How a process with a library in it ended, as far as it is known.
package struct WorkerEnd: Sendable, Equatable {
    package enum Way: Sendable, Equatable {
        case signal(Int32)
        /// What it gave to exit(2).
        case status(Int32)
    }

    package var way: Way?
    /// The calls into its library that were under way, each as often as there were.
    package var calls: [PKCS11Function]

    package init(way: Way?, calls: [PKCS11Function] = []) {
        self.way = way
        self.calls = calls
    }

    /// For people: "ended by signal 11 (SIGSEGV) in C_Encrypt (2) and C_GetTokenInfo".
    package var words: String {
        var text = "ended"
        switch way {
        case .signal(let number): text += " by signal \(number)" + (Self.signals[number].map { " (\($0))" } ?? "")
        case .status(let status): text += " with status \(status)"
        case nil: break
        }
        let counts = Dictionary(grouping: calls, by: \.rawValue).sorted { $0.key < $1.key }
        let names = counts.compactMap { entry in
            entry.value.first.map { entry.value.count > 1 ? "\($0.name) (\(entry.value.count))" : $0.name }
        }
        guard let last = names.last else { return text }
        let others = names.dropLast().joined(separator: ", ")
        return text + " in " + (others.isEmpty ? last : others + " and " + last)
    }

    /// How the child has ended; `nil` while it runs, and when its status has been taken.
    ///
    /// - Parameter isAwaited: blocks until it has.
    package static func way(of pid: Int32, isAwaited: Bool = false) -> Way? {
        var end = claviger_end()
        guard claviger_child_end(pid, isAwaited, &end) == 1 else { return nil }
        return end.signal != 0 ? .signal(end.signal) : .status(end.status)
    }

    private static let signals: [Int32: String] = [
        SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGILL: "SIGILL", SIGKILL: "SIGKILL",
        SIGPIPE: "SIGPIPE", SIGSEGV: "SIGSEGV", SIGSYS: "SIGSYS", SIGTERM: "SIGTERM", SIGTRAP: "SIGTRAP",
        SIGXCPU: "SIGXCPU",
    ]
}

/// The memory in which a worker notes the calls that it is at. It outlives the worker, until the node has read it.
package final class CallNotes: Sendable {
    package let descriptor: CInt

    /// `nil` when the system gives no memory for it: then it is not known in which call a worker ended.
    package init?() {
        descriptor = claviger_make_call_notes()
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    /// The calls under way. What is no function's number is left out: the library could have written it.
    package func read() -> [PKCS11Function] {
        var numbers = [UInt8](repeating: 0, count: 1_100)
        let count = claviger_read_call_notes(descriptor, &numbers, CInt(numbers.count))
        return numbers.prefix(max(0, Int(count))).compactMap { PKCS11Function(rawValue: $0) }
    }
}
