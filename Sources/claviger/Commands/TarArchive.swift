// SPDX-License-Identifier: Apache-2.0

/// A tape archive in memory, in the ustar format of POSIX.1-2017 ("pax", ustar Interchange Format): plain files alone.
struct TarArchive {
    private static let block = 512

    private let directory: String
    private let time: Int64
    private var bytes: [UInt8] = []

    /// - Parameters:
    ///   - directory: in which all files lie; at most 100 bytes of ASCII.
    ///   - time: of all files, Unix seconds.
    init(directory: String, time: Int64) {
        self.directory = directory
        self.time = time
    }

    /// - Parameter name: at most 80 bytes of ASCII.
    mutating func add(_ name: String, _ text: String) {
        let content = Array(text.utf8)
        bytes += header(name, size: content.count) + content
        let rest = content.count % Self.block
        if rest > 0 { bytes += [UInt8](repeating: 0, count: Self.block - rest) }
    }

    /// With the two empty blocks at its end.
    var content: [UInt8] { bytes + [UInt8](repeating: 0, count: 2 * Self.block) }

    private func header(_ name: String, size: Int) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: Self.block)
        func put(_ text: String, at offset: Int, length: Int) {
            for (index, byte) in text.utf8.prefix(length).enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int64, digits: Int) -> String {
            let text = String(max(value, 0), radix: 8)
            return String(repeating: "0", count: max(digits - text.count, 0)) + text.suffix(digits)
        }
        // The name's two parts are joined by a slash.
        put(name, at: 0, length: 100)
        put("0000600", at: 100, length: 8)
        put("0000000", at: 108, length: 8)
        put("0000000", at: 116, length: 8)
        put(octal(Int64(size), digits: 11), at: 124, length: 12)
        put(octal(time, digits: 11), at: 136, length: 12)
        put("        ", at: 148, length: 8)
        put("0", at: 156, length: 1)
        put("ustar", at: 257, length: 6)
        put("00", at: 263, length: 2)
        put(directory, at: 345, length: 155)
        let sum = header.reduce(0) { $0 + Int64($1) }
        put(octal(sum, digits: 6), at: 148, length: 6)
        header[154] = 0
        return header
    }
}
