// SPDX-License-Identifier: Apache-2.0
import ConnectionLimits
import TLSFacts

// What is read before TLS is taken off a connection, or beside it.

extension FuzzTarget {
    /// The header of the PROXY protocol before a client's bytes.
    static let proxyHeader = FuzzTarget(name: "proxy") { bytes in
        let reading = ProxyHeader.read(bytes)
        switch reading {
        case .whole(_, let length):
            guard (1...bytes.count).contains(length) else { return "a header of \(length) of \(bytes.count) bytes" }
            guard ProxyHeader.read(bytes.prefix(length)) == reading else { return "it depends on what follows it" }
        case .incomplete:
            guard bytes.count < ProxyHeader.longestBody + 16 else { return "it never becomes whole" }
        case .missing, .malformed:
            // A listener closes the connection, so that it must not have been too early.
            guard !bytes.isEmpty else { return "nothing was refused" }
        }
        return nil
    }

    /// What a TLS server says first, whole and in pieces.
    static let serverFlight = FuzzTarget(name: "handshake") { bytes in
        var input = FuzzInput(bytes)
        let size = Int(input.byte())
        var (whole, pieces) = (ServerFlight(), ServerFlight())
        let expected = whole.read(input.bytes)
        var seen = ServerFlight.Reading.more
        for part in input.parts(of: size) {
            seen = pieces.read(part)
            if case .done = seen { break }
        }
        return seen == expected || input.bytes.isEmpty ? nil : "\(expected) whole, \(seen) in pieces of \(size)"
    }
}
