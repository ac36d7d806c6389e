// SPDX-License-Identifier: Apache-2.0

/// Follows the frames in a client's bytes without looking into them (RFC 9113 sections 3.4 and 4.1): it knows whether
/// something has begun that is not whole. Pure.
package struct HTTP2FrameCursor {
    private static let prefaceLength = 24
    private static let headLength = 9
    private static let data: UInt8 = 0
    private static let headers: UInt8 = 1
    private static let continuation: UInt8 = 9
    private static let endHeaders: UInt8 = 4

    /// Bytes of the preface that are still to come.
    private var missingPreface = Self.prefaceLength
    /// The beginning of a frame's head.
    private var head: (length: Int, type: UInt8, flags: UInt8) = (0, 0, 0)
    private var headBytes = 0
    /// Of the frame's payload, still to come.
    private var missingPayload = 0
    private var isInHeaderBlock = false

    /// Frames and header blocks that have become whole.
    package private(set) var completed: UInt64 = 0

    package init() {}

    /// Whether a preface, a frame or a header block has begun, or has to come, and is not whole. DATA is left out: it is
    /// handed on as it comes, and a body has a deadline of its own.
    package var isWaiting: Bool {
        missingPreface > 0 || headBytes > 0 || isInHeaderBlock || (missingPayload > 0 && head.type != Self.data)
    }

    package mutating func advance(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        skip(&missingPreface, in: &rest)
        while !rest.isEmpty {
            if missingPayload > 0 {
                skip(&missingPayload, in: &rest)
                if missingPayload == 0 { frameEnds() }
            } else if let byte = rest.popFirst() {
                take(byte)
            }
        }
    }

    private func skip(_ missing: inout Int, in rest: inout Slice<UnsafeRawBufferPointer>) {
        let skipped = min(missing, rest.count)
        rest = rest.dropFirst(skipped)
        missing -= skipped
    }

    /// Length in three bytes, type, flags, stream in four.
    private mutating func take(_ byte: UInt8) {
        switch headBytes {
        case 0: head.length = Int(byte) << 16
        case 1: head.length |= Int(byte) << 8
        case 2: head.length |= Int(byte)
        case 3: head.type = byte
        case 4: head.flags = byte
        default: break
        }
        headBytes += 1
        guard headBytes == Self.headLength else { return }
        headBytes = 0
        if head.type == Self.headers { isInHeaderBlock = true }
        missingPayload = head.length
        if missingPayload == 0 { frameEnds() }
    }

    private mutating func frameEnds() {
        let isOfBlock = head.type == Self.headers || head.type == Self.continuation
        if isOfBlock && head.flags & Self.endHeaders != 0 { isInHeaderBlock = false }
        if !isInHeaderBlock { completed &+= 1 }
    }
}
