// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// What the kernel reports of processes (proc(5)).
enum Processes {
    /// The workers of a node by the name of their HSM, those aside that have ended.
    static func workers(of node: Int32) -> [String: Int32] {
        var workers: [String: Int32] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(name), parent(of: pid) == node else { continue }
            let words = commandLine(of: pid)
            if words.count == 3, words[1] == "hsm-worker" { workers[words[2]] = pid }
        }
        return workers
    }

    /// A process that has ended and was not reaped counts as gone.
    static func isAlive(_ pid: Int32) -> Bool {
        guard let fields = statFields("\(pid)") else { return false }
        return fields.first != "Z" && fields.first != "X"
    }

    static func isStopped(_ pid: Int32) -> Bool { statFields("\(pid)")?.first == "T" }

    /// Stops a process as a debugger would, and returns when none of its threads runs any more.
    static func stop(_ pid: Int32) throws {
        guard Glibc.kill(pid, SIGSTOP) == 0 else { throw HarnessError("cannot stop process \(pid)") }
        try eventually("every thread of process \(pid) has stopped", every: 0.001) {
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
            return threads.allSatisfy { statFields("\(pid)/task/\($0)")?.first == "T" }
        }
    }

    /// Lets a stopped process go on; does nothing when it is gone.
    static func resume(_ pid: Int32) { _ = Glibc.kill(pid, SIGCONT) }

    /// Kills a worker, but not within C_Login: there SoftHSM rewrites a file of the token, and a test would destroy it.
    static func kill(worker pid: Int32) throws {
        try eventually("it is not logging in", every: 0.001) {
            try stop(pid)
            guard callsUnderWay(in: pid).contains(10) else { return true }
            resume(pid)
            return false
        }
        guard Glibc.kill(pid, SIGKILL) == 0 else { throw HarnessError("cannot kill process \(pid)") }
    }

    /// The numbers of the PKCS#11 functions that a worker's threads are in, from the memory in which it notes them.
    private static func callsUnderWay(in worker: Int32) -> Set<UInt8> {
        let directory = "/proc/\(worker)/fd"
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let notes = descriptors.first {
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\($0)")
            return target?.hasPrefix("/memfd:claviger calls") == true
        }
        return Set(notes.flatMap { content("\(directory)/\($0)") } ?? [])
    }

    static func commandLine(of pid: Int32) -> [String] {
        let bytes = content(pid, "cmdline") ?? []
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The whole file, or `nil` when it cannot be read.
    static func content(_ pid: Int32, _ file: String) -> [UInt8]? { content("/proc/\(pid)/\(file)") }

    private static func content(_ path: String) -> [UInt8]? {
        // Files of proc(5) say that they have no size, so they are read piece by piece.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count >= 0 else { return nil }
            guard count > 0 else { return content }
            content += buffer[..<count]
        }
    }

    /// Memory that is resident now (`VmRSS`), or was at most since the process began (`VmHWM`), bytes.
    static func memory(_ field: String, of pid: Int32) throws -> Int {
        let lines = String(decoding: content(pid, "status") ?? [], as: UTF8.self).split(separator: "\n")
        let words = lines.first { $0.hasPrefix(field + ":") }?.split(whereSeparator: \.isWhitespace) ?? []
        guard words.count >= 2, let kilobytes = Int(words[1]) else { throw HarnessError("no \(field) of \(pid)") }
        return kilobytes * 1024
    }

    private static func parent(of pid: Int32) -> Int32? {
        guard let fields = statFields("\(pid)"), fields.count > 1 else { return nil }
        return Int32(fields[1])
    }

    /// The fields after the name, which may hold anything: state, parent, …
    private static func statFields(_ process: String) -> [Substring]? {
        guard let bytes = content("/proc/\(process)/stat") else { return nil }
        let line = String(decoding: bytes, as: UTF8.self)
        guard let end = line.lastIndex(of: ")") else { return nil }
        return line[line.index(after: end)...].split(separator: " ")
    }
}
