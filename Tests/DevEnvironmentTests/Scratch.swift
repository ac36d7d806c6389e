// SPDX-License-Identifier: Apache-2.0
import DevEnvironment
import Foundation
import SecureMemory

/// A directory that goes away with the value.
final class Scratch {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("claviger-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func content(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)) }

    func text(_ name: String) throws -> String { String(decoding: try content(name), as: UTF8.self) }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path + "/" + name) }

    /// Permission bits.
    func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path + "/" + name)
        return (attributes[.posixPermissions] as? Int) ?? -1
    }
}

/// Stands for the process that fills tokens: records its orders and leaves a file where SoftHSM would.
final class RecordingProvisioner {
    private(set) var orders: [ProvisioningOrder] = []
    var failure: (any Error)?

    func provision(_ order: ProvisioningOrder) throws {
        orders.append(order)
        let configuration = try String(contentsOfFile: order.environment["SOFTHSM2_CONF"] ?? "", encoding: .utf8)
        let tokens = configuration.split(separator: "\n").first { $0.hasPrefix("directories.tokendir = ") }
        let directory = String((tokens ?? "").dropFirst("directories.tokendir = ".count))
        try Data("token".utf8).write(to: URL(fileURLWithPath: directory + "/object"))
        if let failure { throw failure }
    }
}

extension SecretBytes {
    var text: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
