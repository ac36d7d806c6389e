// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NIOCore
import SecureMemory

/// The frames that were sent down one lane and have not been answered, oldest first, in buffers that are used again and
/// again: in the steady state a request costs no allocation. What a frame held is overwritten when its answer is in.
///
/// A lane's answers come in the order of its frames. One buffer for each that is under way, because the channel may not
/// have written the last one yet when the answer to the first comes.
package struct FrameBuffers {
    private var buffers = [ByteBuffer()]
    private var oldest = 0
    package private(set) var underWay = 0

    package init() {}

    /// Makes the next frame, and lends it to be sent.
    package mutating func add(_ fill: (inout ByteBuffer) -> Void) -> ByteBuffer {
        if underWay == buffers.count {
            // All are in use: the new one comes after the youngest, which stands before the oldest.
            buffers.insert(ByteBuffer(), at: oldest)
            oldest = (oldest + 1) % buffers.count
        }
        let position = (oldest + underWay) % buffers.count
        underWay += 1
        buffers[position].clear()
        fill(&buffers[position])
        return buffers[position]
    }

    /// What the oldest frame begins with; `nil` when there is none.
    var oldestHeader: LaneRequestHeader? {
        guard underWay > 0 else { return nil }
        return buffers[oldest].withUnsafeReadableBytes { LaneRequestHeader(decoding: $0) }
    }

    /// The oldest frame has been answered. False when there is none.
    package mutating func removeOldest() -> Bool {
        guard underWay > 0 else { return false }
        wipeStorage(of: buffers[oldest])
        oldest = (oldest + 1) % buffers.count
        underWay -= 1
        return true
    }

    /// Overwrites all that is left.
    package mutating func wipeAll() { while removeOldest() {} }
}

/// Overwrites the readable bytes of a buffer where they lie, also when the storage is shared.
///
/// Writing through copy-on-write would overwrite a copy. The only other holders of this storage are the channel's
/// receive allocator and its write queue; both are done with these bytes, and live on the same event loop.
func wipeStorage(of buffer: ByteBuffer) {
    buffer.withUnsafeReadableBytes { wipe(UnsafeMutableRawBufferPointer(mutating: $0)) }
}
