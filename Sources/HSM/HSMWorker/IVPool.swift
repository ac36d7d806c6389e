// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol
import PKCS11
import SecureMemory
import Synchronization

/// Length of the IVs that a worker makes itself, bytes (NIST SP 800-38D, section 8.2.2: 96 random bits).
package let ivLength = 12

extension CallResult {
    /// The generator gave an IV that must not be used, or the HSM that was to make an IV made none.
    package static let brokenGenerator = CallResult(function: .generateRandom, code: .randomNoRNG)
}

/// IVs from the HSM's generator for one lane, fetched ahead in bulk; each is handed out once and then overwritten.
///
/// The memory turns to zeroes in a forked child, and an IV of zeroes is refused, so two processes never share an IV.
package final class IVPool {
    package enum Taken: Equatable {
        case taken
        /// The generator refused.
        case failed(CallResult)
        /// The generator gave zeroes, or an IV that was given before. Using it could lay open two plaintexts.
        case unusable
    }

    /// IVs per call of the generator.
    package static let batch = 256

    private let memory: PrivatePages
    private let history: IVHistory
    private var next = 0
    private var available = 0

    /// `history` is shared by all lanes of a worker. `nil` when there is no memory.
    package init?(history: IVHistory) {
        guard let memory = PrivatePages(byteCount: Self.batch * ivLength) else { return nil }
        self.memory = memory
        self.history = history
    }

    /// Writes an unused IV into `target` (12 bytes). `refill` fills memory from the HSM's generator.
    package func take(
        into target: UnsafeMutableRawBufferPointer, refill: (UnsafeMutableRawBufferPointer) -> CallResult
    ) -> Taken {
        guard target.count == ivLength else { return .unusable }
        if available == 0 {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[0..<Self.batch * ivLength])
            let result = refill(bytes)
            guard result.isOK else { return .failed(result) }
            guard history.admit(UnsafeRawBufferPointer(bytes)) else {
                wipe(bytes)
                return .unusable
            }
            next = 0
            available = Self.batch
        }
        let iv = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[next * ivLength..<(next + 1) * ivLength])
        guard iv.contains(where: { $0 != 0 }) else { return .unusable }
        target.copyMemory(from: UnsafeRawBufferPointer(iv))
        wipe(iv)
        next += 1
        available -= 1
        return .taken
    }

    /// Takes other bytes from the same generator; false when a piece as long as an IV is all zeroes or was seen before.
    package func admit(drawn bytes: UnsafeRawBufferPointer) -> Bool { history.admit(bytes) }

    /// Takes an IV that the HSM made for an encryption under a key; false when it is all zeroes or was seen before.
    /// See `IVHistory.admit(_:madeUnder:)`.
    package func admit(_ iv: UnsafeRawBufferPointer, madeUnder key: UInt64) -> Bool {
        history.admit(iv, madeUnder: key)
    }
}

/// Remembers the last IVs of a worker, to notice a generator that repeats itself, within a lane or between lanes.
///
/// It keeps 64 bits of each: of honest random IVs, two of 65,536 agree in these by chance once in some 2⁴⁷ IVs.
package final class IVHistory: Sendable {
    /// At least this many of the latest IVs are remembered.
    package static let depth = 32_768

    private struct Memory {
        var recent = Set<UInt64>(minimumCapacity: IVHistory.depth)
        var older = Set<UInt64>(minimumCapacity: IVHistory.depth)

        mutating func insert(_ value: UInt64) -> Bool {
            if recent.count >= IVHistory.depth {
                swap(&recent, &older)
                recent.removeAll(keepingCapacity: true)
            }
            return !older.contains(value) && recent.insert(value).inserted
        }
    }

    private let memory = Mutex(Memory())

    package init() {}

    /// Takes a batch of IVs; false when one is all zeroes or was seen before.
    package func admit(_ batch: UnsafeRawBufferPointer) -> Bool {
        memory.withLock { memory in
            var offset = 0
            while offset + ivLength <= batch.count {
                let head = batch.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                let tail = batch.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self)
                offset += ivLength
                if head == 0, tail == 0 { return false }
                guard memory.insert(head) else { return false }
            }
            return true
        }
    }

    /// Takes an IV that the HSM made while it encrypted; false when it is all zeroes or was seen before.
    ///
    /// An HSM may count instead of drawing (NIST SP 800-38D, section 8.2.1): IVs that begin alike, and begin anew with
    /// each key, are honest. So the whole IV counts, together with the key.
    package func admit(_ iv: UnsafeRawBufferPointer, madeUnder key: UInt64) -> Bool {
        guard iv.contains(where: { $0 != 0 }) else { return false }
        var mixed = Self.mix(key)
        for byte in iv { mixed = Self.mix(mixed ^ UInt64(byte)) }
        return memory.withLock { $0.insert(mixed) }
    }

    /// A permutation of 64 bits in which each bit of the argument reaches about half of the result's: two rounds of
    /// multiplication by an odd number, each after a shift.
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
