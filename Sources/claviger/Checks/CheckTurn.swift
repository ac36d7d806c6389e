// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Who checks a configuration file has it alone meanwhile: a lock on the file (flock(2)), which ends with the process, too.
struct CheckTurn {
    private static let patience = Duration.seconds(120)
    private static let pause = Duration.milliseconds(50)

    private let descriptor: Int32

    /// Waits for others, two minutes at most: one that hangs is no reason not to look. A file that cannot be opened is nobody's.
    static func taken(file: String) async -> CheckTurn {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        let deadline = ContinuousClock.now + patience
        while descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) != 0, ContinuousClock.now < deadline {
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            try? await Task.sleep(for: pause)
        }
        return CheckTurn(descriptor: descriptor)
    }

    func end() { if descriptor >= 0 { close(descriptor) } }
}
