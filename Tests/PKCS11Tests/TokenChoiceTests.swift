// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import Testing

@Suite("Choosing a token")
struct TokenChoiceTests {
    private func token(_ label: String, serial: String, slot: UInt64, initialized: Bool = true) -> TokenDescription {
        TokenDescription(
            identity: TokenIdentity(
                label: label, serial: serial, manufacturer: "maker", model: "model", firmware: "1.0", slot: slot,
                sessionLimit: 0),
            flags: initialized ? [.initialized] : [])
    }

    private var tokens: [TokenDescription] {
        [
            token("a", serial: "01", slot: 7), token("b", serial: "02", slot: 8), token("b", serial: "03", slot: 9),
            token("c", serial: "04", slot: 10, initialized: false),
        ]
    }

    @Test("By label, serial and slot")
    func choices() throws {
        #expect(try TokenSelector.label("a").choose(among: tokens).identity.slot == 7)
        #expect(try TokenSelector.serial("03").choose(among: tokens).identity.slot == 9)
        #expect(try TokenSelector.slot(8).choose(among: tokens).identity.serial == "02")
    }

    @Test("Labels and serials are bytes: what Swift calls equal is another token, and no UTF-8 is no other no UTF-8")
    func bytes() throws {
        func strange(_ label: [UInt8], slot: UInt64) -> TokenDescription {
            var token = token("bad\u{FFFD}", serial: "\(slot)", slot: slot)
            token.label = label
            return token
        }
        let tokens = [
            token("K", serial: "1", slot: 1), token("\u{212A}", serial: "2", slot: 2),
            token("caf\u{E9}", serial: "e\u{301}", slot: 3), token("cafe\u{301}", serial: "\u{E9}", slot: 4),
            strange([0x62, 0xff], slot: 5), strange([0x62, 0xfe], slot: 6),
        ]
        // Without: "2 tokens have label".
        #expect(try TokenSelector.label("K").choose(among: tokens).identity.slot == 1)
        #expect(try TokenSelector.label("cafe\u{301}").choose(among: tokens).identity.slot == 4)
        #expect(try TokenSelector.serial("\u{E9}").choose(among: tokens).identity.slot == 4)
        #expect(throws: TokenChoiceError.self) { try TokenSelector.label("bad\u{FFFD}").choose(among: tokens) }
        #expect(TokenSelector.label("K") != .label("\u{212A}"))
        #expect(TokenSelector.serial("1") == .serial("1") && TokenSelector.serial("1") != .label("1"))
    }

    @Test("A label that two tokens have is refused, and both are named")
    func ambiguous() {
        let error = #expect(throws: TokenChoiceError.self) { try TokenSelector.label("b").choose(among: tokens) }
        #expect(error?.matching.count == 2)
        #expect(error?.description.contains("slot 8") == true)
        #expect(error?.description.contains("serial \"03\"") == true)
    }

    @Test("When none fits, the message lists what there is")
    func missing() {
        let error = #expect(throws: TokenChoiceError.self) { try TokenSelector.label("x").choose(among: tokens) }
        let text = error?.description ?? ""
        #expect(text.contains("label \"x\""))
        #expect(text.contains("slot 7 (label \"a\", serial \"01\", model)"))
        #expect(text.contains("slot 10 (not initialised"))
    }

    @Test("A token that is not initialised has no label; without any token the message says so")
    func emptiness() {
        #expect(throws: TokenChoiceError.self) { try TokenSelector.label("c").choose(among: tokens) }
        let error = #expect(throws: TokenChoiceError.self) { try TokenSelector.slot(1).choose(among: []) }
        #expect(error?.description.contains("no token at all") == true)
    }
}
