// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Foundation
import LaneProtocol
import SecureMemory
import SigV4
import XKSProtocol

/// What KMS asks for.
enum Question {
    case encrypt(String)
    case decrypt(Ciphertext)
    /// A ciphertext that was altered on its way.
    case decryptAltered(Ciphertext)
    /// A key that no HSM has.
    case metadata(String)

    var label: String {
        switch self {
        case .encrypt(let label), .metadata(let label): label
        case .decrypt(let ciphertext), .decryptAltered(let ciphertext): ciphertext.label
        }
    }
}

/// What KMS keeps of an encryption.
struct Ciphertext {
    var label: String
    var plaintext: String
    var data: String
    var iv: String
    var tag: String
    var metadata: String
    /// The key that it was made under.
    var value: UInt64
}

/// How a question was answered.
struct Answer {
    var status: Int
    var body: String

    init(_ response: ProxyResponse) {
        status = response.status
        body = response.body.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    func has(_ name: XKSError.Name) -> Bool { body.contains(name.rawValue) }

    /// The text of a member of the body. By bytes: a search in a `String` took 4 % of a run.
    func member(_ name: String) -> String? {
        let (bytes, wanted) = (Array(body.utf8), Array("\"\(name)\":\"".utf8))
        guard
            let position = bytes.indices.first(where: { index in
                bytes[index] == wanted[0] && bytes[index...].starts(with: wanted)
            })
        else { return nil }
        let text = bytes[(position + wanted.count)...].prefix { $0 != UInt8(ascii: "\"") }
        return position + wanted.count + text.count < bytes.count ? String(decoding: text, as: UTF8.self) : nil
    }
}

/// Answers to what a written plan asks. `asked` counts the questions: what a node never answers is missing in `all`.
final class Answers: @unchecked Sendable {
    var asked = 0
    /// When each came, nanoseconds.
    var all: [(at: UInt64, answer: Answer)] = []

    func count(of status: Int) -> Int { all.count { $0.answer.status == status } }
}

extension World {
    private static let client = #"""
        {"awsPrincipalArn":"arn:aws:iam::1:user/A","kmsKeyArn":"arn:aws:kms:eu-central-1:1:key/1","kmsOperation":"Decrypt","kmsRequestId":"4112f4d6"}
        """#

    /// All requests of the plan, at random moments.
    func askAll() {
        let first: UInt64 = 5_000_000_000
        for number in 0..<plan.requests {
            at(first + random.below(plan.length - first - 1_000_000_000)) { [self] in
                let up = nodes.filter(\.isUp)
                guard !up.isEmpty else { return }
                // The load balancer takes whoever answers its health checks.
                let ready = up.filter { $0.blocks.unknown == nil }
                let node = (ready.isEmpty ? up : ready)[random.below((ready.isEmpty ? up : ready).count)]
                ask(node, question(number))
            }
        }
    }

    private func question(_ number: Int) -> Question {
        let label = Self.labels[random.below(Self.labels.count)]
        let kept = ciphertexts[label] ?? []
        if number % 10 == 9, let one = pick(kept) { return .decryptAltered(one) }
        if number % 25 == 7 { return .metadata(Self.absent) }
        if number % 2 == 0, let one = pick(kept) { return .decrypt(one) }
        return .encrypt(label)
    }

    private func pick(_ ciphertexts: [Ciphertext]) -> Ciphertext? {
        ciphertexts.isEmpty ? nil : ciphertexts[random.below(ciphertexts.count)]
    }

    /// Asks a node as KMS does, and has the answer looked at.
    ///
    /// - Parameters:
    ///   - isJudged: false for what is asked to make work only.
    ///   - answers: where the answer is kept, beside the checks.
    func ask(_ node: SimulatedNode, _ question: Question, isJudged: Bool = true, into answers: Answers? = nil) {
        asked += 1
        let plaintext = base64(ToyCipher.bytes(of: UInt64(asked)) + ToyCipher.bytes(of: random.next()))
        guard let request = request(question, plaintext, receivedAt: node.now) else { return }
        let circumstances = Circumstances(self, node, question)
        node.schedule(at: now) { node in
            guard let service = node.service else { return }
            service.handle(request) { response in
                let world = node.world
                let answer = Answer(response)
                answers?.all.append((world.now, answer))
                if isJudged { world.judge(question, plaintext, answer, node, circumstances) }
            }
        }
    }

    private func request(_ question: Question, _ plaintext: String, receivedAt: UInt64) -> ProxyRequest? {
        let operation: String
        let body: String
        switch question {
        case .encrypt:
            operation = "encrypt"
            body =
                #"{"requestMetadata":\#(Self.client),"plaintext":"\#(plaintext)","encryptionAlgorithm":"AES_GCM"}"#
        case .decrypt(let one):
            (operation, body) = ("decrypt", decryption(of: one, iv: one.iv))
        case .decryptAltered(let one):
            let other = String(one.iv.dropLast()) + (one.iv.last == "A" ? "Q" : "A")
            (operation, body) = ("decrypt", decryption(of: one, iv: other))
        case .metadata:
            (operation, body) = ("metadata", #"{"requestMetadata":\#(Self.client)}"#)
        }
        let target = "\(SimulatedNode.prefix)/kms/xks/v1/keys/\(question.label)/\(operation)"
        let secret = SecretBytes(body.utf8)
        guard
            let headers = try? signer.sign(
                method: "POST", target: target, headers: [HeaderField(name: "host", value: "sim")], body: secret,
                now: wall)
        else { return nil }
        return ProxyRequest(
            method: "POST", target: target, headers: headers, body: secret, receivedAt: receivedAt, peer: "kms")
    }

    private func decryption(of one: Ciphertext, iv: String) -> String {
        #"{"requestMetadata":\#(Self.client),"ciphertext":"\#(one.data)","initializationVector":"\#(iv)","#
            + #""authenticationTag":"\#(one.tag)","ciphertextMetadata":"\#(one.metadata)","#
            + #""encryptionAlgorithm":"AES_GCM"}"#
    }

    /// What an encryption gave, to be decrypted later.
    func kept(_ answer: Answer, label: String, plaintext: String) -> Ciphertext? {
        guard let data = answer.member("ciphertext"), let iv = answer.member("initializationVector"),
            let tag = answer.member("authenticationTag"), let bytes = bytes(ofBase64: tag)
        else { return nil }
        return Ciphertext(
            label: label, plaintext: plaintext, data: data, iv: iv, tag: tag,
            metadata: answer.member("ciphertextMetadata") ?? "", value: ToyCipher.value(inTag: bytes))
    }

    /// An operator blocks a key at a node that has its list.
    func orderBlock() {
        let label = Self.labels[0]
        guard let node = nodes.first(where: { $0.isUp && !$0.isFrozen && $0.blocks.unknown == nil }) else { return }
        let id = String(repeating: "b", count: 32)
        let isGiven = node.block(label, id: id) { [self] in
            note("the block is on the disk of \(node.name)")
            checks.confirmed(at: node.index)
        }
        guard isGiven else { return }
        (blockID, blockAt) = (id, now)
        note("a block of \(label) is given at \(node.name)")
        checks.gave(blockOf: label, at: node.index, now: now)
    }
}

func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

func bytes(ofBase64 text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }
