// SPDX-License-Identifier: Apache-2.0

/// One way in from outside, to be fed with anything: by libFuzzer for as long as one likes (`make fuzz`), and by the
/// tests with what libFuzzer has found worth keeping.
package struct FuzzTarget: Sendable {
    /// The name of its directory in the corpus.
    package let name: String
    /// Takes an input; returns what is wrong with what became of it, `nil` when nothing is. A crash is the other finding.
    package let take: @Sendable (UnsafeRawBufferPointer) -> String?

    package static let all = [
        http1, http2, proxyHeader, serverFlight, authorization, requests, orders, lanes, cluster, configuration,
        certificates, policy, audit, answers,
    ]
}

/// An input whose first bytes say what is done with the others.
struct FuzzInput {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    /// The next byte; 0 at the end.
    mutating func byte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    /// What is left.
    var bytes: UnsafeRawBufferPointer { rest }

    /// What is left, cut into parts of so many bytes; 0 leaves it whole.
    func parts(of size: Int) -> [UnsafeRawBufferPointer] {
        guard size > 0 else { return [rest] }
        return stride(from: 0, to: rest.count, by: size).map {
            UnsafeRawBufferPointer(rebasing: rest[$0..<min($0 + size, rest.count)])
        }
    }

    /// What is left, cut at line feeds into at most so many parts; the last one has the rest.
    func lines(_ most: Int) -> [UnsafeRawBufferPointer] {
        rest.split(separator: UInt8(ascii: "\n"), maxSplits: most - 1, omittingEmptySubsequences: false)
            .map { UnsafeRawBufferPointer(rebasing: $0) }
    }
}

extension UnsafeRawBufferPointer {
    /// As text; what is no UTF-8 is replaced.
    var text: String { String(decoding: self, as: UTF8.self) }
}
