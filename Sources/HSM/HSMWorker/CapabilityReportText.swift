// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11

extension CapabilityReport {
    /// The report for a terminal: what was found and what it means, line by line; at the end the setting that pins it.
    package var text: String {
        let identity = token.identity
        var lines = [
            "\(module)",
            line(
                "library",
                "\(library.description), \(library.manufacturer), version \(library.version), "
                    + "PKCS#11 \(library.cryptokiVersion)"),
            line(
                "threads",
                allowsThreads
                    ? "any number may call the library at the same time"
                    : "one at a time: the library cannot lock, so its HSM has one lane"),
            line(
                "token",
                "\"\(identity.label)\", serial \(identity.serial), \(identity.model), firmware \(identity.firmware), "
                    + "slot \(identity.slot)"),
            line(
                "sessions",
                identity.sessionLimit == 0 ? "the token tells no limit" : "at most \(identity.sessionLimit)"),
            line("generator", generatorText),
            line("AES-GCM", mechanismText),
        ]
        guard let trials else {
            let refusal = keyRefusal.map { "\($0)" } ?? "no reason given"
            lines += [
                line("trials", "none: the token makes no AES-256 session key (\(refusal))"), "",
                "How this token wants AES-GCM to be called could not be found out. Claviger believes it to be",
                "like most; where it is not, `profile` in the configuration says how it is.",
            ]
            return lines.joined(separator: "\n") + "\n"
        }
        return (lines + trials.lines).joined(separator: "\n") + "\n"
    }

    private var generatorText: String {
        if let generatorRefusal { return "CANNOT BE USED: \(generatorRefusal)" }
        return "gives random bytes"
    }

    private var mechanismText: String {
        switch (listsGCM, takesMessages) {
        case (true, true): "CKM_AES_GCM is listed, also for the message functions of PKCS#11 3.0"
        case (true, false):
            "CKM_AES_GCM is listed" + (hasMessageFunctions ? ", but not for the message functions of PKCS#11 3.0" : "")
        case (false, _): "only in the message functions of PKCS#11 3.0"
        }
    }
}

private func line(_ name: String, _ text: String) -> String {
    "  " + name + String(repeating: " ", count: max(15 - name.count, 1)) + text
}

extension CapabilityReport.Trials {
    fileprivate var lines: [String] {
        let profile = capabilities.profile
        var lines = ways.map { line("parameter", $0.text) }
        lines.append(line("IV source", profile.ivSource.meaning))
        lines.append(line("wrong tag", wrongTagText))
        lines.append(line("IV lengths", [12, 16].map { "\($0) bytes \(ivText($0))" }.joined(separator: ", ")))
        lines.append(line("largest data", largestData.text))
        lines.append(line("largest AAD", largestAAD.text))
        let readable = attributes.filter(\.isReadable).map(\.name)
        let hidden = attributes.filter { !$0.isReadable }.map(\.name)
        lines.append(line("key attributes", readable.isEmpty ? "none can be read" : readable.joined(separator: " ")))
        if !hidden.isEmpty { lines.append(line("", "not to be read: \(hidden.joined(separator: " "))")) }
        lines.append("")
        if let name = profile.name {
            lines.append(
                profileWasGiven
                    ? "This profile was given, not found." : "Found by itself at each start; to pin it:")
            lines.append("profile = \"\(name)\"")
        }
        return lines
    }

    private func ivText(_ length: Int) -> String {
        switch ivLengths[length] ?? .unknown {
        case .accepted: "accepted"
        case .refused: "REFUSED (KMS never sends such a ciphertext that this token has not made)"
        case .unknown: "could not be tried"
        }
    }

    private var wrongTagText: String {
        let code = ReturnCode(rawValue: UInt(truncatingIfNeeded: capabilities.wrongTagCode))
        switch code {
        case .ok: return "not sure: the token's answers differed"
        case .encryptedDataInvalid, .aeadDecryptFailed, .signatureInvalid:
            return "\(code)  (says just that)"
        default:
            return "\(code)  (could also mean an HSM that is busy or sick: Claviger takes a second opinion)"
        }
    }
}

extension CapabilityReport.Way {
    fileprivate var text: String {
        let name =
            switch layout {
            case .withIVBits: "CK_GCM_PARAMS with ulIvBits, 48 bytes"
            case .withoutIVBits: "CK_GCM_PARAMS without ulIvBits, 40 bytes"
            case .message: "CK_GCM_MESSAGE_PARAMS, message functions"
            }
        if let refusal { return "\(name): refused (\(refusal))" }
        return "\(name): accepted" + (ivSource == .caller || ivSource == nil ? "" : ", without an IV of the caller")
    }
}

extension CapabilityReport.Limit {
    fileprivate var text: String {
        guard let refusal else { return "at least \(accepted / 1024) KiB" }
        if accepted == 0 { return "less than \(CapabilityReport.steps[0] / 1024) KiB (\(refusal))" }
        return "\(accepted / 1024) KiB or somewhat more (the next step was refused: \(refusal))"
    }
}

extension GCMProfile.IVSource {
    fileprivate var meaning: String {
        switch self {
        case .caller: "the caller; Claviger draws each IV from the HSM's generator"
        case .buffer: "the HSM, into the caller's zeroed buffer  (as CloudHSM and nShield do)"
        case .appended: "the HSM, 16 bytes behind the tag  (as Luna does in FIPS mode)"
        }
    }
}

extension GCMProfile {
    /// The first of the names by which the configuration chooses this profile.
    package var name: String? { Self.names.first { $0.profile == self }?.name }
}
