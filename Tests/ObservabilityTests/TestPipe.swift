// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A pipe whose reader reads only when asked to.
/// `@unchecked Sendable`: only descriptors, which do not change.
final class TestPipe: @unchecked Sendable {
    let reading: Int32
    let writing: Int32

    init(nonBlocking: Bool = false) throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        reading = ends[0]
        writing = ends[1]
        if nonBlocking { _ = fcntl(writing, F_SETFL, O_NONBLOCK) }
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// Fills the pipe, so that the next write stalls; reports how many bytes went in.
    func stall() -> Int {
        let flags = fcntl(writing, F_GETFL)
        _ = fcntl(writing, F_SETFL, flags | O_NONBLOCK)
        var count = 0
        let block = [UInt8](repeating: 0x78, count: 4096)
        while true {
            let written = write(writing, block, block.count)
            guard written > 0 else { break }
            count += written
        }
        _ = fcntl(writing, F_SETFL, flags)
        return count
    }

    /// Exactly `count` bytes.
    func read(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var offset = 0
        while offset < count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(reading, $0.baseAddress?.advanced(by: offset), count - offset)
            }
            guard got > 0 else { break }
            offset += got
        }
        return Array(bytes[..<offset])
    }

    /// Whole lines until there are `count` of them, without their line feeds. Waits at most ten seconds for each part.
    func lines(_ count: Int) -> [String] {
        var bytes: [UInt8] = []
        var found = 0
        var block = [UInt8](repeating: 0, count: 65536)
        while found < count {
            var poller = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, 10_000) > 0 else { break }
            let got = Glibc.read(reading, &block, block.count)
            guard got > 0 else { break }
            found += block[..<got].count { $0 == 0x0A }
            bytes += block[..<got]
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

func object(_ line: String) throws -> [String: String] {
    let parsed = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    return parsed.mapValues { "\($0)" }
}
