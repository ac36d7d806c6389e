// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// What root leaves behind, and what tokens call themselves.
    @Suite("owners and names", .devTokens(1))
    struct Owners {
        /// 16631be said "unable to open database file (SQLite code 14)", and advised an order that cannot be kept either.
        @Test("a store of root's is called so, with the command that mends it", .enabled(if: geteuid() == 0))
        func rootsStore() throws {
            var configuration = try ServeConfiguration(from: try sharedNode())
            configuration.stateDirectory = configuration.scratch.file("state")
            let node = try Node.serve(configuration, activeHSMs: 1)
            #expect(try node.stop() == .exited(0))
            let file = try configuration.write()
            // The directory is the other user's, as a unit makes it; what lies in it is root's.
            for path in [configuration.scratch.path, file] { #expect(chmod(path, 0o755) == 0) }
            #expect(chown(configuration.stateDirectory, 65_534, 65_534) == 0)
            let result = try run([
                "/usr/bin/env", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ClavigerBinary.path,
                "status", "--config", file,
            ])
            let text = (result.errors + result.output).split { $0.isWhitespace }.joined(separator: " ")
            #expect(text.contains("claviger.sqlite belongs to root (uid 0), and this process runs as"), "\(result)")
            #expect(text.contains("chown -R nobody: \(configuration.stateDirectory)"), "\(result)")
        }

        // `check` wrote them raw, and others of its lines were in `\u{…}`.
        @Test("in a C locale nothing but ASCII is written to people, and JSON stays UTF-8")
        func localeWithoutUnicode() throws {
            let node = try Node.dev(["--plaintext", "--hsms", "1"])
            try node.stop()
            try TokenTool(facts: node.facts, hsm: "hsm-1").makeKey("größe")
            var configuration = try ServeConfiguration(from: node)
            configuration.set(
                "keys", "[{ id = \"g\", label = \"größe\" }, { id = \"l\", label = \"löwe\" }]", in: "[[keystore]]")
            configuration.stateDirectory = configuration.scratch.file("zustand-ä")
            let file = try configuration.write()
            for (locale, isShown) in [("C", false), ("C.UTF-8", true)] {
                let environment = ["LC_ALL": locale]
                for command in [["check"], ["check", "--offline"], ["status"], ["diagnose"]] {
                    let result = try ClavigerBinary.run(command + ["--config", file], environment: environment)
                    let text = result.output + result.errors
                    #expect(isShown || text.unicodeScalars.allSatisfy(\.isASCII), "\(command): \(text)")
                    guard command == ["check"] || command == ["diagnose"] else { continue }
                    #expect(text.contains(isShown ? "löwe" : "l\\u{f6}we"), "\(command): \(text)")
                }
                let json = try ClavigerBinary.run(["diagnose", "--json", "--config", file], environment: environment)
                #expect(json.output.contains("löwe"), "\(json)")
            }
        }

        /// 16631be wrote it to the terminal as it was.
        @Test("a key's label that turns the direction of writing is shown, not obeyed, by hsm list and check")
        func hostileLabel() throws {
            let node = try Node.dev(["--plaintext", "--hsms", "1"])
            try node.stop()
            try TokenTool(facts: node.facts, hsm: "hsm-1").makeKey("a\u{202E}b\u{2028}c")
            var configuration = try ServeConfiguration(from: node)
            configuration.set("keys", "[\"*\"]", in: "[[keystore]]")
            let directory = "\(node.facts.state_directory)/hsm-1"
            let listed = try run(
                [
                    ClavigerBinary.path, "hsm", "list", softHSMLibrary, "--token", "claviger-dev-hsm-1", "--pin-file",
                    directory + "/pin",
                ], environment: ["SOFTHSM2_CONF": directory + "/softhsm2.conf"])
            let checked = try ClavigerBinary.run(["check", "--config", try configuration.write()])
            for result in [listed, checked] {
                let text = result.output + result.errors
                #expect(!text.unicodeScalars.contains("\u{202E}") && !text.unicodeScalars.contains("\u{2028}"))
                #expect(text.contains("a\\u{202e}b\\u{2028}c"), "\(text)")
            }
        }
    }
}
