// SPDX-License-Identifier: Apache-2.0
import Glibc
import PrivateFiles

/// Holds a state directory for one development node; given back when the last reference goes, or the process ends.
///
/// A lock of the kernel's (`flock`), not the mere existence of a file: nothing is left behind by a killed node. The
/// descriptor is close-on-exec, so that workers do not keep the directory locked after the node is gone.
final class StateLock: Sendable {
    private let descriptor: Int32

    init(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PrivateFiles.failure("open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let busy = errno == EWOULDBLOCK
            let failure = PrivateFiles.failure("lock", path)
            close(descriptor)
            guard busy else { throw failure }
            throw DevError(
                "Another development node uses this state directory (\(path) is locked). "
                    + "Stop it, or choose another directory with --state.")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}
