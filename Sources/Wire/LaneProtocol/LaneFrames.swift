// SPDX-License-Identifier: Apache-2.0

// The frames of a lane: one socket pair between node and worker, one answer to each request, in their order.
// Both ends are the same binary on the same host, so integers stand in the host's order; the version byte makes a node
// and a worker of different builds (an upgrade in progress) refuse each other instead of misunderstanding.
// docs/internals/lane-protocol.md has the layout as a table.

/// What every lane frame begins with and how large it may be.
package enum LaneFrame {
    /// Raised whenever the layout changes.
    package static let version: UInt8 = 4

    /// Largest payload of a frame, bytes: 64 KiB of data, 65,535 + 23 bytes of AAD, IV and tag, rounded up.
    package static let largestPayload = 192 * 1024
}

/// What the worker is asked to do.
package enum LaneOperation: UInt8, Sendable, CaseIterable {
    case encrypt = 1
    case decrypt = 2
    /// Open a session for the lane, which had none. No payload.
    case openSession = 3
    /// Close the lane's session; the lane is parked. No payload.
    case closeSession = 4
    /// Decrypt what a probe has encrypted with the token's own key, and compare. No payload.
    case knownAnswer = 5

    /// True for work with a key.
    package var usesKey: Bool { self == .encrypt || self == .decrypt }
}

/// The fixed part of a request, node to worker. It is followed by `aadLength + ivLength + dataLength` bytes:
/// the AAD as the HSM gets it, the IV (decrypt only), then plaintext or ciphertext ‖ tag.
package struct LaneRequestHeader: Sendable, Equatable {
    package static let size = 40

    package var operation: LaneOperation
    /// Which use of the lane this is; the answer repeats it, so that a late one is recognised.
    package var generation: UInt64
    /// CLOCK_MONOTONIC, nanoseconds: after it nobody waits for the answer, and the worker skips the call.
    package var deadline: UInt64
    /// The worker's own number of the key, from its catalogue.
    package var keyReference: UInt32
    package var aadLength: UInt32
    package var ivLength: UInt8
    package var dataLength: UInt32

    package init(
        operation: LaneOperation, generation: UInt64, deadline: UInt64, keyReference: UInt32, aadLength: UInt32,
        ivLength: UInt8, dataLength: UInt32
    ) {
        self.operation = operation
        self.generation = generation
        self.deadline = deadline
        self.keyReference = keyReference
        self.aadLength = aadLength
        self.ivLength = ivLength
        self.dataLength = dataLength
    }

    /// Bytes that follow the header.
    package var payloadLength: Int { Int(aadLength) + Int(ivLength) + Int(dataLength) }

    /// Writes the header into the first `size` bytes of `target`.
    package func encode(into target: UnsafeMutableRawBufferPointer) {
        guard target.count >= Self.size else { return }
        target[0] = LaneFrame.version
        target[1] = operation.rawValue
        target[2] = ivLength
        target[3] = 0
        target.storeBytes(of: keyReference, toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: generation, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: deadline, toByteOffset: 16, as: UInt64.self)
        target.storeBytes(of: aadLength, toByteOffset: 24, as: UInt32.self)
        target.storeBytes(of: dataLength, toByteOffset: 28, as: UInt32.self)
        target.storeBytes(of: 0, toByteOffset: 32, as: UInt64.self)
    }

    /// Reads a header; `nil` when version, operation or lengths are none that this build writes.
    package init?(decoding source: UnsafeRawBufferPointer) {
        guard source.count >= Self.size, source[0] == LaneFrame.version,
            let operation = LaneOperation(rawValue: source[1])
        else { return nil }
        self.init(
            operation: operation,
            generation: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            deadline: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            keyReference: source.loadUnaligned(fromByteOffset: 4, as: UInt32.self),
            aadLength: source.loadUnaligned(fromByteOffset: 24, as: UInt32.self),
            ivLength: source[2],
            dataLength: source.loadUnaligned(fromByteOffset: 28, as: UInt32.self))
        guard payloadLength <= LaneFrame.largestPayload else { return nil }
    }
}

/// How the worker's attempt ended.
package enum LaneStatus: UInt8, Sendable, CaseIterable {
    /// The payload holds the result.
    case done = 0
    /// The HSM's library returned `code` from `function`.
    case refused = 1
    /// The deadline had passed before the call was made; nothing was done.
    case expired = 2
    /// The worker no longer has a key of that number (it was deleted, or has another handle now).
    case keyGone = 3
}

/// The fixed part of an answer, worker to node. It is followed by `ivLength + dataLength` bytes:
/// the IV (encrypt only), then ciphertext ‖ tag or plaintext.
package struct LaneAnswerHeader: Sendable, Equatable {
    package static let size = 40

    package var status: LaneStatus
    /// Number of the PKCS#11 function that returned `code` (`PKCS11Function`).
    package var function: UInt8
    package var generation: UInt64
    /// The CK_RV, 0 when `status` is `done`.
    package var code: UInt64
    /// Time spent inside the HSM's library, microseconds, saturating.
    package var hsmMicroseconds: UInt32
    package var ivLength: UInt8
    package var dataLength: UInt32

    package init(
        status: LaneStatus, function: UInt8 = 0, generation: UInt64, code: UInt64 = 0,
        hsmMicroseconds: UInt32 = 0, ivLength: UInt8 = 0, dataLength: UInt32 = 0
    ) {
        self.status = status
        self.function = function
        self.generation = generation
        self.code = code
        self.hsmMicroseconds = hsmMicroseconds
        self.ivLength = ivLength
        self.dataLength = dataLength
    }

    /// Bytes that follow the header.
    package var payloadLength: Int { Int(ivLength) + Int(dataLength) }

    /// Writes the header into the first `size` bytes of `target`.
    package func encode(into target: UnsafeMutableRawBufferPointer) {
        guard target.count >= Self.size else { return }
        target[0] = LaneFrame.version
        target[1] = status.rawValue
        target[2] = 0
        target[3] = function
        target[4] = ivLength
        target[5] = 0
        target[6] = 0
        target[7] = 0
        target.storeBytes(of: generation, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: code, toByteOffset: 16, as: UInt64.self)
        target.storeBytes(of: hsmMicroseconds, toByteOffset: 24, as: UInt32.self)
        target.storeBytes(of: dataLength, toByteOffset: 28, as: UInt32.self)
        target.storeBytes(of: 0, toByteOffset: 32, as: UInt64.self)
    }

    /// Reads a header; `nil` when version, status or lengths are none that this build writes.
    package init?(decoding source: UnsafeRawBufferPointer) {
        guard source.count >= Self.size, source[0] == LaneFrame.version,
            let status = LaneStatus(rawValue: source[1])
        else { return nil }
        self.init(
            status: status,
            function: source[3],
            generation: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            code: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            hsmMicroseconds: source.loadUnaligned(fromByteOffset: 24, as: UInt32.self),
            ivLength: source[4],
            dataLength: source.loadUnaligned(fromByteOffset: 28, as: UInt32.self))
        guard payloadLength <= LaneFrame.largestPayload else { return nil }
    }
}
