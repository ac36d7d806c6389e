// SPDX-License-Identifier: Apache-2.0
import StatusVocabulary

/// What a message from outside may hold. Lengths are in bytes of UTF-8.
package enum GossipBounds {
    /// Highest incarnation, and highest sequence: what JSON readers can hold without loss (RFC 8259, section 6).
    package static let highestNumber: UInt64 = 1 << 53
    /// Of dates, Unix seconds: to the end of the year 9999, the last that a certificate can name (RFC 5280, 4.1.2.5).
    static let times: ClosedRange<Int64> = 0...253_402_300_799
    /// Most by which a node's incarnation can have grown unseen. Incarnations start with Unix seconds and grow by one.
    /// Whoever claims greater ones for another would need thousands of claims to use its numbers up.
    package static let greatestJump: UInt64 = 1 << 40
    /// Most members that are remembered: nobody can fill this node's memory with names.
    package static let mostMembers = 4_096
    static let longestName = 64
    static let longestAddress = 262
    static let longestSite = 64
    static let longestDigest = 128
    /// HSM names, serials, makers; versions.
    static let longestText = 128
    static let longestLabel = 255
    /// The text of a condition.
    static let longestSentence = 300

    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    static func isName(_ name: String) -> Bool {
        (1...longestName).contains(name.utf8.count) && all(name, isNameByte)
    }

    /// Most of what a message costs is this loop.
    private static func all(_ text: String, _ isFit: (UInt8) -> Bool) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var index = 0
            while index < bytes.count, isFit(bytes[index]) { index += 1 }
            return index == bytes.count
        }
    }

    /// Host and port: a name or an IPv4 address, or an IPv6 address in brackets; a colon; 1 to 65535.
    static func isAddress(_ address: String) -> Bool {
        guard address.utf8.count <= longestAddress, let colon = address.utf8.lastIndex(of: UInt8(ascii: ":")) else {
            return false
        }
        let port = address.utf8[address.utf8.index(after: colon)...]
        guard (1...5).contains(port.count), port.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt32(String(Substring(port))), (1...65_535).contains(number)
        else { return false }
        let host = Array(address.utf8[..<colon])
        guard let first = host.first, let last = host.last else { return false }
        guard first == UInt8(ascii: "[") else { return host.count <= 253 && host.allSatisfy(isNameByte) }
        return host.count > 3 && last == UInt8(ascii: "]") && host.dropFirst().dropLast().allSatisfy(isIPv6Byte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }

    private static func isIPv6Byte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66, UInt8(ascii: ":"), UInt8(ascii: "."): true
        default: false
        }
    }

    /// 20 to 30 of `A-Z 2-7` (XKS 1.0.3, "Authentication").
    static func isAccessKeyID(_ id: String) -> Bool {
        (20...30).contains(id.utf8.count) && all(id) { (0x41...0x5A).contains($0) || (0x32...0x37).contains($0) }
    }

    /// Short, and nothing that moves a terminal's cursor.
    static func isText(_ text: String, _ longest: Int) -> Bool {
        text.utf8.count <= longest && all(text) { $0 >= 0x20 && $0 != 0x7F }
    }

    /// What is left of a text of our own.
    static func text(_ text: String, _ longest: Int) -> String {
        guard !isText(text, longest) else { return text }
        let visible = text.unicodeScalars.lazy.filter { $0.value >= 0x20 && $0.value != 0x7F }
        var scalars = String.UnicodeScalarView()
        scalars.append(contentsOf: visible.prefix(longest))
        var short = String(scalars)
        while short.utf8.count > longest { short.removeLast() }
        return short
    }
}

extension NodeIdentity {
    var isWithinBounds: Bool {
        GossipBounds.isName(name) && GossipBounds.isAddress(address)
            && GossipBounds.isText(site, GossipBounds.longestSite) && incarnation <= GossipBounds.highestNumber
    }
}

extension NodeFacts {
    var isWithinBounds: Bool {
        revision <= GossipBounds.highestNumber && hsms.count <= Self.mostHSMs
            && unservedKeys.count <= Self.mostUnservedKeys
            && GossipBounds.isText(version, GossipBounds.longestText)
            && [configuration, canaries, blocks, refusedCertificates ?? ""].allSatisfy {
                GossipBounds.isText($0, GossipBounds.longestDigest)
            }
            && blockChanges.map { $0 <= GossipBounds.highestNumber } ?? true
            && (twinAddress.isEmpty || GossipBounds.isAddress(twinAddress))
            && unreached.map { $0.count <= Self.mostUnreached && $0.allSatisfy(GossipBounds.isName) } ?? true
            && hsms.allSatisfy(\.isWithinBounds)
            && certificateEnd.map(GossipBounds.times.contains) ?? true
            && credentials.map {
                $0.count <= Self.mostCredentials && $0.allSatisfy { GossipBounds.isAccessKeyID($0.id) }
            } ?? true
            && keyUses.map {
                $0.count <= Self.mostKeyUses
                    && $0.allSatisfy {
                        GossipBounds.isText($0.label, GossipBounds.longestLabel)
                            && $0.encrypts <= GossipBounds.highestNumber
                    }
            } ?? true
            && conditions.map { $0.count <= Self.mostConditions && $0.allSatisfy(\.isWithinBounds) } ?? true
            && unservedKeys.allSatisfy { GossipBounds.isText($0, GossipBounds.longestLabel) }
    }

