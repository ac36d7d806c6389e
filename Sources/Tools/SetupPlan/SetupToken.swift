// SPDX-License-Identifier: Apache-2.0
import NodeConfig

/// A token that a library shows.
package struct SetupToken: Sendable, Equatable, Codable {
    package var slot: UInt64
    /// As it is shown; bytes that are no UTF-8 are repaired in it.
    package var label: String
    package var serial: String
    /// Manufacturer and model.
    package var model: String
    package var isInitialized: Bool
    /// Its user PIN is locked.
    package var isLocked: Bool
    /// The next wrong PIN locks it.
    package var isAtFinalTry: Bool
    /// CKM_AES_GCM; `nil` where the token does not list its mechanisms.
    package var hasGCM: Bool?

    package init(
        slot: UInt64, label: String, serial: String, model: String = "", isInitialized: Bool = true,
        isLocked: Bool = false, isAtFinalTry: Bool = false, hasGCM: Bool? = true
    ) {
        self.slot = slot
        self.label = label
        self.serial = serial
        self.model = model
        self.isInitialized = isInitialized
        self.isLocked = isLocked
        self.isAtFinalTry = isAtFinalTry
        self.hasGCM = hasGCM
    }

    /// One line for a person, without its number.
    package var line: String {
        let flaws = [
            isInitialized ? nil : "not initialised", isLocked ? "PIN locked" : nil,
            isAtFinalTry && !isLocked ? "one more wrong PIN locks it" : nil, hasGCM == false ? "no AES-GCM" : nil,
        ].compactMap(\.self)
        let end = flaws.isEmpty ? "" : " (\(flaws.joined(separator: ", ")))"
        return "\(Shown.quoted(label)), serial \(serial.isEmpty ? "-" : serial), slot \(slot)"
            + (model.isEmpty ? "" : ", \(model)") + end
    }

    /// The token that an answer means: by its number in the list, from 1, or by its label.
    package static func chosen(by text: String, among tokens: [SetupToken]) throws(SetupProblem) -> SetupToken {
        let option = SetupQuestion.token.option
        guard !tokens.isEmpty else {
            throw SetupProblem(
                option, value: text, "the library shows no token at all", fix: "look at the library's own configuration"
            )
        }
        let labelled = tokens.filter { $0.label == text && $0.isInitialized }
        if let token = labelled.first {
            guard labelled.count == 1 else {
                throw SetupProblem(
                    option, value: text, "is the label of \(labelled.count) tokens", fix: "choose by --serial or --slot"
                )
            }
            return try usable(token, option, text)
        }
        if let number = Int(text), tokens.indices.contains(number - 1) {
            return try usable(tokens[number - 1], option, text)
        }
        throw SetupProblem(
            option, value: text, "is no token of the library, which shows \(list(tokens))",
            fix: "name one of them by its label")
    }

    /// The token of this serial number.
    package static func withSerial(_ serial: String, among tokens: [SetupToken]) throws(SetupProblem) -> SetupToken {
        try only(tokens.filter { $0.serial == serial }, "--serial", serial, among: tokens)
    }

    package static func inSlot(_ slot: UInt64, among tokens: [SetupToken]) throws(SetupProblem) -> SetupToken {
        try only(tokens.filter { $0.slot == slot }, "--slot", "\(slot)", among: tokens)
    }

    private static func only(
        _ found: [SetupToken], _ option: String, _ value: String, among tokens: [SetupToken]
    ) throws(SetupProblem) -> SetupToken {
        guard let token = found.first, found.count == 1 else {
            let shown = tokens.isEmpty ? "no token at all" : list(tokens)
            throw SetupProblem(
                option, value: value, "is that of \(found.count) tokens; the library shows \(shown)",
                fix: "name one of them")
        }
        return try usable(token, option, value)
    }

    private static func usable(
        _ token: SetupToken, _ option: String, _ value: String
    ) throws(SetupProblem) -> SetupToken {
        guard token.isInitialized else {
            throw SetupProblem(
                option, value: value, "is a token that is not initialised",
                fix: "initialise it by the vendor's tools (SoftHSM: softhsm2-util --init-token), then run this again")
        }
        guard !token.isLocked else {
            throw SetupProblem(
                option, value: value, "is a token whose user PIN is locked", fix: "have its security officer unlock it")
        }
        guard token.hasGCM != false else {
            throw SetupProblem(
                option, value: value, "is a token without AES-GCM, so it cannot serve KMS",
                fix: "claviger hsm list shows what the library offers; choose another token")
        }
        return token
    }

    private static func list(_ tokens: [SetupToken]) -> String {
        let more = tokens.count > 16 ? " and \(tokens.count - 16) more" : ""
        return tokens.prefix(16).map(\.line).joined(separator: "; ") + more
    }

    /// How a configuration names it: by its label, which stays when a token moves to another slot; else by its serial
    /// number; else by its slot.
    package func selector(among tokens: [SetupToken]) -> HSMSettings.Token {
        func isClean(_ text: String, atMost limit: Int) -> Bool {
            (1...limit).contains(text.utf8.count) && text.utf8.last != UInt8(ascii: " ") && !text.contains("\u{FFFD}")
                && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        }
        if isClean(label, atMost: 32), tokens.filter({ $0.label == label && $0.isInitialized }).count == 1 {
            return .label(label)
        }
        if isClean(serial, atMost: 16), tokens.filter({ $0.serial == serial }).count == 1 { return .serial(serial) }
        return .slot(slot)
    }
}

/// An AES key that a token shows after the login.
package struct SetupTokenKey: Sendable, Equatable, Codable {
    /// `nil` when it cannot be read.
    package var label: String?
    /// `nil` when the token does not say.
    package var bits: Int?
    package var mayEncrypt: Bool
    package var mayDecrypt: Bool

    package init(label: String?, bits: Int? = 256, mayEncrypt: Bool = true, mayDecrypt: Bool = true) {
        self.label = label
        self.bits = bits
        self.mayEncrypt = mayEncrypt
        self.mayDecrypt = mayDecrypt
    }

    /// Whether it is of the kind that KMS wants.
    package var isUsable: Bool { label?.isEmpty == false && (bits ?? 256) == 256 && mayEncrypt && mayDecrypt }

    /// Why not; empty where it is.
    package var flaw: String {
        if let bits, bits != 256 { return "is an AES-\(bits) key, and KMS wants AES-256" }
        return switch (mayEncrypt, mayDecrypt) {
        case (true, true): ""
        case (true, false): "may not decrypt (CKA_DECRYPT)"
        case (false, true): "may not encrypt (CKA_ENCRYPT)"
        case (false, false): "may neither encrypt nor decrypt (CKA_ENCRYPT, CKA_DECRYPT)"
        }
    }
}
