// SPDX-License-Identifier: Apache-2.0

/// What 16631be reads of what other nodes say: its decoders and its bounds, as they stood in that version. They are never
/// changed, but for what the tests do not look at, which is left out.
enum Version16631be {}

extension Version16631be {
    struct GossipMessage: Decodable {
        enum Kind: String, Decodable, CaseIterable { case ping, ack, pingRequest, nack, exchange, leave }

        static let mostUpdates = 8
        static let mostExchanged = 64

        var version: Int
        var kind: Kind
        var sender: NodeIdentity
        var receiver: String?
        var sequence: UInt64
        var target: NodeIdentity?
        var facts: NodeFacts
        var updates: [MemberUpdate]
    }

    struct MemberUpdate: Decodable {
        var identity: NodeIdentity
        var liveness: Liveness
        var accuser: String?
        var facts: NodeFacts?
    }

    struct NodeIdentity: Decodable {
        var name: String
        var address: String
        var site: String
        var incarnation: UInt64
    }

    enum Liveness: String, Decodable, CaseIterable { case alive, suspect, dead, left }

    struct NodeFacts: Decodable {
        var revision: UInt64
        var isDraining: Bool
        var version: String
        var configuration: String
        var canaries: String
        var blocks: String
        var inFlight: UInt32
        var encrypts: UInt64
        var decrypts: UInt64
        var hsms: [HSMFact]
        var unservedKeys: [String]
    }

    struct HSMFact: Decodable {
        enum State: String, Decodable, CaseIterable { case active, degraded, starting, probing, unavailable }

        var name: String
        var serial: String
        var manufacturer: String
        var model: String
        var firmware: String
        var state: State
        var isDrained: Bool
    }
}

// MARK: - Bounds

extension Version16631be {
    private static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x2D: true
                default: false
                }
            }
    }

    /// A host's name or an IPv4 address, and a port. (IPv6 is left out.)
    private static func isAddress(_ address: String) -> Bool {
        let pieces = address.split(separator: ":", omittingEmptySubsequences: false)
        guard address.utf8.count <= 262, pieces.count == 2, let port = UInt32(pieces[1]) else { return false }
        return (1...65_535).contains(port) && (1...253).contains(pieces[0].utf8.count)
    }

    private static func isText(_ text: String, _ longest: Int) -> Bool {
        text.utf8.count <= longest && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }

    private static let highestNumber: UInt64 = 1 << 53

    private static func isFit(_ identity: NodeIdentity) -> Bool {
        isName(identity.name) && isAddress(identity.address) && isText(identity.site, 64)
            && identity.incarnation <= highestNumber
    }

    private static func isFit(_ facts: NodeFacts) -> Bool {
        facts.revision <= highestNumber && facts.hsms.count <= 64 && facts.unservedKeys.count <= 32
            && isText(facts.version, 128)
            && [facts.configuration, facts.canaries, facts.blocks].allSatisfy { isText($0, 128) }
            && facts.hsms.allSatisfy { hsm in
                [hsm.name, hsm.serial, hsm.manufacturer, hsm.model, hsm.firmware].allSatisfy { isText($0, 128) }
            } && facts.unservedKeys.allSatisfy { isText($0, 255) }
    }

    private static func isFit(_ update: MemberUpdate) -> Bool {
        guard isFit(update.identity), update.facts.map(isFit) != false else { return false }
        guard let accuser = update.accuser else { return true }
        return isName(accuser) && (update.liveness == .suspect || update.liveness == .dead)
    }

    /// Whether a node of the version takes the message in; one that it does not is answered 400, or counts as no answer.
    static func takes(_ message: GossipMessage) -> Bool {
        let most = message.kind == .exchange ? GossipMessage.mostExchanged : GossipMessage.mostUpdates
        return message.version == 1 && isFit(message.sender) && message.receiver.map(isName) != false
            && message.sequence <= highestNumber && (message.target != nil) == (message.kind == .pingRequest)
            && message.target.map(isFit) != false && isFit(message.facts) && message.updates.count <= most
            && message.updates.allSatisfy { isFit($0) && $0.identity.name != message.sender.name }
    }
}
