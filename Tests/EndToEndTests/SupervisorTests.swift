// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// With 16631be nobody was told anything: the unit counted as started before the node listened.
    @Suite("the service manager", .devTokens(1))
    struct Supervisors {
        /// What comes to a datagram socket, as systemd has it.
        private final class Manager: Sendable {
            let path: String
            private let messages = Observed<[String]>([])

            init(_ path: String) throws {
                self.path = path
                let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                guard descriptor >= 0, path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
                    throw HarnessError("no socket at \(path)")
                }
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
                let isBound = withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                    }
                }
                guard isBound else { throw HarnessError("no socket at \(path): \(errno)") }
                let messages = messages
                Thread.detachNewThread {
                    var buffer = [UInt8](repeating: 0, count: 4_096)
                    while true {
                        let count = recv(descriptor, &buffer, buffer.count, 0)
                        guard count > 0 else { break }
                        let text = String(decoding: buffer[..<count], as: UTF8.self)
                        messages.update { $0.append(text) }
                    }
                    close(descriptor)
                }
            }

            /// Waits for a message that begins so, after as many others.
            func message(_ start: String, after skipped: Int = 0) throws -> (text: String, next: Int) {
                let found = messages.wait(atMost: 30) { messages -> (String, Int)? in
                    let index = messages.indices.dropFirst(skipped).first { messages[$0].hasPrefix(start) }
                    return index.map { (messages[$0], $0 + 1) }
                }
                guard let found else { throw HarnessError("no \(start) in \(messages.read { $0 })") }
                return found
            }

            var all: [String] { messages.read { $0 } }
        }

        @Test("it is told that the node listens, lives, reads its configuration, and ends")
        func notifications() throws {
            let configuration = try ServeConfiguration(from: try sharedNode())
            let manager = try Manager(configuration.scratch.file("notify"))
            let node = try Node.serve(
                configuration, activeHSMs: 1,
                environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000000"])
            defer { node.process.kill(SIGKILL) }
            let ready = try manager.message("READY=1")
            #expect(ready.next == 1)
            let first = try manager.message("WATCHDOG=1")
            let second = try manager.message("WATCHDOG=1", after: first.next)
            // Neither is for what the node starts.
            for pid in node.workers.values {
                let environment = try String(contentsOfFile: "/proc/\(pid)/environ", encoding: .utf8)
                #expect(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"))
            }
            let before = DispatchTime.now().uptimeNanoseconds / 1_000
            node.process.kill(SIGHUP)
            let reloading = try manager.message("RELOADING=1\nMONOTONIC_USEC=", after: second.next)
            let microseconds = try #require(reloading.text.split(separator: "=").last.flatMap { UInt64($0) })
            #expect(microseconds >= before && microseconds <= DispatchTime.now().uptimeNanoseconds / 1_000)
            let again = try manager.message("READY=1", after: reloading.next)
            node.process.kill(SIGTERM)
            _ = try manager.message("STOPPING=1", after: again.next)
            #expect(try node.process.end(within: 30) == .exited(0))
            #expect(manager.all.count { $0 == "READY=1" } == 2 && manager.all.count { $0 == "STOPPING=1" } == 1)
        }

        @Test("one that cannot start says nothing, and signs of life are given only where they are asked for")
        func silence() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            let manager = try Manager(configuration.scratch.file("notify"))
            let environment = ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"]
            configuration.set("listen", "\"192.0.2.1:8443\"", in: "[xks]")
            let failed = try run(
                [ClavigerBinary.path, "serve", "--config", try configuration.write()], environment: environment)
            #expect(failed.end == .exited(3) && manager.all.isEmpty)
            #expect(failed.errors.contains("this host has no such address"), "\(failed.errors)")
            // For another process.
            try configuration.chooseAddresses()
            let node = try Node.serve(
                configuration, activeHSMs: 1, environment: environment.merging(["WATCHDOG_PID": "1"]) { $1 })
            _ = try manager.message("READY=1")
            try node.stop()
            #expect(manager.all == ["READY=1", "STOPPING=1"])
        }
    }
}
