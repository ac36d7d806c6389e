// SPDX-License-Identifier: Apache-2.0
import Foundation

/// OpenSC's `pkcs11-tool` on one token of a development node: another program that uses the HSM at the same time.
struct TokenTool {
    let facts: NodeFacts
    /// `hsm-1`, …
    let hsm: String

    /// Makes a key that stays on the token.
    func makeKey(_ label: String, bytes: Int = 32) throws {
        try call(["--keygen", "--key-type", "AES:\(bytes)", "--label", label])
    }

    /// Makes an RSA pair that stays on the token.
    func makePair(_ label: String) throws { try call(["--keypairgen", "--key-type", "rsa:2048", "--label", label]) }

    /// Puts a key of this value there, which may encrypt and decrypt.
    func write(_ value: [UInt8], as label: String) throws {
        let scratch = try Scratch()
        let file = scratch.file("value")
        try Data(value).write(to: URL(fileURLWithPath: file))
        try call(["--write-object", file, "--type", "secrkey", "--key-type", "AES:32", "--label", label])
    }

    func delete(_ label: String) throws { try call(["--delete-object", "--type", "secrkey", "--label", label]) }

    /// What it reports of the tokens.
    func tokens() throws -> String { try output(["--list-token-slots"]) }

    private func call(_ arguments: [String]) throws {
        let pin = try text(ofFile: "\(facts.state_directory)/\(hsm)/pin")
        _ = try output(["--login", "--pin", pin] + arguments)
    }

    private func output(_ arguments: [String]) throws -> String {
        let result = try run(
            ["/usr/bin/env", "pkcs11-tool", "--module", softHSMLibrary] + arguments,
            environment: ["SOFTHSM2_CONF": "\(facts.state_directory)/\(hsm)/softhsm2.conf"])
        guard result.isSuccess else { throw HarnessError("pkcs11-tool: \(result.errors)") }
        return result.output
    }
}
