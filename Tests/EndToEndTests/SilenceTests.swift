// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

extension EndToEnd {
    @Suite("silence") struct Silence {
        @Test("a worker that hangs while nobody asks it anything is noticed by its probes, and replaced")
        func idle() throws {
            let dev = try Node.dev(["--plaintext"])
            try dev.stop()
            var configuration = try ServeConfiguration(from: dev)
            configuration.setInAll("[[hsm]]", "probe_interval", "\"500ms\"")
            configuration.setInAll("[[hsm]]", "stuck_after", "\"500ms\"")
            let node = try Node.serve(configuration)
            defer { _ = try? node.stop() }
            try eventually("all are active", within: 20) { try node.health().active.count == 3 }
            let old = try #require(node.workers["hsm-2"])
            try Processes.stop(old)
            defer { Processes.resume(old) }
            let entry = try node.logEntry("the silence was noticed", within: 20) { $0.message == "worker killed" }
            #expect(entry["hsm"] == "hsm-2")
            #expect(entry["reason"]?.contains("probes have stayed away") == true)
            try eventually("another worker serves", within: 20) {
                try node.workers["hsm-2"].map { $0 != old } ?? false && node.health().active.count == 3
            }
        }
    }
}
