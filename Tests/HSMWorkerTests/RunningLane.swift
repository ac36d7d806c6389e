// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import HSMWorker
import LaneProtocol
import PKCS11
import Synchronization
import Testing

/// A lane on a thread of its own, and the node's end of its socket. Reads give up after ten seconds.
final class RunningLane {
    let node: Int32
    /// Of the lane's thread, under /proc.
    private let thread: String
    private let ended = DispatchSemaphore(value: 0)

    init(_ script: Script = Script(), profile: GCMProfile = .callerWithIVBits, isOpen: Bool = true) throws {
        var pair: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        node = pair[0]
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(node, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let far = pair[1]
        let ended = ended
        let started = Started()
        Thread.detachNewThread {
            started.report((try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")) ?? "")
            if let channel = LaneChannel(descriptor: far, profile: profile), let ivs = IVPool(history: IVHistory()) {
                let session = ScriptedSession(script: script)
                var lane = Lane(
                    channel: channel,
                    engine: LaneEngine(session: session, ivs: ivs, profile: profile, isOpen: isOpen))
                lane.run()
            }
            ended.signal()
        }
        thread = "/proc/" + started.thread()
    }

    deinit { close(node) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(node, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            // The lane may have hung up already.
            guard count > 0 else { return }
            sent += count
        }
    }

    func endOfInput() { shutdown(node, Int32(SHUT_WR)) }

    /// True when the lane's thread has ended within ten seconds.
    func hasEnded() -> Bool { ended.wait(timeout: .now() + 10) == .success }

    /// The next answer; `nil` at the end.
    func answer() -> (header: LaneAnswerHeader, payload: [UInt8])? {
        guard let head = receive(LaneAnswerHeader.size),
            let header = head.withUnsafeBytes({ LaneAnswerHeader(decoding: $0) }),
            let payload = receive(header.payloadLength)
        else { return nil }
        return (header, payload)
    }

    /// Waits until an answer can be read, and the lane's thread sleeps.
    func waitUntilAnsweredAndAsleep() throws {
        var readable = pollfd(fd: node, events: Int16(POLLIN), revents: 0)
        try #require(poll(&readable, 1, 10_000) == 1)
        try waitUntilAsleep()
    }

    /// Waits until the lane's thread sleeps.
    func waitUntilAsleep() throws {
        let end = ContinuousClock.now + .seconds(10)
        while try status("State").hasPrefix("S") == false {
            try #require(ContinuousClock.now < end, "the lane's thread does not go to sleep")
            sched_yield()
        }
    }

    /// How often the lane's thread has gone to sleep so far.
    func timesSlept() throws -> Int { try #require(Int(status("voluntary_ctxt_switches"))) }

    private func status(_ field: String) throws -> String {
        let lines = try String(contentsOfFile: thread + "/status", encoding: .utf8).split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix(field + ":") })
        return line.dropFirst(field.count + 1).trimmingCharacters(in: .whitespaces)
    }

    private func receive(_ length: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: length)
        var filled = 0
        while filled < length {
            let count = bytes.withUnsafeMutableBytes { read(node, $0.baseAddress.map { $0 + filled }, length - filled) }
            guard count > 0 else { return nil }
            filled += count
        }
        return bytes
    }
}

func frame(
    _ operation: LaneOperation, generation: UInt64 = 7, aad: [UInt8] = [1, 2, 3], iv: [UInt8]? = nil, data: [UInt8],
    deadline: UInt64 = .max
) -> [UInt8] {
    let iv = iv ?? (operation == .decrypt ? [UInt8](repeating: 3, count: ivLength) : [])
    var bytes = [UInt8](repeating: 0, count: LaneRequestHeader.size)
    let header = LaneRequestHeader(
        operation: operation, generation: generation, deadline: deadline, keyReference: 1,
        aadLength: UInt32(aad.count), ivLength: UInt8(clamping: iv.count), dataLength: UInt32(data.count))
    bytes.withUnsafeMutableBytes { header.encode(into: $0) }
    return bytes + aad + iv + data
}

/// Hands a thread's name under /proc to whoever started it.
private final class Started: Sendable {
    private let name = Mutex("")
    private let isAnnounced = DispatchSemaphore(value: 0)

    func report(_ thread: String) {
        name.withLock { $0 = thread }
        isAnnounced.signal()
    }

    func thread() -> String {
        isAnnounced.wait()
        return name.withLock { $0 }
    }
}
