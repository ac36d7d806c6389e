// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import AuditChain
import Glibc

/// Reads the lines of a file, a part of it at a time: segments are large.
package struct AuditFileReader {
    private static let part = 1 << 20

    /// Longest line that is read as one; a longer one is no record.
    private static let longestLine = 16 << 20

    /// Hands on each line, without its line feed, and how many bytes follow the last.
    ///
    /// - Parameter line: returns false to end the reading.
    package static func read(
        _ file: String, line: (ArraySlice<UInt8>) -> Bool
    ) throws(AuditFileError) -> Int {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AuditFileError("open", file) }
        defer { close(descriptor) }
        var rest: [UInt8] = []
        var part = [UInt8](repeating: 0, count: Self.part)
        while true {
            let count = part.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw AuditFileError("read", file) }
            if count == 0 { return rest.count }
            var start = 0
            while let feed = feed(in: part, from: start, to: count) {
                let isGoingOn: Bool
                if rest.isEmpty {
                    isGoingOn = line(part[start..<feed])
                } else {
                    rest.append(contentsOf: part[start..<feed])
                    isGoingOn = line(rest[...])
                    rest.removeAll(keepingCapacity: true)
                }
                guard isGoingOn else { return 0 }
                start = feed + 1
            }
            rest.append(contentsOf: part[start..<count])
            guard rest.count <= Self.longestLine else {
                throw AuditFileError("\(file) has a line of more than \(Self.longestLine) bytes: it is no audit log")
            }
        }
    }

    private static func feed(in bytes: [UInt8], from start: Int, to end: Int) -> Int? {
        guard start < end else { return nil }
        return bytes.withUnsafeBytes { buffer -> Int? in
            guard let base = buffer.baseAddress,
                let found = memchr(base.advanced(by: start), Int32(UInt8(ascii: "\n")), end - start)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }
}

/// Segments of one chain, wherever their files lie.
package struct AuditChainFiles: Sendable, Equatable {
    package var chain: Int
    /// In order.
    package var files: [(name: SegmentName, path: String)]

    package static func == (left: AuditChainFiles, right: AuditChainFiles) -> Bool {
        left.chain == right.chain && left.files.map(\.path) == right.files.map(\.path)
    }

    /// By chain. Of two files of one name the first is taken.
    package static func chains(of files: [(name: SegmentName, path: String)]) -> [AuditChainFiles] {
        Dictionary(grouping: files, by: \.name.chain).sorted { $0.key < $1.key }.map { chain, files in
            var seen: Set<SegmentName> = []
            let own = files.filter { seen.insert($0.name).inserted }.sorted { $0.name < $1.name }
            return AuditChainFiles(chain: chain, files: own)
        }
    }

    /// The names of the node that writes it, by the first record of each segment, in order: `node.id` may have been changed.
    package func nodes() throws(AuditFileError) -> [String] {
        var nodes: [String] = []
        for file in files {
            _ = try AuditFileReader.read(file.path) { line in
                guard let node = AuditLine(line)?.text(.node) else { return true }
                if nodes.last != node { nodes.append(node) }
                return false
            }
        }
        return nodes
    }

    /// Verifies all of it.
    ///
    /// - Parameters:
    ///   - heads: that are known of this chain, their signatures verified.
    ///   - isPart: other segments lie elsewhere.
    package func verify(
        node: String, heads: [SignedAuditHead], isPart: Bool,
        isGenuine: @escaping (ChainVerifier.SignedText) -> Bool
    ) throws(AuditFileError) -> AuditReport {
        var verifier = ChainVerifier(node: node, chain: chain, heads: heads, isPart: isPart, isGenuine: isGenuine)
        for file in files {
            verifier.begin(file.name)
            let torn = try AuditFileReader.read(file.path) { line in
                verifier.read(line)
                return true
            }
            verifier.end(torn: torn)
        }
        return verifier.finish()
    }
}
