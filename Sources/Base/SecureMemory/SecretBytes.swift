// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Bytes that must not outlive their use: plaintext, PINs, request bodies, keys.
///
/// Owns one allocation, grows by copying into a larger one, and overwrites whatever it gives back to the allocator.
/// Has no textual form that shows its content.
///
/// `@unchecked Sendable`: the class is filled by one owner and then handed on; nobody appends to it once it is shared.
package final class SecretBytes: @unchecked Sendable {
    private var storage: UnsafeMutableRawBufferPointer

    /// Number of bytes held.
    package private(set) var count = 0

    package init(capacity: Int = 0) {
        storage = .allocate(byteCount: max(capacity, 16), alignment: 8)
    }

    package convenience init(_ bytes: some Collection<UInt8>) {
        self.init(capacity: bytes.count)
        append(contentsOf: bytes)
    }

    package convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(capacity: bytes.count)
        append(copying: bytes)
    }

    deinit {
        wipe(storage)
        storage.deallocate()
    }

    package var isEmpty: Bool { count == 0 }

    package func append(_ byte: UInt8) {
        reserve(1)
        storage[count] = byte
        count += 1
    }

    package func append(contentsOf bytes: some Collection<UInt8>) {
        let added = bytes.count
        reserve(added)
        UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + added]).copyBytes(from: bytes)
        count += added
    }

    package func append(copying bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + bytes.count]).copyMemory(from: bytes)
        count += bytes.count
    }

    /// Appends `length` bytes that `fill` writes; `fill` returns how many of them it wrote, at most `length`.
    @discardableResult
    package func append(atMost length: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Int) rethrows -> Int {
        reserve(length)
        let room = UnsafeMutableRawBufferPointer(rebasing: storage[count..<count + length])
        let written = min(max(try fill(room), 0), length)
        count += written
        return written
    }

    /// Forgets everything from `newCount` on, and overwrites it.
    package func truncate(to newCount: Int) {
        guard newCount >= 0, newCount < count else { return }
        wipe(UnsafeMutableRawBufferPointer(rebasing: storage[newCount..<count]))
        count = newCount
    }

    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage)[0..<count]))
    }

    /// Compares without showing by its duration where the first difference is. The lengths are not secret.
    package func constantTimeEquals(_ other: SecretBytes) -> Bool {
        withUnsafeBytes { mine in other.withUnsafeBytes { SecureMemory.constantTimeEquals(mine, $0) } }
    }

    private func reserve(_ additional: Int) {
        guard additional > storage.count - count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(storage.count * 2, count + additional), alignment: 8)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage)[0..<count]))
        wipe(storage)
        storage.deallocate()
        storage = larger
    }
}

extension SecretBytes: Equatable {
    /// In constant time, so that a type that holds a secret can be `Equatable`.
    package static func == (left: SecretBytes, right: SecretBytes) -> Bool { left.constantTimeEquals(right) }
}

extension SecretBytes: CustomStringConvertible, CustomReflectable {
    package var description: String { "SecretBytes(\(count) bytes)" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Overwrites memory in a way that the optimizer may not remove.
package func wipe(_ memory: UnsafeMutableRawBufferPointer) {
    guard let base = memory.baseAddress else { return }
    explicit_bzero(base, memory.count)
}

/// Compares two byte strings in a time that depends on their lengths only.
package func constantTimeEquals(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in 0..<left.count { difference |= left[index] ^ right[index] }
    return difference == 0
}

/// Compares two byte strings in a time that depends on their lengths only.
package func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.withUnsafeBytes { mine in right.withUnsafeBytes { constantTimeEquals(mine, $0) } }
}
