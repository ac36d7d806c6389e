// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import Testing

struct KeyLabelTests {
    /// As Strings each of these pairs is equal, and a dictionary keeps one of the two.
    @Test(arguments: [("K", "\u{212A}"), ("caf\u{e9}", "cafe\u{301}"), ("\u{2126}", "\u{3a9}")])
    func labelsAreComparedAsBytes(one: String, other: String) {
        #expect(one == other)
        #expect(KeyLabel(one) != KeyLabel(other))
        #expect(Set([KeyLabel(one), KeyLabel(other)]).count == 2)
        #expect((KeyLabel(one) < KeyLabel(other)) != (KeyLabel(other) < KeyLabel(one)))
    }

    @Test func equalBytesAreOneLabel() {
        #expect(KeyLabel("prod-1") == "prod-1")
        #expect(Set([KeyLabel("prod-1"), "prod-1"]).count == 1)
        #expect("\(KeyLabel("prod-1"))" == "prod-1")
    }
}
