// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import Testing

/// A secret that somebody put into the file must come out nowhere.
@Suite struct InlineSecretTests {
    private static let pin = "pin = { file = \"a.pin\" }"

    @Test(arguments: [
        "pin = \"hunter2\"", "pin = 'hunter2'", "pin = [\"hunter2\"]", "pin = true", "pin = 7.5",
    ])
    func anInlineSecretIsRefusedWithTheWayToGiveIt(_ line: String) throws {
        let found = problems(try goodFile(replacing: Self.pin, with: line))
        #expect(found.map(\.path) == ["hsm[0].pin"] && found.compactMap(\.line) == [13])
        let text = try #require(found.first).rendered(file: "f")
        #expect(text.contains("is a secret, and must not stand in the file"))
        #expect(text.contains("{ credential = ") && text.contains("{ env = ") && text.contains("{ command = "))
    }

    @Test(arguments: [
        "pin = \"hunter2\"", "pin = { value = \"hunter2\" }", "pin = { file = [\"hunter2\"] }",
        "pin = { hunter3 = 1, file = \"hunter2\", env = \"hunter2\" }", "pin = [[\"hunter2\"]]", "pin = hunter2",
        "pin = \"hunter2", "pin = \"\"\"hunter2", "pin = 99999999999999999999hunter2", "pin = \"a\" hunter2",
        "env = { PASSWORD = \"hunter2\", PASSWORD = \"hunter2\" }", "password = \"hunter2\"",
        "pin.hunter = \"hunter2\"",
        "pin = 1\npin = \"hunter2\"", "pin = { env = \"4hunter2\" }", "pin = { credential = \"/hunter2\" }",
        "pin = { file = \"\\uhunter2\" }",
    ])
    func noMessageShowsTheValue(_ line: String) throws {
        let found = problems(try goodFile(replacing: Self.pin, with: line))
        #expect(!found.isEmpty)
        for problem in found { #expect(!problem.rendered(file: "f").contains("hunter2"), "\(problem)") }
    }

    /// The two were exchanged.
    @Test func aSecretInThePlaceOfTheAccessKeyIDIsNotShown() throws {
        let found = problems(
            try goodFile(
                replacing:
                    "credentials = [{ access_key_id = \"AAAABBBBCCCCDDDD2222\", secret = { env = \"XKS_SECRET\" } }]",
                with: "credentials = [{ access_key_id = \"hunter2hunter2/=\", secret = { env = \"XKS_SECRET\" } }]"))
        #expect(found.map(\.path) == ["keystore[0].credentials[0].access_key_id"])
        for problem in found { #expect(!problem.rendered(file: "f").contains("hunter2"), "\(problem)") }
    }

    @Test func aSecretThatIsABareNumberIsNotShown() throws {
        let found = problems(try goodFile(replacing: Self.pin, with: "pin = 31415926535897932384626433832795"))
        #expect(found.count == 1 && found.first?.line == 13)
        for problem in found { #expect(!problem.rendered(file: "f").contains("314159")) }
    }

    @Test(arguments: [
        ("pin = {}", "names no source"), ("pin = { file = \"a\", env = \"B\" }", "names more than one source"),
    ])
    func exactlyOneSource(_ line: String, says: String) throws {
        let found = problems(try goodFile(replacing: Self.pin, with: line))
        #expect(found.map(\.message) == [says] && found.map(\.path) == ["hsm[0].pin"])
    }

    @Test(arguments: [
        ("pin = { file = \"\" }", "hsm[0].pin.file"), ("pin = { file = 7 }", "hsm[0].pin.file"),
        ("pin = { credential = \"../x\" }", "hsm[0].pin.credential"),
        ("pin = { env = \"$PIN\" }", "hsm[0].pin.env"), ("pin = { env = \"\" }", "hsm[0].pin.env"),
        ("pin = { command = \"/bin/x\" }", "hsm[0].pin.command"),
        ("pin = { command = [] }", "hsm[0].pin.command"), ("pin = { command = [\"x\"] }", "hsm[0].pin.command"),
        ("pin = { command = [\"/x\", 1] }", "hsm[0].pin.command[1]"), ("pin = { fil = \"x\" }", "hsm[0].pin.fil"),
    ])
    func aWrongSourceIsNamed(_ line: String, path: String) throws {
        #expect(problems(try goodFile(replacing: Self.pin, with: line)).map(\.path) == [path])
    }
}
