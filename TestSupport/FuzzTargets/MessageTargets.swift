// SPDX-License-Identifier: Apache-2.0
import AccessControl
import AdminProtocol
import Cluster
import ControlPlane
import Foundation
import Gossip
import LaneProtocol
import SecureMemory

extension FuzzTarget {
    /// The admin socket's requests (three lines, and the rest is the body), and what commands read of its answers. The
    /// first byte says which.
    static let orders = FuzzTarget(name: "orders") { bytes in
        var input = FuzzInput(bytes)
        let kind = input.byte() % 4
        switch kind {
        case 0:
            let lines = input.lines(4)
            guard lines.count == 4 else { return nil }
            _ = OrderReading.isUnderstood(
                method: lines[0].text, path: lines[1].text, query: lines[2].text, body: Array(lines[3]))
            return nil
        case 1: return repeated(AdminStatus.self, input.bytes)
        case 2: return repeated(ClusterHealth.self, input.bytes)
        default: return repeated(BlockListing.self, input.bytes)
        }
    }

    /// Bodies of the cluster listener; the first byte says of which path.
    static let cluster = FuzzTarget(name: "cluster") { bytes in
        var input = FuzzInput(bytes)
        let path = ClusterBody.paths[Int(input.byte()) % ClusterBody.paths.count]
        _ = ClusterBody.isOfForm(SecretBytes(copying: input.bytes), path: path)
        return switch path {
        case "/cluster/v1/gossip": repeated(GossipMessage.self, input.bytes)
        case "/cluster/v1/blocks": repeated(BlockList.self, input.bytes)
        case "/cluster/v2/blocks": repeated(BlockPage.self, input.bytes)
        default: nil
        }
    }

    /// What is understood once must be understood in the same way when it is passed on.
    private static func repeated<Value: Codable & Equatable>(
        _ type: Value.Type, _ bytes: UnsafeRawBufferPointer
    ) -> String? {
        guard let first = try? JSONDecoder().decode(type, from: Data(bytes)) else { return nil }
        guard let text = try? JSONEncoder().encode(first), let second = try? JSONDecoder().decode(type, from: text)
        else {
            return "a \(type) that was read cannot be passed on"
        }
        return first == second ? nil : "a \(type) that was passed on is another one"
    }

    /// Frames of the lanes, and control messages between node and worker. The first byte says which.
    static let lanes = FuzzTarget(name: "lanes") { bytes in
        var input = FuzzInput(bytes)
        switch input.byte() % 5 {
        case 0:
            guard let header = LaneRequestHeader(decoding: input.bytes) else { return nil }
            return bytesOf(LaneRequestHeader.size, header.encode).withUnsafeBytes {
                LaneRequestHeader(decoding: $0) == header ? nil : "a lane's request is another one when written"
            }
        case 1:
            guard let header = LaneAnswerHeader(decoding: input.bytes) else { return nil }
            return bytesOf(LaneAnswerHeader.size, header.encode).withUnsafeBytes {
                LaneAnswerHeader(decoding: $0) == header ? nil : "a lane's answer is another one when written"
            }
        case 2:
            guard let message = try? NodeMessage(decoding: SecretBytes(copying: input.bytes)) else { return nil }
            return again(message.encoded()) { try NodeMessage(decoding: $0) }.map { isSame(message, $0) } ?? false
                ? nil : "a node's message is another one when written"
        case 3:
            guard let message = try? WorkerMessage(decoding: SecretBytes(copying: input.bytes)) else { return nil }
            return again(message.encoded()) { try WorkerMessage(decoding: $0) } == message
                ? nil : "a worker's message is another one when written"
        default:
            let size = Int(input.byte())
            var assembler = ControlFrameAssembler()
            for part in input.parts(of: size) {
                guard (try? assembler.append(part)) != nil else { return nil }
            }
            return nil
        }
    }

    private static func bytesOf(_ size: Int, _ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        bytes.withUnsafeMutableBytes(encode)
        return bytes
    }

    /// A message that was written, cut out of its frame and read; `nil` where that is not possible.
    private static func again<Message>(_ bytes: SecretBytes, read: (SecretBytes) throws -> Message) -> Message? {
        var assembler = ControlFrameAssembler()
        guard let frames = bytes.withUnsafeBytes({ try? assembler.append($0) }), frames.count == 1 else { return nil }
        return try? read(frames[0])
    }

    private static func isSame(_ one: NodeMessage, _ other: NodeMessage) -> Bool {
        // Labels are a set, which is written in any order.
        if case .offer(let keys) = one, case .offer(let others) = other { return keys == others }
        return one.encoded() == other.encoded()
    }
}
