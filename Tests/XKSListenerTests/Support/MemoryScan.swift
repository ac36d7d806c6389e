// SPDX-License-Identifier: Apache-2.0
import Foundation
import SecureMemory

/// A secret that this process knows only in disguise, so that every plain copy found in memory was left by the code
/// under test.
struct DisguisedSecret {
    private static let mask: UInt8 = 0x5A
    private static let roomSize = 1 << 20
    private let disguised: [UInt8]

    /// Takes the content of a file that another process has made.
    init(file: String) {
        let descriptor = open(file, O_RDONLY)
        defer { close(descriptor) }
        disguised = withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { room in
            defer { wipe(room) }
            let count = read(descriptor, room.baseAddress, room.count)
            return room.prefix(max(count, 0)).map { $0 ^ Self.mask }
        }
    }

    var count: Int { disguised.count }

    /// Calls `body` with the secret in plain, for as long as it takes.
    func withPlain(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: disguised.count, alignment: 1) { room in
            for (index, byte) in disguised.enumerated() { room[index] = byte ^ Self.mask }
            body(UnsafeRawBufferPointer(room))
            wipe(room)
        }
    }

    /// How many plain copies there are in the writable memory of this process.
    func copiesInMemory() throws -> Int {
        // Shared memory, which the scan leaves out: what is read into it is not found in it.
        guard let base = mmap(nil, Self.roomSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
            base != MAP_FAILED
        else { throw CocoaError(.fileReadUnknown) }
        defer { munmap(base, Self.roomSize) }
        let room = UnsafeMutableRawBufferPointer(start: base, count: Self.roomSize)
        let maps = readWhole("/proc/self/maps")
        let memory = open("/proc/self/mem", O_RDONLY)
        defer { close(memory) }
        var found = 0
        for line in maps.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 2, fields[1] == "rw-p" else { continue }
            let bounds = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            guard bounds.count == 2 else { continue }
            found += copies(in: memory, from: bounds[0], to: bounds[1], by: room)
        }
        return found
    }

    private func copies(
        in memory: Int32, from start: UInt64, to end: UInt64, by room: UnsafeMutableRawBufferPointer
    ) -> Int {
        var found = 0
        var position = start
        while position < end {
            let length = pread(memory, room.baseAddress, min(room.count, Int(end - position)), off_t(position))
            guard length > 0 else {
                // Gone or unreadable since the map was read: on with the next page.
                position += 4_096
                continue
            }
            found += copies(in: UnsafeRawBufferPointer(rebasing: room[..<length]))
            // Pieces overlap, so that a copy across two of them is found.
            position += UInt64(length > count ? length - count + 1 : length)
            if length <= count { break }
        }
        return found
    }

    private func copies(in bytes: UnsafeRawBufferPointer) -> Int {
        guard let base = bytes.baseAddress, bytes.count >= count, let first = disguised.first else { return 0 }
        var found = 0
        var offset = 0
        while offset + count <= bytes.count,
            let hit = memchr(base + offset, Int32(first ^ Self.mask), bytes.count - count - offset + 1)
        {
            let position = UnsafeRawPointer(hit) - base
            if (1..<count).allSatisfy({ bytes[position + $0] ^ Self.mask == disguised[$0] }) { found += 1 }
            offset = position + 1
        }
        return found
    }
}

/// A file of the kernel's, which gives a page at a time and has no length.
private func readWhole(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var content: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &piece, piece.count)
        guard count > 0 else { return String(decoding: content, as: UTF8.self) }
        content += piece[..<count]
    }
}
