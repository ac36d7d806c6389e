// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import HSMWorker
import LaneProtocol
import SecureMemory
import Testing

/// A worker on a thread of this process, and the node's ends of its sockets. For exit tests: the worker ends the
/// process. Reads give up after twenty seconds.
struct WorkerHarness {
    private static let firstDescriptor: Int32 = 200

    let control: Int32
    let lanes: [Int32]

    init(
        module: String = SoftHSM.library, initializeArguments: String? = nil,
        token: TokenSelector = .label(SoftHSM.label), pin: String? = SoftHSM.pin, profile: GCMProfile? = nil,
        offered: OfferedKeys? = .all, lanes count: Int = 1, openLanes: Int? = nil, catalogueInterval: UInt32 = 60_000,
        probeInterval: UInt32 = 60_000
    ) throws {
        var near: [Int32] = []
        for index in 0...count {
            var pair: [Int32] = [0, 0]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            near.append(pair[0])
            try #require(dup2(pair[1], Self.firstDescriptor + Int32(index)) >= 0)
            close(pair[1])
        }
        control = near[0]
        lanes = Array(near.dropFirst())
        Thread.detachNewThread {
            HSMWorker.run(
                controlDescriptor: Self.firstDescriptor, firstLaneDescriptor: Self.firstDescriptor + 1)
        }
        send(
            .configure(
                WorkerConfiguration(
                    name: "hsm-a", module: module, token: token, pin: pin.map { SecretBytes($0.utf8) },
                    initializeArguments: initializeArguments, profile: profile, lanes: UInt16(count),
                    catalogueInterval: catalogueInterval, probeInterval: probeInterval),
                openLanes: UInt16(openLanes ?? count), sealed: SealedPaths()))
        if let offered { send(.offer(offered)) }
    }

    func send(_ message: NodeMessage) {
        _ = message.encoded().withUnsafeBytes { write(control, $0.baseAddress, $0.count) }
    }

    /// The worker's next message; `nil` at the end. The one about its compartment, in which a worker on a thread is not,
    /// is passed over.
    func message() throws -> WorkerMessage? {
        let message = try anyMessage()
        if case .confined = message { return try anyMessage() }
        return message
    }

    private func anyMessage() throws -> WorkerMessage? {
        guard let head = receive(control, 4) else { return nil }
        let length = head.withUnsafeBytes { Int($0.loadUnaligned(as: UInt32.self)) }
        guard let body = receive(control, length) else { return nil }
        return try WorkerMessage(decoding: SecretBytes(body))
    }

    /// What the worker says of itself; other messages are passed over.
    func readiness() throws -> WorkerReadiness {
        while let message = try message() {
            if case .ready(let readiness) = message { return readiness }
        }
        throw Ended()
    }

    /// The answer to a request for a canary; other messages are passed over.
    func canary(_ request: NodeMessage) throws -> WorkerMessage {
        send(request)
        while let message = try message() {
            switch message {
            case .canaryMade, .canaryOpened, .canaryRefused: return message
            case .confined, .ready, .catalogue, .probe, .failed: continue
            }
        }
        throw Ended()
    }

    /// A canary under the key, and what it holds.
    func makeCanary(key: UInt32) throws -> (canary: SealedCanary, block: [UInt8]) {
        guard case .canaryMade(7, let canary, let block) = try canary(.makeCanary(ticket: 7, key: key)) else {
            throw Ended()
        }
        return (canary, block)
    }

    /// The next catalogue of the whole token; other messages are passed over.
    func catalogue() throws -> KeyListing {
        while true {
            let listing = try listing()
            if listing.extent != .growing { return listing }
        }
    }

    /// The next catalogue, be it of a part; other messages are passed over.
    func listing() throws -> KeyListing {
        while let message = try message() {
            if case .catalogue(let listing) = message { return listing }
        }
        throw Ended()
    }

    /// The next probe's report; other messages are passed over.
    func probe() throws -> ProbeReport {
        while let message = try message() {
            if case .probe(let report) = message { return report }
        }
        throw Ended()
    }

    struct Ended: Error {}

    /// Has a lane's session opened or closed.
    func change(_ operation: LaneOperation, lane: Int) throws -> LaneAnswerHeader {
        try request(operation, key: 0, lane: lane, aad: [], data: []).header
    }

    /// One request on a lane, and its answer.
    func request(
        _ operation: LaneOperation, key: UInt32, lane: Int = 0, iv: [UInt8] = [], aad: [UInt8] = [1, 2], data: [UInt8],
        deadline: UInt64 = .max
    ) throws -> (header: LaneAnswerHeader, iv: [UInt8], data: [UInt8]) {
        var frame = [UInt8](repeating: 0, count: LaneRequestHeader.size)
        let header = LaneRequestHeader(
            operation: operation, generation: 3, deadline: deadline, keyReference: key, aadLength: UInt32(aad.count),
            ivLength: UInt8(iv.count), dataLength: UInt32(data.count))
        frame.withUnsafeMutableBytes { header.encode(into: $0) }
        frame += aad + iv + data
        try #require(write(lanes[lane], frame, frame.count) == frame.count)
        let head = try #require(receive(lanes[lane], LaneAnswerHeader.size))
        let answer = try #require(head.withUnsafeBytes { LaneAnswerHeader(decoding: $0) })
        let payload = try #require(receive(lanes[lane], answer.payloadLength))
        let split = Int(answer.ivLength)
        return (answer, Array(payload.prefix(split)), Array(payload.dropFirst(split)))
    }

    private func receive(_ descriptor: Int32, _ length: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: length)
        var filled = 0
        while filled < length {
            let count = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress.map { $0 + filled }, length - filled)
            }
            guard count > 0 else { return nil }
            filled += count
        }
        return bytes
    }

    /// The end of a test: closes the control socket, upon which the worker ends the process with status 0. The test
    /// must not end it itself, since a library's destructors would run under the feet of the worker's threads.
    func finish(_ hsm: SoftHSM) -> Never { finish(removing: hsm.directory) }

    func finish(removing directory: URL) -> Never {
        try? FileManager.default.removeItem(at: directory)
        close(control)
        Self.waitForTheEnd()
    }

    /// The worker ends the process; if it does not within ten seconds, this does, with a status of its own.
    static func waitForTheEnd() -> Never {
        poll(nil, 0, 10_000)
        exit(78)
    }
}
