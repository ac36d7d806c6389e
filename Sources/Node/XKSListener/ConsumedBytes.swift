// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SecureMemory

extension ByteBuffer {
    /// Overwrites the readable bytes in place, also where other buffers share the memory.
    ///
    /// A piece of a body is a slice of the memory that the socket (or the TLS layer) was read into, and that memory
    /// is used again for the next read without being cleared. Writing through `ByteBuffer` would copy first, because
    /// the slice is shared, and leave the plaintext where it is. So this writes through the pointer.
    ///
    /// It is safe for a slice that an HTTP decoder has just handed out, and for nothing else: the decoder cut it from
    /// bytes that it has consumed, parsers do not look back at body bytes, every slice covers other bytes, the memory
    /// is on the heap and writable, and all of this happens on the one thread of the channel.
    func overwriteConsumedBytes() {
        withUnsafeReadableBytes { bytes in
            wipe(UnsafeMutableRawBufferPointer(mutating: bytes))
        }
    }
}
