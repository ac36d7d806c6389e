// SPDX-License-Identifier: Apache-2.0
import Foundation
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// NSS softoken (Debian: libnss3) with a database of its own: a second implementation, which wants initialisation
/// arguments, has two slots with one serial number, and knows PKCS#11 3.0.
///
/// As with SoftHSM, each test that uses one runs in a child process.
struct NSS {
    static let library = "libsoftokn3.so"
    static let label = "NSS Certificate DB"
    static let pin = "nss-user-1"

    let module: Module
    let identity: TokenIdentity
    let directory: URL
    let initializeArguments: String

    var userPIN: SecretBytes { SecretBytes(Self.pin.utf8) }

    /// Makes the database, sets its password, and stores these keys.
    init(keys: [NewKey] = []) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "claviger-nss-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        initializeArguments =
            "configdir='sql:\(directory.path)' certPrefix='' keyPrefix='' secmod='secmod.db' flags= "
        module = try Module.load(path: Self.library, initializeArguments: initializeArguments)
        let fresh = try #require(try module.tokens().first { $0.identity.label == Self.label })
        let provisioner = TokenProvisioner(module)
        // A new database has a security officer with an empty PIN.
        try provisioner.setUserPIN(
            SecretBytes(Self.pin.utf8), securityOfficerPIN: SecretBytes(), slot: fresh.identity.slot)
        try provisioner.createKeys(keys, slot: fresh.identity.slot, userPIN: SecretBytes(Self.pin.utf8))
        identity = try TokenSelector.label(Self.label).choose(among: try module.tokens()).identity
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }

    func login() throws -> Session {
        let session = try Session.open(module, slot: identity.slot)
        try session.login(pin: userPIN)
        return session
    }
}
