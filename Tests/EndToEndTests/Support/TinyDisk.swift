// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// A file system of its own that is soon full; mounting one needs privileges.
final class TinyDisk: Sendable {
    static let isPossible: Bool = {
        guard let scratch = try? Scratch(), mount(scratch.path) else { return false }
        return umount(scratch.path) == 0
    }()

    private let scratch: Scratch
    var path: String { scratch.path }

    init() throws {
        scratch = try Scratch()
        guard Self.mount(scratch.path) else { throw HarnessError("cannot mount a file system") }
    }

    deinit { umount2(scratch.path, Int32(MNT_DETACH)) }

    private static func mount(_ path: String) -> Bool {
        Glibc.mount("tmpfs", path, "tmpfs", 0, "size=2m,mode=700") == 0
    }

    /// The file lies in a directory of its own: a worker's rules for what lies beside the node's files keep the space of
    /// those from being freed as long as it lives.
    private var filler: String { path + "/others/filler" }

    func fill() throws {
        mkdir(path + "/others", 0o700)
        let descriptor = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        let block = [UInt8](repeating: 0, count: 4_096)
        while write(descriptor, block, block.count) == block.count {}
        guard errno == ENOSPC else { throw HarnessError("the disk does not fill") }
    }

    func makeRoom() { unlink(filler) }

    /// From now on nothing can be written, or everything again.
    func set(readOnly: Bool) throws {
        let flags = UInt(MS_REMOUNT) | (readOnly ? UInt(MS_RDONLY) : 0)
        guard Glibc.mount("tmpfs", path, "tmpfs", flags, "size=2m,mode=700") == 0 else {
            throw HarnessError("cannot mount again: \(String(cString: strerror(errno)))")
        }
    }
}
