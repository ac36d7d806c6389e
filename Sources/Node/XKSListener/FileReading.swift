// SPDX-License-Identifier: Apache-2.0
import Glibc
import SecureMemory

/// The content of a file of at most 1 MiB. The caller overwrites it if it is secret.
func readFile(_ path: String) throws(TLSMaterialError) -> [UInt8] {
    let limit = 1 << 20
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(file: path, cause: systemMessage(errno)) }
    defer { close(descriptor) }
    // Room for everything from the start: a growing array would leave copies of a key behind.
    var content = [UInt8](repeating: 0, count: limit + 1)
    defer { content.withUnsafeMutableBytes { wipe($0) } }
    var length = 0
    while length < content.count {
        let count = content.withUnsafeMutableBytes { room in
            read(descriptor, room.baseAddress?.advanced(by: length), room.count - length)
        }
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { throw .unreadable(file: path, cause: systemMessage(errno)) }
        if count == 0 { return Array(content[..<length]) }
        length += count
    }
    throw .tooLarge(file: path)
}

private func systemMessage(_ code: Int32) -> String {
    switch code {
    case ENOENT: "no such file"
    case EACCES: "permission denied"
    case EISDIR: "it is a directory"
    case EMFILE, ENFILE: "too many open files"
    default: "system error \(code)"
    }
}
