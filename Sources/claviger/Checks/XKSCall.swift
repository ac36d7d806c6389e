// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NodeConfig
import SigV4
import XKSCalls
import XKSClient
import XKSProtocol

/// Signed requests to the XKS listener of this host's node, as KMS would send them.
struct XKSCall {
    /// What was answered otherwise than with 200, or not as the API says.
    struct Refused: Error, CustomStringConvertible {
        var status: Int
        var name: String?
        var message: String?

        var description: String {
            ["answered with \(status)", name, message].compactMap(\.self).joined(separator: ", ")
        }
    }

    /// By which nobody takes the requests for KMS's.
    static let principal = "arn:aws:iam::000000000000:role/claviger-diagnose"

    let signer: CallSigner
    let key: String
    let region: String
    let tls: ClientTLS
    let loop: any EventLoop
    let patience: TimeAmount
    /// By which the node's log knows all of them.
    let requestID: String

    /// Encrypts over a connection of its own.
    ///
    /// - Returns: what was sealed, and how long it took, milliseconds.
    func encrypt(_ plaintext: [UInt8]) async throws -> (SealedFields, Double) {
        let (answer, milliseconds) = try await post(
            .encrypt, CallBody.encrypt(metadata("Encrypt"), plaintext: plaintext))
        guard let sealed = SealedFields(answer) else {
            throw Refused(status: 200, name: "without the fields of Encrypt")
        }
        return (sealed, milliseconds)
    }

    func decrypt(_ sealed: SealedFields) async throws -> ([UInt8], Double) {
        let (answer, milliseconds) = try await post(.decrypt, CallBody.decrypt(metadata("Decrypt"), sealed))
        guard let plaintext = answer["plaintext"]?.bytes else {
            throw Refused(status: 200, name: "without a plaintext")
        }
        return (plaintext, milliseconds)
    }

    private func metadata(_ operation: String) -> CallMetadata {
        CallMetadata(
            principal: Self.principal, keyARN: "arn:aws:kms:\(region):000000000000:key/claviger-diagnose",
            operation: operation, requestID: requestID)
    }

    private func post(_ operation: XKSOperation, _ body: JSONObject) async throws -> (JSONValue, Double) {
        let request = try signer.request(operation, key: key, body: body, now: Int64(time(nil)))
        let begin = monotonicNow()
        let connection = try await XKSConnector(signer.endpoint, tls: tls).open(on: loop, within: patience).get()
        defer { connection.close() }
        let answer = try await connection.call(ByteBuffer(bytes: request), within: patience).get().answer
        let elapsed = Double(monotonicNow() &- begin) / 1e6
        let json = JSONValue(answer.body)
        guard answer.status == 200, let json else {
            throw Refused(
                status: answer.status, name: json?["errorName"]?.text, message: json?["errorMessage"]?.text)
        }
        return (json, elapsed)
    }
}
