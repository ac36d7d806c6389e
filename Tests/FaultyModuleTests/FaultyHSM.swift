// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LaneProtocol
import PKCS11
import SecureMemory
import Testing

/// Two tokens of a SoftHSM of their own, behind the fault-injecting library.
///
/// Library, control file and SoftHSM's configuration belong to the whole process, so each test that uses one runs in a
/// child process (an exit test). Every call looks at the control file, so what `control` writes holds from the next
/// call on.
struct FaultyHSM {
    static let first = "hsm-1"
    static let second = "hsm-2"
    static let pin = "1234-user"

    let module: Module
    let directory: URL

    /// Makes the directory and both tokens, each with the keys `foo` and `bar`; then writes `control` and loads the
    /// library anew, as a process that starts with that control file does.
    init(control text: String = "", directory: URL = Self.newDirectory()) throws {
        self.directory = directory
        let tokens = directory.appending(path: "tokens")
        try FileManager.default.createDirectory(at: tokens, withIntermediateDirectories: true)
        let configuration = directory.appending(path: "softhsm2.conf")
        try Data("directories.tokendir = \(tokens.path)\nobjectstore.backend = file\nlog.level = ERROR\n".utf8)
            .write(to: configuration)
        setenv("SOFTHSM2_CONF", configuration.path, 1)
        setenv("FAULTY_PKCS11_CONTROL", directory.appending(path: "control").path, 1)
        setenv("FAULTY_PKCS11_INTERVAL", "0", 1)
        setenv("FAULTY_PKCS11_COUNTS", directory.appending(path: "counts").path, 1)
        let provisioned = try Module.load(path: Self.library)
        let provisioner = TokenProvisioner(provisioned)
        for (label, seed) in [(Self.first, UInt8(1)), (Self.second, UInt8(3))] {
            let pin = SecretBytes(Self.pin.utf8)
            let token = try provisioner.initializeToken(
                label: label, securityOfficerPIN: SecretBytes("so-pin-99".utf8), userPIN: pin)
            try provisioner.createKeys(
                [Self.key("foo", seed: seed), Self.key("bar", seed: seed + 1)], slot: token.slot, userPIN: pin)
        }
        try provisioned.finalize()
        try Self.write(text, to: directory)
        module = try Module.load(path: Self.library)
    }

    /// Where a HSM's files may be; does not exist yet.
    static func newDirectory() -> URL {
        FileManager.default.temporaryDirectory.appending(path: "claviger-faulty-\(UUID())")
    }

    /// The build puts the library beside the tests' executable.
    static var library: String {
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
        return URL(filePath: executable).deletingLastPathComponent().appending(path: "libFaultyPKCS11.so").path
    }

    private static func key(_ label: String, seed: UInt8) -> NewKey {
        NewKey(
            label: label, id: Array(label.utf8), value: SecretBytes([UInt8](repeating: seed, count: 32)),
            usage: [.encrypt, .decrypt])
    }

    private static func write(_ text: String, to directory: URL) throws {
        try Data(text.utf8).write(to: directory.appending(path: "control"), options: .atomic)
    }

    /// What the control file says from now on.
    func control(_ text: String) throws { try Self.write(text, to: directory) }

    /// How many calls of that function the token of that label has had, of all processes together.
    func calls(_ function: String, token: String = Self.first) throws -> UInt64 {
        try count(function, token: token).calls
    }

    /// The same, and the nanoseconds that they took.
    func count(_ function: String, token: String = Self.first) throws -> (calls: UInt64, nanoseconds: UInt64) {
        let file = [UInt8](try Data(contentsOf: directory.appending(path: "counts")))
        let wanted = [token, function].map { Array($0.utf8) + [UInt8](repeating: 0, count: 32 - $0.utf8.count) }
        for start in stride(from: 0, to: file.count, by: 80)
        where Array(file[start..<start + 32]) == wanted[0] && Array(file[start + 32..<start + 64]) == wanted[1] {
            let numbers = [64, 72].map { offset in
                file[start + offset..<start + offset + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            }
            return (numbers[0], numbers[1])
        }
        return (0, 0)
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }

    func token(_ label: String = Self.first) throws -> TokenDescription {
        try TokenSelector.label(label).choose(among: module.tokens())
    }

    func login(_ label: String = Self.first) throws -> Session {
        let session = try Session.open(module, slot: token(label).identity.slot)
        try session.login(pin: SecretBytes(Self.pin.utf8))
        return session
    }
}

extension Session {
    /// The handle of the key of that label; `nil` when the token shows none.
    func key(_ label: String) throws -> ObjectHandle? {
        try aesKeys(atMost: 100).keys.first { $0.label?.text == label }?.handle
    }

    /// One call over arrays; the IV is what the HSM or the caller made of it.
    func perform(
        _ operation: LaneOperation, key: ObjectHandle, iv: [UInt8] = [UInt8](repeating: 9, count: 12),
        data: [UInt8] = [1, 2, 3, 4, 5], profile: GCMProfile = .softHSM
    ) -> (result: CallResult, iv: [UInt8], output: [UInt8]) {
        var iv = iv
        var output = [UInt8](repeating: 0, count: data.count + 32)
        let result = iv.withUnsafeMutableBytes { iv in
            data.withUnsafeBytes { data in
                output.withUnsafeMutableBytes { output in
                    let none = UnsafeRawBufferPointer(start: nil, count: 0)
                    let call = GCMCall(key: key, iv: iv, aad: none, input: data, output: output)
                    return operation == .encrypt ? encrypt(call, profile: profile) : decrypt(call, profile: profile)
                }
            }
        }
        return (result, iv, Array(output.prefix(result.length)))
    }

    /// What encrypting a few bytes gives.
    func encryptionCode(_ key: ObjectHandle, profile: GCMProfile = .softHSM) -> ReturnCode {
        perform(.encrypt, key: key, profile: profile).result.code
    }

    func random(_ count: Int) -> (code: ReturnCode, bytes: [UInt8]) {
        var bytes = [UInt8](repeating: 0xee, count: count)
        let code = bytes.withUnsafeMutableBytes { random(into: $0).code }
        return (code, bytes)
    }
}

extension GCMProfile {
    static let softHSM = GCMProfile(ivSource: .caller, layout: .withIVBits)
}

/// The seconds that `body` takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    let taken = ContinuousClock.now - start
    return Double(taken.components.seconds) + Double(taken.components.attoseconds) / 1e18
}
