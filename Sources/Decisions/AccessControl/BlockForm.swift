// SPDX-License-Identifier: Apache-2.0

// What the values of a block may be. The same rules hold for an operator's order, for a peer's list and for a row of
// the store.

extension Block {
    package static let longestReason = 256
    /// Of a user's name with its node's, bytes.
    package static let longestName = 256
    /// The end of the year 9999, Unix seconds: no sum of two times overflows.
    package static let latestTime: Int64 = 253_402_300_799
    /// Ten years of 365 days, seconds.
    package static let longestExpiry: Int64 = 315_360_000

    /// The first digits of the id, enough for people.
    package var shortID: String { String(id.prefix(Block.shortIDLength)) }
    static let shortIDLength = 8

    /// Whether `id` has the form: 32 digits of `0-9 a-f`.
    package static func isID(_ id: String) -> Bool { id.utf8.count == 32 && id.utf8.allSatisfy(isDigit) }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }

    /// - Throws: ``BlockError`` for the first value that cannot be.
    package func validate() throws(BlockError) {
        guard Block.isID(id) else { throw .idForm(id) }
        try target.validate()
        if let problem = TextForm.problem(of: reason, longest: Block.longestReason) {
            throw .reasonForm(problem: problem)
        }
        if let problem = TextForm.problem(of: madeBy, longest: Block.longestName) {
            throw .nameForm(madeBy, problem: problem)
        }
        guard (0...Block.latestTime).contains(madeAt) else { throw .timeForm(seconds: madeAt) }
        if let expiresAt, !(0...Block.latestTime).contains(expiresAt) { throw .timeForm(seconds: expiresAt) }
    }
}

extension BlockLift {
    /// - Throws: ``BlockError`` for the first value that cannot be.
    package func validate() throws(BlockError) {
        guard Block.isID(id) else { throw .idForm(id) }
        if let problem = TextForm.problem(of: liftedBy, longest: Block.longestName) {
            throw .nameForm(liftedBy, problem: problem)
        }
        guard (0...Block.latestTime).contains(liftedAt) else { throw .timeForm(seconds: liftedAt) }
    }
}

/// Text that people write and read again.
enum TextForm {
    /// What is wrong with `text`, to go after its name in a sentence; `nil` when nothing is.
    static func problem(of text: String, longest: Int) -> String? {
        guard !text.utf8.isEmpty else { return "is empty" }
        guard text.utf8.count <= longest else { return "has \(text.utf8.count) bytes" }
        guard text.unicodeScalars.allSatisfy(isPrintable) else { return "has a character that cannot be shown" }
        return nil
    }

    /// Not what ends lines, moves the cursor or turns the direction of writing: a log line stays one line.
    ///
    /// What this build's Unicode does not know yet passes, unless it will never be shown: a node of a later build may
    /// know it, and a list that one node has made must be one for all.
    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: false
        case .unassigned: !properties.isNoncharacterCodePoint && !properties.isDefaultIgnorableCodePoint
        default: true
        }
    }
}
