// SPDX-License-Identifier: Apache-2.0
import PrivateFiles
import SecureMemory

/// One SoftHSM token with a directory and a configuration of its own, so that it behaves as a separate HSM.
package struct DevHSM: Sendable, Equatable {
    /// `hsm-1`, `hsm-2`, …
    package let name: String
    package let directory: String

    /// CK_TOKEN_INFO.label
    package var tokenLabel: String { "claviger-dev-\(name)" }
    /// What the worker's `SOFTHSM2_CONF` names.
    package var configurationFile: String { directory + "/softhsm2.conf" }
    package var tokensDirectory: String { directory + "/tokens" }
    package var pinFile: String { directory + "/pin" }

    /// How many a node may have.
    static let numbers = 1...16

    static func all(_ count: Int, in directory: String) -> [DevHSM] {
        (1...count).map { DevHSM(number: $0, stateDirectory: directory) }
    }

    package init(number: Int, stateDirectory: String) {
        name = "hsm-\(number)"
        directory = "\(stateDirectory)/hsm-\(number)"
    }

    /// True once the token has been filled. The directory gets its name as the last step, so it is never half done.
    package var isComplete: Bool { PrivateFiles.exists(directory) }
}

/// What the process that fills one token is given.
package struct ProvisioningOrder: Sendable {
    /// The HSM's name, for messages.
    package let name: String
    /// Path of the PKCS#11 library.
    package let module: String
    /// Environment to add: SoftHSM reads `SOFTHSM2_CONF` when it is loaded, hence a process for each token.
    package let environment: [String: String]
    package let plan: TokenPlan
}

extension DevHSM {
    /// Fills the tokens that are missing, one after another, all with the same keys.
    static func ensure(
        _ hsms: [DevHSM], state: DevState, module: String, provision: (ProvisioningOrder) throws -> Void
    ) throws {
        let missing = hsms.filter { !$0.isComplete }
        if !missing.isEmpty {
            let keys = try DevKeys.ensure(in: state)
            for hsm in missing { try TokenStaging(hsm: hsm, module: module).run(keys: keys, provision: provision) }
        }
        for hsm in hsms { try hsm.writeConfiguration() }
    }

    /// Writes SoftHSM's configuration of the finished token; at each start, because the state directory may have moved.
    func writeConfiguration() throws {
        try PrivateFiles.write(Self.configuration(tokens: tokensDirectory), to: configurationFile)
    }

    fileprivate static func configuration(tokens: String) -> String {
        """
        # Made by `claviger dev`.
        directories.tokendir = \(tokens)
        objectstore.backend = file
        log.level = ERROR
        slots.removable = false

        """
    }
}

/// Makes tokens: each is filled in a directory with another name, which gets its own once all is in it.
struct TokenStaging {
    let hsm: DevHSM
    let module: String

    private var partialDirectory: String { hsm.directory + ".partial" }

    /// Fills the HSM's token through `provision`; whatever an interrupted attempt left is removed first.
    func run(keys: DevKeys, provision: (ProvisioningOrder) throws -> Void) throws {
        try PrivateFiles.removeTree(partialDirectory)
        try PrivateFiles.makeDirectory(partialDirectory)
        try PrivateFiles.makeDirectory(partialDirectory + "/tokens")
        let soPIN = Self.makePIN()
        let userPIN = Self.makePIN()
        try PrivateFiles.write(soPIN, to: partialDirectory + "/so-pin")
        try PrivateFiles.write(userPIN, to: partialDirectory + "/pin")
        let configuration = partialDirectory + "/softhsm2.conf"
        try PrivateFiles.write(DevHSM.configuration(tokens: partialDirectory + "/tokens"), to: configuration)
        try provision(
            ProvisioningOrder(
                name: hsm.name, module: module, environment: ["SOFTHSM2_CONF": configuration],
                plan: TokenPlan(label: hsm.tokenLabel, soPIN: soPIN, userPIN: userPIN, keys: keys.keys)))
        // The token's files name no path, so they may move. SoftHSM's configuration does: it is written after the move.
        try PrivateFiles.rename(partialDirectory, to: hsm.directory)
    }

    /// 120 random bits in 24 characters that any library takes for a PIN.
    private static func makePIN() -> SecretBytes {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
        var generator = SystemRandomNumberGenerator()
        let pin = SecretBytes(capacity: 24)
        for _ in 0..<24 { pin.append(alphabet[Int.random(in: alphabet.indices, using: &generator)]) }
        return pin
    }
}
