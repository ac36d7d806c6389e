// SPDX-License-Identifier: Apache-2.0
import Glibc
import LaneProtocol
import SecureMemory
import Synchronization

/// The worker's writing end of the control socket. Any thread may send.
final class ControlChannel: Sendable {
    private let descriptor: Int32
    private let sending = Mutex<Void>(())

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Sends a message whole. When the node is gone there is nobody to inform: the reader notices and ends the process.
    func send(_ message: WorkerMessage) {
        let bytes = message.encoded()
        sending.withLock { _ in
            bytes.withUnsafeBytes { bytes in
                var sent = 0
                while sent < bytes.count {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
                    let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                    if count > 0 {
                        sent += count
                    } else if count == 0 || errno != EINTR {
                        return
                    }
                }
            }
        }
    }
}

/// The worker's reading end of the control socket. One thread reads.
struct ControlReader {
    private let descriptor: Int32
    private let buffer: PrivatePages
    private var assembler = ControlFrameAssembler()
    private var waiting: [SecretBytes] = []

    /// `nil` when there is no memory.
    init?(descriptor: Int32) {
        guard let buffer = PrivatePages(byteCount: 64 * 1024) else { return nil }
        self.descriptor = descriptor
        self.buffer = buffer
    }

    /// The node's next message; `nil` when the node has closed the socket, or is gone.
    mutating func next() throws(MalformedControlMessage) -> NodeMessage? {
        while waiting.isEmpty {
            let count = read(descriptor, buffer.bytes.baseAddress, buffer.bytes.count)
            if count > 0 {
                let received = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<min(count, buffer.bytes.count)])
                defer { wipe(received) }
                waiting = try assembler.append(UnsafeRawBufferPointer(received))
            } else if count == 0 || errno != EINTR {
                return nil
            }
        }
        return try NodeMessage(decoding: waiting.removeFirst())
    }
}
