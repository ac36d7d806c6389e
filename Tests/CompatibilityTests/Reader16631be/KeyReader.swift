// SPDX-License-Identifier: Apache-2.0
import Foundation

extension Version16631be {
    struct SharedCanary: Decodable, Equatable {
        var label: String
        var iv: [UInt8]
        var ciphertext: [UInt8]
        var digest: [UInt8]
        var maker: String
        var node: String
        var madeAt: Int64
        var isTrusted: Bool
    }

    /// What it reads at `/cluster/v1/canaries`, of requests and of answers.
    struct CanaryPage: Decodable {
        var canaries: [SharedCanary]
        var after: String?

        /// A page that is not is answered 400, or counts as no answer.
        var isWithinBounds: Bool {
            canaries.count <= 256
                && canaries.allSatisfy { canary in
                    (1...255).contains(canary.label.utf8.count) && (12...16).contains(canary.iv.count)
                        && (1...128).contains(canary.ciphertext.count) && canary.digest.count == 32
                        && canary.maker.utf8.count <= 255 && canary.node.utf8.count <= 64
                }
        }
    }

    /// What it reads at `/cluster/v1/forward`.
    struct ForwardedRequest {
        struct Head: Decodable {
            var method: String
            var target: String
            /// Name and value by turns.
            var headers: [String]
            var peer: String
        }

        var head: Head
        var body: Data

        /// `nil` for what it answers with 400.
        init?(_ bytes: Data) {
            let bytes = Array(bytes)
            guard bytes.count >= 4 else { return nil }
            let length = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard length <= 128 << 10, length <= bytes.count - 4 else { return nil }
            let text = Data(bytes[4..<4 + length])
            guard let head = try? JSONDecoder().decode(Head.self, from: text), head.headers.count.isMultiple(of: 2)
            else { return nil }
            (self.head, body) = (head, Data(bytes[(4 + length)...]))
        }
    }
}
