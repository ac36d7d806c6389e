// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("a site whose HSMs hang", .devTokens(2))
    struct HangingSite {
        /// With 16631be the first requests waited to their deadline: "no HSM answered in time". Before operations were given
        /// back that stand in line for an HSM which falls silent as well, 4 of 813 did.
        @Test("every HSM of a node hangs while its peers' are well: no request fails")
        func hanging() throws {
            let faults = try Faults()
            try faults.clear()
            let trio = try Trio(from: try sharedNode()) { name, configuration in
                if name == "node-1" { configuration.load(faults) }
            }
            let load = Load(trio.node("node-1"), connections: 8)
            try load.more(200)
            // A process of a library that hangs ends when it may go on.
            defer { try? faults.clear() }
            try faults.set(["hsm-1": ["hang *"], "hsm-2": ["hang *"]])
            try load.more(600)
            let report = try load.stop()
            print("all HSMs of a node hang: \(report.summary)")
            #expect(report.failures.isEmpty, "\(report.failures.prefix(5))")
            #expect(trio.node("node-1").log.contains { $0["forwardedTo"] != nil })
        }
    }
}
