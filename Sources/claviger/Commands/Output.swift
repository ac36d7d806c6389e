// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Glibc
import Synchronization

/// What commands write on standard output and standard error: the one place where it is written, so that nothing that
/// could not be is taken for said, and nothing is written to people that their locale cannot show.
///
/// A command does not end in its middle because nobody reads what it says: an order is carried out to its end. What could
/// not be written is remembered, and decides how the program ends.
enum Output {
    private enum Trouble {
        /// Whoever read it has gone: nothing is said of that, as other programs say nothing.
        case readerIsGone
        /// A full disk, for example.
        case error
    }

    private static let trouble = Mutex<Trouble?>(nil)

    /// A text that has its line feeds, at once: whoever reads a pipe waits for it.
    ///
    /// - Parameter isForPrograms: JSON, TOML and the like, which are UTF-8 wherever they are written.
    static func whole(_ text: String, isForPrograms: Bool) {
        guard trouble.withLock({ $0 }) == nil else { return }
        let code = write(isForPrograms ? text : Terminals.shown(text), to: STDOUT_FILENO)
        guard code != 0 else { return }
        trouble.withLock { $0 = code == EPIPE ? .readerIsGone : .error }
        guard code != EPIPE else { return }
        printError("claviger: standard output cannot be written: \(String(cString: strerror(code)))")
    }

    /// Whether nothing more that is written would be read: what goes on for ever ends then.
    static var isOver: Bool {
        if trouble.withLock({ $0 }) != nil { return true }
        // Of a pipe without readers, and of a terminal that is gone, poll(2) tells without a byte being written.
        var entry = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        guard poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLERR | POLLHUP) != 0 else { return false }
        trouble.withLock { $0 = $0 ?? .readerIsGone }
        return true
    }

    /// How the program ends where everything else has gone well; `nil`: with 0.
    static var status: ExitCode? { trouble.withLock { $0 } == nil ? nil : ExitStatus.unsaid }

    /// A whole text to a descriptor. Returns the error number, 0 when all of it has been written.
    static func write(_ text: String, to descriptor: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if written > 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest[written...])
                } else if errno == EAGAIN {
                    // Somebody made the descriptor non-blocking; it may be shared with other processes.
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&entry, 1, -1)
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
    }
}

/// One line on standard output, or several, at once.
///
/// - Parameter isForPrograms: JSON, TOML and the like.
func printLine(_ line: String, isForPrograms: Bool = false) {
    Output.whole(line + "\n", isForPrograms: isForPrograms)
}

/// One line on standard error, or several. What comes from a token, a library or a file may be in it.
func printError(_ line: String) {
    _ = Output.write(Terminals.shown(Terminal.shown(line)) + "\n", to: STDERR_FILENO)
}

/// Waits between two pictures of `--watch`; returns false when nobody looks any more.
func waitToShow(again seconds: Int) async throws -> Bool {
    for _ in 0..<seconds {
        guard !Output.isOver else { return false }
        try await Task.sleep(for: .seconds(1))
    }
    return !Output.isOver
}
