// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// Writes a file in a directory, brings it to the disk, and removes it: who may write where is more than modes say.
enum WriteTrial {
    struct Failure: Error {
        /// The error number.
        var code: Int32
        var reason: String { String(cString: strerror(code)) }
    }

    /// - Parameter bytes: how many; on a full disk an empty file can be made.
    /// - Returns: how long writing and bringing to the disk took, nanoseconds.
    @discardableResult
    static func write(_ bytes: Int, in directory: String) throws(Failure) -> UInt64 {
        var template = Array("\(directory)/trial-XXXXXX".utf8CString)
        let descriptor = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkstemp($0) } ?? -1 }
        guard descriptor >= 0 else { throw Failure(code: errno) }
        defer {
            template.withUnsafeBufferPointer { bytes in _ = bytes.baseAddress.map { unlink($0) } }
            close(descriptor)
        }
        let block = [UInt8](repeating: 0, count: bytes)
        let begin = claviger_monotonic_nanoseconds()
        let count = Glibc.write(descriptor, block, block.count)
        // A short count is a disk that has become full.
        guard count == block.count else { throw Failure(code: count < 0 ? errno : ENOSPC) }
        guard fsync(descriptor) == 0 else { throw Failure(code: errno) }
        return claviger_monotonic_nanoseconds() &- begin
    }
}
