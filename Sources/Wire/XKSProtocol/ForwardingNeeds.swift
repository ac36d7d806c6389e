// SPDX-License-Identifier: Apache-2.0

/// Which nodes a request may be passed on to, besides that they serve its key.
package struct ForwardingNeeds: Sendable, Equatable {
    /// Format of Claviger's ciphertext that the node must read.
    package var format: UInt8
    /// Names of the only nodes that may be asked; `nil`: any.
    package var only: Set<String>?
    /// Names of nodes that may not be asked: those that hold another key under the label, for example.
    package var except: Set<String>
    /// The node that passes it on does not offer the key, and those that are asked may not, either.
    package var mayNotOffer: Bool
    /// The node that passes it on has more than its HSMs can do, and nothing else is wrong: a peer is asked that
    /// reports room, and no other after it.
    package var isSurplus: Bool

    package init(
        format: UInt8 = 1, only: Set<String>? = nil, except: Set<String> = [], mayNotOffer: Bool = false,
        isSurplus: Bool = false
    ) {
        self.isSurplus = isSurplus
        self.format = format
        self.only = only
        self.except = except
        self.mayNotOffer = mayNotOffer
    }

    package static let none = ForwardingNeeds()

    package func allow(node: String, reading format: Int) -> Bool {
        format >= Int(self.format) && !except.contains(node) && only?.contains(node) != false
    }

    /// Whether a peer's answer of this status decides. What its HSMs cannot do now, those of another may.
    package func isDecided(by status: Int) -> Bool { !Self.isOfTheMoment(status) && isHandedOn(status) }

    /// Whether KMS may be given an answer of this status. Of what is not offered where the request came in, one node
    /// that does not offer it either, or knows none of its credentials, says nothing for the others. Of what the first
    /// node could do itself a helper has no other word than that it is done: whatever keeps it from that, its state of
    /// the key, of a credential or of a block, is not the first node's.
    package func isHandedOn(_ status: Int) -> Bool {
        if isSurplus { return status == 200 }
        return !mayNotOffer || (status != 404 && status != 401)
    }

    /// Whether a status says what the HSMs of one node cannot do now.
    package static func isOfTheMoment(_ status: Int) -> Bool { status == 500 || status == 503 || status == 429 }
}

extension ProxyResponse {
    /// Whether another node's answer may be handed on to KMS as it is: a status that this API has, and one JSON object. A
    /// status without a body, such as 204, would split the answer on its way.
    package var isFitToHandOn: Bool {
        guard status == 200 || XKSError.Name.allCases.contains(where: { $0.status == status }) else { return false }
        return body.withUnsafeBytes { JSONShape.isObject($0) }
    }
}

/// Looks at JSON without reading it: no copy is made of what may be plaintext.
enum JSONShape {
    private static let deepest = 16

    /// Whether the bytes are one object, brackets and strings closed, and nothing after it but white space.
    static func isObject(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var open: [UInt8] = []
        var isInString = false
        var isEscaped = false
        var hasEnded = false
        for byte in bytes {
            if isInString {
                guard byte >= 0x20 else { return false }
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case 0x20, 0x09, 0x0A, 0x0D: continue
            case _ where hasEnded: return false
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard open.count < deepest, !open.isEmpty || byte == UInt8(ascii: "{") else { return false }
                open.append(byte + 2)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard open.popLast() == byte else { return false }
                hasEnded = open.isEmpty
            case UInt8(ascii: "\""):
                guard !open.isEmpty else { return false }
                isInString = true
            case 0x21...0x7E where !open.isEmpty: continue
            default: return false
            }
        }
        return hasEnded
    }
}
