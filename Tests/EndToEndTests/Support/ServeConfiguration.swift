// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// A configuration for `claviger serve`, made from the one that `claviger dev` wrote into its state directory.
///
/// Listens on ports that were free a moment ago.
struct ServeConfiguration {
    let scratch: Scratch
    /// The development node whose tokens are used.
    let origin: Node
    private(set) var facts: NodeFacts
    private(set) var lines: [String]

    /// - Parameters:
    ///   - origin: a development node, ended or not.
    ///   - plaintext: without TLS, or with what the development node had.
    init(from origin: Node, plaintext: Bool = true) throws {
        scratch = try Scratch()
        self.origin = origin
        facts = origin.facts
        lines = try EndToEndTests.text(ofFile: origin.state + "/claviger.toml")
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if plaintext {
            for key in ["certificate", "key", "client_ca", "client_name"] { remove(key, in: "[xks]") }
            set("plaintext", "true", in: "[xks]")
        }
        facts.url = plaintext ? "http:" : "https:"
        try chooseAddresses()
    }

    /// Gives both listeners ports that are free now.
    mutating func chooseAddresses() throws {
        let (xks, control) = (try Self.freePort(), try Self.freePort())
        set("listen", "\"127.0.0.1:\(xks)\"", in: "[xks]")
        set("listen", "\"127.0.0.1:\(control)\"", in: "[control]")
        facts.url = "\(facts.url.hasPrefix("https:") ? "https" : "http")://127.0.0.1:\(xks)"
        facts.control_url = "http://127.0.0.1:\(control)"
    }

    var text: String { lines.joined(separator: "\n") }

    /// Sets a key in the table with this header, or in the one of that header with this number. `value` is TOML.
    mutating func set(_ key: String, _ value: String, in header: String, number: Int = 0) {
        let (start, end) = table(header, number)
        let line = "\(key) = \(value)"
        if let position = lines[start..<end].firstIndex(where: { $0.hasPrefix(key + " =") }) {
            lines[position] = line
        } else {
            lines.insert(line, at: start)
        }
    }

    /// A key's value as it stands in the table.
    func value(of key: String, in header: String, number: Int = 0) throws -> String {
        let (start, end) = table(header, number)
        guard let line = lines[start..<end].first(where: { $0.hasPrefix(key + " = ") }) else {
            throw HarnessError("no \(key) in \(header)")
        }
        return String(line.dropFirst(key.count + 3))
    }

    /// Has the second HSM be the token of the first, by its serial number.
    mutating func nameTokenOfFirstHSMAgain() throws {
        for key in ["env", "pin"] { set(key, try value(of: key, in: "[[hsm]]"), in: "[[hsm]]", number: 1) }
        let tokens = try TokenTool(facts: facts, hsm: "hsm-1").tokens()
        guard let line = tokens.split(separator: "\n").first(where: { $0.contains("serial num") }),
            let serial = line.split(separator: " ").last
        else { throw HarnessError("no serial number: \(tokens)") }
        set("token", "{ serial = \"\(serial)\" }", in: "[[hsm]]", number: 1)
    }

    /// Adds tables at the end.
    mutating func append(_ text: String) { lines += text.split(separator: "\n").map(String.init) }

    /// Takes out the table of this header with this number, header and all, and returns it.
    @discardableResult
    mutating func removeTable(_ header: String, number: Int) -> [String] {
        let (start, end) = table(header, number)
        guard start > 0, start <= end, lines[start - 1] == header else { return [] }
        defer { lines.removeSubrange((start - 1)..<end) }
        return Array(lines[(start - 1)..<end])
    }

    /// Everything anew, but for the addresses: a running node keeps them.
    mutating func replaceLines(_ lines: [String]) { self.lines = lines }

    mutating func keepAddresses(of other: ServeConfiguration) throws {
        for header in ["[xks]", "[control]"] {
            let (start, end) = other.table(header, 0)
            guard let line = other.lines[start..<end].first(where: { $0.hasPrefix("listen =") }) else { continue }
            set("listen", String(line.dropFirst("listen = ".count)), in: header)
        }
        facts = other.facts
    }

    /// Takes over the credential of another node's key store: nodes of a cluster take the same requests.
    mutating func useCredential(of other: ServeConfiguration) {
        guard let line = other.lines.first(where: { $0.hasPrefix("credentials = ") }) else { return }
        set("credentials", String(line.dropFirst("credentials = ".count)), in: "[[keystore]]")
        (facts.access_key_id, facts.secret) = (other.facts.access_key_id, other.facts.secret)
    }

    mutating func setInAll(_ header: String, _ key: String, _ value: String) {
        for number in lines.indices.filter({ lines[$0] == header }).indices {
            set(key, value, in: header, number: number)
        }
    }

    mutating func remove(_ key: String, in header: String, number: Int = 0) {
        let (start, end) = table(header, number)
        if let position = lines[start..<end].firstIndex(where: { $0.hasPrefix(key + " =") }) {
            lines.remove(at: position)
        }
    }

    /// The number of the line with this text, counted from 1.
    func lineNumber(of text: String, number: Int = 0) -> Int {
        let positions = lines.indices.filter { lines[$0].hasPrefix(text) }
        return positions.indices.contains(number) ? positions[number] + 1 : 0
    }

    /// Writes the file and returns its path.
    func write() throws -> String { try scratch.write(text, to: "claviger.toml") }

    /// The lines of a table, its header aside; an empty range at the end when there is no such table.
    private func table(_ header: String, _ number: Int) -> (start: Int, end: Int) {
        let headers = lines.indices.filter { lines[$0] == header }
        guard headers.indices.contains(number) else { return (lines.count, lines.count) }
        let start = headers[number] + 1
        return (start, lines[start...].firstIndex { $0.hasPrefix("[") } ?? lines.count)
    }

    /// A TCP port of the loopback address that nobody uses at the moment.
    static func freePort() throws -> Int {
        for _ in 0..<1_000 {
            let port = try portOfSystem()
            // The system may give a port again as soon as it is free, which is at once.
            if givenPorts.update({ $0.insert(port).inserted }) { return port }
        }
        throw HarnessError("no port that was not given before")
    }

    /// The loopback address with such a port.
    static func freeAddress() throws -> String { "127.0.0.1:\(try freePort())" }

    private static let givenPorts = Observed<Set<Int>>([])

    private static func portOfSystem() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            guard bind(descriptor, pointer, length) == 0 else { return -1 }
            return getsockname(descriptor, pointer, &length)
        }
        guard result == 0 else { throw HarnessError("no free port: \(String(cString: strerror(errno)))") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// 127.0.0.1 and a port, for the system's calls.
func loopback(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port).bigEndian)
    address.sin_addr.s_addr = in_addr_t(UInt32(0x7F00_0001).bigEndian)
    return address
}
