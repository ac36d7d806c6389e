// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SecureMemory

extension ByteBuffer {
    /// Overwrites the readable bytes in place, also where other buffers share the memory. Writing through `ByteBuffer`
    /// would copy what is shared, and leave the plaintext where it is.
    ///
    /// Safe in two cases, and in no other, on the channel's thread: a slice that an HTTP decoder has just handed out
    /// (it has consumed those bytes, no other slice covers them, and parsers do not look back), and a buffer that
    /// this room has made and whose write has ended. The memory is on the heap and writable in both.
    ///
    /// What it does not reach: copies inside BoringSSL, which overwrites its own, and what Hummingbird's response
    /// writer may hold until the answer is out (the same memory, overwritten here afterwards).
    func overwrite() {
        withUnsafeReadableBytes { wipe(UnsafeMutableRawBufferPointer(mutating: $0)) }
    }

    /// A copy in memory of its own.
    init(copying secret: SecretBytes) {
        self = secret.withUnsafeBytes { ByteBuffer(bytes: $0) }
    }
}
