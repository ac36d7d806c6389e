// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import NodeConfig
import Testing

@Suite("Profiles")
struct ProfileNameTests {
    @Test("the configuration takes the names that the worker knows, and auto")
    func names() {
        #expect(Set(HSMProfileName.all) == Set(["auto"] + GCMProfile.names.map(\.name)))
        #expect(HSMProfileName.all.allSatisfy { $0 == "auto" || GCMProfile(named: $0) != nil })
    }
}