    /// Own facts as others accept them.
    var bounded: NodeFacts {
        guard !isWithinBounds else { return self }
        var facts = self
        facts.revision = min(revision, GossipBounds.highestNumber)
        facts.version = GossipBounds.text(version, GossipBounds.longestText)
        facts.configuration = GossipBounds.text(configuration, GossipBounds.longestDigest)
        facts.canaries = GossipBounds.text(canaries, GossipBounds.longestDigest)
        facts.blocks = GossipBounds.text(blocks, GossipBounds.longestDigest)
        facts.refusedCertificates = refusedCertificates.map { GossipBounds.text($0, GossipBounds.longestDigest) }
        facts.blockChanges = blockChanges.map { min($0, GossipBounds.highestNumber) }
        facts.twinAddress = GossipBounds.isAddress(twinAddress) ? twinAddress : ""
        facts.unreached = unreached.map { Array($0.filter(GossipBounds.isName).prefix(Self.mostUnreached)) }
        facts.conditions = conditions.map { $0.prefix(Self.mostConditions).map(\.bounded) }
        facts.certificateEnd = certificateEnd.flatMap { GossipBounds.times.contains($0) ? $0 : nil }
        facts.credentials = credentials.map { uses in
            Array(uses.filter { GossipBounds.isAccessKeyID($0.id) }.prefix(Self.mostCredentials))
        }
        facts.keyUses = keyUses.map { uses in
            uses.filter { GossipBounds.isText($0.label, GossipBounds.longestLabel) }.prefix(Self.mostKeyUses).map {
                KeyEncryptions(label: $0.label, encrypts: min($0.encrypts, GossipBounds.highestNumber))
            }
        }
        facts.hsms = hsms.prefix(Self.mostHSMs).map(\.bounded)
        facts.unservedKeys = unservedKeys.prefix(Self.mostUnservedKeys).map {
            GossipBounds.text($0, GossipBounds.longestLabel)
        }
        return facts
    }

    /// Whether others should learn of the change at once. Counters are reported whenever there is something else to
    /// send.
    func isNews(after old: NodeFacts) -> Bool {
        var same = old
        same.revision = revision
        same.inFlight = inFlight
        same.encrypts = encrypts
        same.decrypts = decrypts
        same.room = room
        same.conditions = conditions
        same.credentials = credentials
        same.keyUses = keyUses
        return same != self || !Self.areAlike(old.conditions ?? [], conditions ?? [])
    }

    /// A text has figures that change from second to second.
    private static func areAlike(_ old: [Condition], _ new: [Condition]) -> Bool {
        old.count == new.count
            && zip(old, new).allSatisfy {
                $0.code == $1.code && $0.subject == $1.subject && $0.severity == $1.severity
            }
    }

    /// About how many bytes it takes in a message.
    var weight: Int {
        (conditions ?? []).reduce((credentials ?? []).count * 64) { $0 + $1.weight }
            + (keyUses ?? []).reduce(0) { $0 + $1.label.utf8.count + 48 }
            + hsms.reduce(unservedKeys.reduce(450 + (unservedFilter?.weight ?? 0)) { $0 + $1.utf8.count + 3 }) {
                sum, hsm in
                sum + 120 + hsm.name.utf8.count + hsm.serial.utf8.count + hsm.manufacturer.utf8.count
                    + hsm.model.utf8.count + hsm.firmware.utf8.count
            }
    }
}

extension Condition {
    var isWithinBounds: Bool {
        GossipBounds.isName(code) && GossipBounds.isText(node, GossipBounds.longestName)
            && GossipBounds.isText(subject, GossipBounds.longestText)
            && GossipBounds.isText(text, GossipBounds.longestSentence)
            && (details ?? []).count <= NodeFacts.mostDetails
            && (details ?? []).allSatisfy { GossipBounds.isText($0, GossipBounds.longestLabel) }
    }

    /// As others accept it.
    var bounded: Condition {
        var condition = self
        condition.node = GossipBounds.text(node, GossipBounds.longestName)
        condition.subject = GossipBounds.text(subject, GossipBounds.longestText)
        condition.text = GossipBounds.text(text, GossipBounds.longestSentence)
        condition.details = details?.prefix(NodeFacts.mostDetails).map {
            GossipBounds.text($0, GossipBounds.longestLabel)
        }
        return condition
    }

    var weight: Int {
        120 + code.utf8.count + node.utf8.count + subject.utf8.count + text.utf8.count
            + (details ?? []).reduce(0) { $0 + $1.utf8.count + 3 }
    }
}

extension HSMFact {
    var isWithinBounds: Bool {
        [name, serial, manufacturer, model, firmware, state.word].allSatisfy {
            GossipBounds.isText($0, GossipBounds.longestText)
        }
    }

    var bounded: HSMFact {
        var fact = self
        for text in [\HSMFact.name, \.serial, \.manufacturer, \.model, \.firmware] {
            fact[keyPath: text] = GossipBounds.text(fact[keyPath: text], GossipBounds.longestText)
        }
        return fact
    }
}

extension MemberUpdate {
    var isWithinBounds: Bool {
        guard identity.isWithinBounds, facts?.isWithinBounds != false, farewell?.isWithinBounds != false,
            forgotten?.isWithinBounds != false
        else { return false }
        guard let accuser else { return true }
        return GossipBounds.isName(accuser) && (liveness == .suspect || liveness == .dead)
    }
}

extension GossipMessage {
    /// Why it cannot be taken, whoever sent it; `nil` when it can.
    var flaw: GossipRefusal? {
        guard version == Self.currentVersion else { return .version }
        let most = kind == .exchange ? Self.mostExchanged : Self.mostUpdates
        guard sender.isWithinBounds, receiver.map(GossipBounds.isName) != false,
            sequence <= GossipBounds.highestNumber, (target != nil) == (kind == .pingRequest),
            target?.isWithinBounds != false, facts.isWithinBounds, farewell?.isWithinBounds != false,
            updates.count <= most,
            updates.allSatisfy({ $0.isWithinBounds && $0.identity.name != sender.name })
        else { return .malformed }
        return nil
    }
}
