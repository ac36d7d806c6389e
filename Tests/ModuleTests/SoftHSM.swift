// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory
import StatusVocabulary
import Testing

/// A SoftHSM of its own in a temporary directory.
///
/// The library keeps its state for the whole process and reads its configuration from the environment, so each test
/// that uses one runs in a child process (an exit test).
struct SoftHSM {
    static let library = "/usr/lib/softhsm/libsofthsm2.so"
    static let label = "one"
    static let pin = "1234-user"

    let module: Module
    let identity: TokenIdentity
    let directory: URL

    var userPIN: SecretBytes { SecretBytes(Self.pin.utf8) }

    /// Makes the directory, and a token with these keys.
    init(keys: [NewKey] = []) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "claviger-module-\(UUID())")
        let tokens = directory.appending(path: "tokens")
        try FileManager.default.createDirectory(at: tokens, withIntermediateDirectories: true)
        let configuration = directory.appending(path: "softhsm2.conf")
        try Data("directories.tokendir = \(tokens.path)\nobjectstore.backend = file\nlog.level = ERROR\n".utf8)
            .write(to: configuration)
        setenv("SOFTHSM2_CONF", configuration.path, 1)
        module = try Module.load(path: Self.library)
        let provisioner = TokenProvisioner(module)
        let pin = SecretBytes(Self.pin.utf8)
        identity = try provisioner.initializeToken(
            label: Self.label, securityOfficerPIN: SecretBytes("so-pin-99".utf8), userPIN: pin)
        try provisioner.createKeys(keys, slot: identity.slot, userPIN: pin)
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }

    func login() throws -> Session {
        let session = try Session.open(module, slot: identity.slot)
        try session.login(pin: userPIN)
        return session
    }

    /// AES-256 of bytes that `seed` names.
    static func key(
        _ label: String, id: [UInt8] = [1], seed: UInt8 = 7, size: Int = 32, usage: KeyUsage = [.encrypt, .decrypt]
    ) -> NewKey {
        NewKey(label: label, id: id, value: SecretBytes(keyBytes(seed, size: size)), usage: usage)
    }

    static func keyBytes(_ seed: UInt8, size: Int = 32) -> [UInt8] { (0..<size).map { seed &+ UInt8($0) } }
}

extension Session {
    /// One call over arrays.
    func perform(
        _ operation: LaneOperation, key: ObjectHandle, iv: [UInt8], aad: [UInt8] = [], data: [UInt8],
        profile: GCMProfile = GCMProfile(ivSource: .caller, layout: .withIVBits)
    ) -> (result: CallResult, output: [UInt8]) {
        var iv = iv
        var output = [UInt8](repeating: 0, count: data.count + gcmTagLength)
        let result = iv.withUnsafeMutableBytes { iv in
            aad.withUnsafeBytes { aad in
                data.withUnsafeBytes { data in
                    output.withUnsafeMutableBytes { output in
                        let call = GCMCall(key: key, iv: iv, aad: aad, input: data, output: output)
                        return operation == .encrypt ? encrypt(call, profile: profile) : decrypt(call, profile: profile)
                    }
                }
            }
        }
        return (result, Array(output.prefix(result.length)))
    }
}
