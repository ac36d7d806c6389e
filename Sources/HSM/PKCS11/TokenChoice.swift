// SPDX-License-Identifier: Apache-2.0
import LaneProtocol

/// No token, or more than one, answers to a selector.
package struct TokenChoiceError: Error, Sendable, Equatable, CustomStringConvertible {
    package let selector: TokenSelector
    /// The tokens that answer: none, or several.
    package let matching: [TokenDescription]
    /// All tokens there are.
    package let found: [TokenDescription]

    package var description: String {
        let wanted = selector.description
        if matching.count > 1 {
            return "\(matching.count) tokens have \(wanted): \(Self.list(matching)). Choose by serial or slot."
        }
        if found.isEmpty { return "no token has \(wanted): the library shows no token at all" }
        return "no token has \(wanted). Found: \(Self.list(found))"
    }

    private static func list(_ tokens: [TokenDescription]) -> String {
        let shown = tokens.prefix(16).map { token in
            let identity = token.identity
            let label = token.flags.contains(.initialized) ? "label \"\(identity.label)\"" : "not initialised"
            return "slot \(identity.slot) (\(label), serial \"\(identity.serial)\", \(identity.model))"
        }
        let more = tokens.count > shown.count ? " and \(tokens.count - shown.count) more" : ""
        return shown.joined(separator: ", ") + more
    }
}

extension TokenSelector: CustomStringConvertible {
    package var description: String {
        switch self {
        case .label(let label): "label \"\(label)\""
        case .serial(let serial): "serial \"\(serial)\""
        case .slot(let slot): "slot \(slot)"
        }
    }

    /// Chooses the one token that the selector means, by bytes: Swift calls Strings equal that are different labels.
    /// Tokens that are not initialised have no label worth the name.
    package func choose(among tokens: [TokenDescription]) throws(TokenChoiceError) -> TokenDescription {
        let matching = tokens.filter { token in
            switch self {
            case .label(let label): token.label.elementsEqual(label.utf8) && token.flags.contains(.initialized)
            case .serial(let serial): token.serial.elementsEqual(serial.utf8)
            case .slot(let slot): token.identity.slot == slot
            }
        }
        guard let chosen = matching.first, matching.count == 1 else {
            throw TokenChoiceError(selector: self, matching: matching, found: tokens)
        }
        return chosen
    }
}
