// SPDX-License-Identifier: Apache-2.0
import Foundation
import NodeConfig
import Testing

/// One wrong line and what must be said about it.
struct Mistake: CustomStringConvertible {
    /// The line of the good file that is replaced, or after which the wrong one stands.
    var line: String
    var wrong: String
    var isAdded = false
    var path: String
    /// A part of the rendered problem.
    var says: String

    var description: String { wrong }
}

@Suite struct ProblemTests {
    static let xks = "listen = \"127.0.0.1:8443\""
    static let token = "token = { label = \"one\" }"
    static let prefix = "path_prefix = \"/example\""
    static let keys = "keys = [\"foo\", \"prod-*\"]"
    static let secret = "{ access_key_id = \"AAAABBBBCCCCDDDD2222\", secret = { file = \"s\" } }"
    static let credentials = """
        credentials = [{ access_key_id = "AAAABBBBCCCCDDDD2222", secret = { env = "XKS_SECRET" } }]
        """

    static let replaced: [Mistake] = [
        ("id = \"fra-1\"", "id = \"fra 1\"", "node.id", "= \"fra 1\": must be 1 to 64 of"),
        ("id = \"fra-1\"", "id = 7", "node.id", "= 7: must be a string, and is an integer"),
        (xks, "listen = \"8443\"", "xks.listen", "is not an address and a port"),
        (xks, "listen = \"1.2.3:8443\"", "xks.listen", "is not an address and a port"),
        (xks, "listen = \"::1:8443\"", "xks.listen", "is not an address and a port"),
        (xks, "listen = \"a:65536\"", "xks.listen", "is not an address and a port"),
        (xks, "listen = \"127.0.0.1:8080\"", "control.listen", "is the address of the XKS listener"),
        (
            xks, "listen = \"0.0.0.0:8080\"", "control.listen",
            "= \"127.0.0.1:8080\": overlaps with the address of the XKS listener, 0.0.0.0:8080; choose another port"
        ),
        ("certificate = \"tls/cert.pem\"", "certificate = \"\"", "xks.certificate", "is not a path"),
        ("name = \"hsm-a\"", "name = \"\"", "hsm[0].name", "must be 1 to 64"),
        (token, "token = \"one\"", "hsm[0].token", "must be a table, and is a string"),
        (token, "token = {}", "hsm[0].token", "names no token; give exactly one"),
        (token, "token = { label = \"a\", slot = 1 }", "hsm[0].token", "in more than one way"),
        (token, "token = { slot = -1 }", "hsm[0].token.slot", "= -1: must be between 0"),
        (token, "token = { label = \"one \" }", "hsm[0].token.label", "without blanks at the end"),
        (token, "token = { serial = \"12345678901234567\" }", "hsm[0].token.serial", "must be 1 to 16 bytes"),
        (token, "token = { lable = \"a\", slot = 1 }", "hsm[0].token.lable", "did you mean `label`?"),
        (prefix, "path_prefix = \"example\"", "keystore[0].path_prefix", "begin with a slash"),
        (prefix, "path_prefix = \"/example/\"", "keystore[0].path_prefix", "end without one"),
        (prefix, "path_prefix = \"/a//b\"", "keystore[0].path_prefix", "is not the beginning"),
        (prefix, "path_prefix = \"/a b\"", "keystore[0].path_prefix", "is not the beginning"),
        (prefix, "path_prefix = \"/a.b\"", "keystore[0].path_prefix", "is not the beginning"),
        (prefix, "path_prefix = \"/x/kms/xks/v1\"", "keystore[0].path_prefix", "write path_prefix = \"/x\""),
        (
            prefix, "path_prefix = \"/\(String(repeating: "a", count: 117))\"", "keystore[0].path_prefix",
            "at most 117 characters"
        ),
        (keys, "keys = []", "keystore[0].keys", "is empty; name at least one key"),
        (keys, "keys = \"foo\"", "keystore[0].keys", "must be a list, and is a string"),
        (keys, "keys = [\"a b\"]", "keystore[0].keys[0]", "label = \"a b\" }"),
        (keys, "keys = [\"a\", 7]", "keystore[0].keys[1]", "= 7: must be a label, a pattern"),
        (keys, "keys = [\"a\", \"a\"]", "keystore[0].keys[1]", "stands in the list twice"),
        (keys, "keys = [{ id = \"a\" }]", "keystore[0].keys[0].label", "is missing"),
        (keys, "keys = [{ id = \"a/b\", label = \"a\" }]", "keystore[0].keys[0].id", "must be 1 to 128 of"),
        (keys, "keys = [{ id = \"a\", label = \"\" }]", "keystore[0].keys[0].label", "must be 1 to 255"),
        (credentials, "credentials = []", "keystore[0].credentials", "is empty"),
        (credentials, "credentials = [7]", "keystore[0].credentials[0]", "must be a table, and is an integer"),
        (
            credentials, "credentials = [\(secret), \(secret)]", "keystore[0].credentials[1].access_key_id",
            "stands in the list twice"
        ),
        (
            credentials, "credentials = [{ access_key_id = \"AKIA\", secret = { file = \"s\" } }]",
            "keystore[0].credentials[0].access_key_id", "must be 20 to 30 of A-Z 2-7"
        ),
        (
            credentials, "credentials = [{ access_key_id = \"AAAABBBBCCCCDDDD2222\" }]",
            "keystore[0].credentials[0].secret", "is missing"
        ),
        (
            credentials, "credentials = [{ secret = { file = \"s\" } }]",
            "keystore[0].credentials[0].access_key_id", "is missing"
        ),
    ].map { Mistake(line: $0.0, wrong: $0.1, path: $0.2, says: $0.3) }

    static let added: [Mistake] = [
        ("id = \"fra-1\"", "event_loops = 0", "node.event_loops", "= 0: must be between 1 and 64"),
        (xks, "max_plaintext_bytes = 8191", "xks.max_plaintext_bytes", "= 8191: must be between 8192 and 65536"),
        (xks, "max_aad_bytes = 65536", "xks.max_aad_bytes", "must be between 16384 and 65535"),
        (xks, "max_aad_bytes = 20000.0", "xks.max_aad_bytes", "must be an integer, and is a floating-point number"),
        (xks, "max_header_bytes = \"4096\"", "xks.max_header_bytes", "write a whole number without quotes"),
        (xks, "max_body_bytes = 1", "xks.max_body_bytes", "must be between 65536 and 1048576"),
        (xks, "max_body_bytes = 65536\nmax_aad_bytes = 65535", "xks.max_body_bytes", "raise it to at least"),
        (xks, "idle_timeout = 5", "xks.idle_timeout", "has no unit; write \"5ms\" or \"5s\""),
        (xks, "idle_timeout = \"5 s\"", "xks.idle_timeout", "is not a duration"),
        (xks, "idle_timeout = \"2h\"", "xks.idle_timeout", "must be between 1s and 1h"),
        (xks, "idle_timeout = \"99999999999h\"", "xks.idle_timeout", "is not a duration"),
        (xks, "idle_timeout = 07:32:00", "xks.idle_timeout", "and is a time"),
        (xks, "attempt_deadline = \"201ms\"", "xks.attempt_deadline", "is longer than request_deadline (200ms)"),
        (xks, "max_connections = 0", "xks.max_connections", "must be between 1 and 65536"),
        (xks, "proxy_protocol_from = [\"10.0.0.1/8\"]", "xks.proxy_protocol_from[0]", "is not a network"),
        (xks, "proxy_protocol_from = [\"lb.example.com\"]", "xks.proxy_protocol_from[0]", "is not a network"),
        (xks, "tcp_keepalive = true", "xks.tcp_keepalive", "must be a table, and is a boolean"),
        (xks, "tcp_keepalive = { idle = \"1500ms\" }", "xks.tcp_keepalive.idle", "must be whole seconds"),
        (xks, "tcp_keepalive = { cnt = 3 }", "xks.tcp_keepalive.cnt", "did you mean `count`?"),
        (xks, "plaintext = \"yes\"", "xks.plaintext", "must be true or false, and is a string"),
        (xks, "client_ca = \"/ca\"", "xks.client_name", "is missing; write client_name"),
        (xks, "client_name = \"a.example\"", "xks.client_ca", "is missing; write client_ca"),
        (xks, "client_ca = \"/ca\"\nclient_name = \"*.example\"", "xks.client_name", "there are no wildcards"),
        (xks, "client_ca = \"/ca\"\nclient_name = []", "xks.client_name", "is empty"),
        (xks, "client_ca = \"/ca\"\nclient_name = [1]", "xks.client_name[0]", "must be a string"),
        (xks, "requests_per_second = 7", "xks.requests_per_second", "is not a known key; known here: listen"),
        (xks, "max_header_byte = 4096", "xks.max_header_byte", "did you mean `max_header_bytes`?"),
        (token, "sessions = 5000", "hsm[0].sessions", "= 5000: must be between 1 and 1024"),
        (token, "sessions = 0", "hsm[0].sessions", "must be between 1 and 1024"),
        (token, "sesions = 5", "hsm[0].sesions", "did you mean `sessions`?"),
        (token, "processes = 2", "hsm[0].processes", "is not a known key"),
        (token, "tier = 10", "hsm[0].tier", "= 10: must be between 0 and 9"),
        (token, "tier = -1", "hsm[0].tier", "= -1: must be between 0 and 9"),
        (token, "depth = 0", "hsm[0].depth", "= 0: must be between 1 and 8"),
        (token, "depth = 9", "hsm[0].depth", "must be between 1 and 8"),
        (token, "weight = 0", "hsm[0].weight", "= 0: must be between 1 and 1000"),
        (token, "weight = 1001", "hsm[0].weight", "must be between 1 and 1000"),
        (token, "weight = 0.5", "hsm[0].weight", "must be an integer, and is a floating-point number"),
        (token, "profile = \"apended\"", "hsm[0].profile", "is no known profile; did you mean \"appended\"?"),
        (token, "profile = \"lunafips\"", "hsm[0].profile", "did you mean \"luna-fips\"?"),
        (token, "profile = \"Utimaco\"", "hsm[0].profile", "= \"Utimaco\": is no known profile; leave it out, or"),
        (token, "profile = \"\"", "hsm[0].profile", "is no known profile; leave it out, or choose one of auto, caller"),
        (token, "profile = 40", "hsm[0].profile", "must be a string, and is an integer"),
        (token, "initialize_arguments = \"\"", "hsm[0].initialize_arguments", "must be 1 to 4096 bytes"),
        (
            token, "initialize_arguments = \"\(String(repeating: "é", count: 2049))\"", "hsm[0].initialize_arguments",
            "must be 1 to 4096 bytes"
        ),
        (token, "initialize_arguments = [\"a\"]", "hsm[0].initialize_arguments", "must be a string, and is a list"),
        (token, "session_limit = 65536", "hsm[0].session_limit", "must be between 0 and 65535"),
        (token, "session_limit = 2", "hsm[0].session_limit", "leaves no session for requests"),
        (token, "session_limit = -1", "hsm[0].session_limit", "must be between 0 and 65535"),
        (token, "env = [\"A=B\"]", "hsm[0].env", "must be a table, and is a list"),
        (token, "env = { A = 1 }", "hsm[0].env.A", "must be a string"),
        (token, "env = { \"A B\" = \"1\" }", "hsm[0].env.\"A B\"", "is not a name of an environment variable"),
        (token, "probe_interval = \"21s\"", "hsm[0].probe_interval", "must be between 500ms and 20s"),
        (token, "probe_interval = \"499ms\"", "hsm[0].probe_interval", "must be between 500ms and 20s"),
        (
            keys, "hsms = [\"hsm-b\"]", "keystore[0].hsms[0]",
            "= \"hsm-b\": is no configured HSM; did you mean \"hsm-a\"?"
        ),
        (keys, "hsms = [\"quite-another\"]", "keystore[0].hsms[0]", "give it an [[hsm]] table"),
        (keys, "hsms = [\"hsm-a\", \"hsm-a\"]", "keystore[0].hsms[1]", "stands in the list twice"),
        (keys, "hsms = []", "keystore[0].hsms", "is empty"),
        (keys, "regions = []", "keystore[0].regions", "is empty"),
        (keys, "regions = [\"EU\"]", "keystore[0].regions[0]", "is not a region"),
        (keys, "aad = \"sha\"", "keystore[0].aad", "must be \"spec\" or \"digest\""),
        (keys, "policies = \"p.json\"", "keystore[0].policies", "is not a known key"),
        (keys, "policy = { file = \"p.json\" }", "keystore[0].policy", "must be a string"),
        (keys, "policy = \"\"", "keystore[0].policy", "is not a path"),
        (keys, "requests_per_second = 0", "keystore[0].requests_per_second", "must be between 1 and 1000000"),
        (keys, "requests_per_second = \"9/s\"", "keystore[0].requests_per_second", "must be an integer"),
        (keys, "burst = 9", "keystore[0].burst", "is the burst of no limit; write requests_per_second = …"),
        (keys, "principal_requests_per_second = 1000001", "keystore[0].principal_requests_per_second", "between"),
        (keys, "principal_burst = 9", "keystore[0].principal_burst", "is the burst of no limit"),
    ].map { Mistake(line: $0.0, wrong: $0.1, isAdded: true, path: $0.2, says: $0.3) }

    @Test(arguments: replaced + added)
    func aMistakeIsNamed(_ mistake: Mistake) throws {
        let text =
            mistake.isAdded
            ? try goodFile(after: mistake.line, adding: mistake.wrong)
            : try goodFile(replacing: mistake.line, with: mistake.wrong)
        let found = problems(text)
        #expect(found.map(\.path) == [mistake.path])
        let problem = try #require(found.first)
        #expect(problem.rendered(file: "f").contains(mistake.says), "\(problem.rendered(file: "f"))")
        #expect(!problem.fix.isEmpty)
        // The wrong line itself, but for what is missing and for the control listener, which stand nowhere.
        let wrongLine = try #require(mistake.wrong.split(separator: "\n").first)
        if !mistake.path.hasPrefix("xks.client_"), mistake.path != "control.listen" {
            let expected = text.components(separatedBy: "\n").firstIndex(of: String(wrongLine)).map { $0 + 1 }
            #expect(problem.line == expected)
        }
    }

    @Test(arguments: [
        ("id = \"fra-1\"", "node.id", 1), ("certificate = \"tls/cert.pem\"", "xks.certificate", 4),
        ("key = \"/etc/tls/key.pem\"", "xks.key", 4), ("name = \"hsm-a\"", "hsm[0].name", 9),
        ("module = \"/usr/lib/p11.so\"", "hsm[0].module", 9), (token, "hsm[0].token", 9),
        (prefix, "keystore[0].path_prefix", 15), (keys, "keystore[0].keys", 15),
        (credentials, "keystore[0].credentials", 15),
    ])
    func whatIsMissingIsNamedAtItsTable(line: String, path: String, at number: Int) throws {
        let found = problems(try goodFile(replacing: line, with: nil))
        #expect(found.map(\.path) == [path] && found.compactMap(\.line) == [number])
        #expect(found.first?.message == "is missing")
    }

    @Test func anEmptyFileLacksEverything() {
        #expect(
            problems("").map(\.path) == ["node", "xks", "hsm", "keystore", "node.id", "xks.certificate", "xks.key"])
    }

    @Test func everyProblemIsReportedAtOnceInTheOrderOfLines() throws {
        var text = goodFile.replacingOccurrences(of: "\"fra-1\"", with: "\"\"")
        text = text.replacingOccurrences(of: Self.token, with: Self.token + "\nsessions = -1")
        text += "aad = \"x\"\n[clusters]\nlisten = \"0.0.0.0:1\"\n"
        #expect(problems(text).map(\.path) == ["node.id", "hsm[0].sessions", "keystore[0].aad", "clusters"])
        #expect(problems(text).compactMap(\.line) == [2, 13, 20, 21])
    }

    @Test func plaintextExcludesCertificates() throws {
        let found = problems(try goodFile(after: Self.xks, adding: "plaintext = true"))
        #expect(found.map(\.path) == ["xks.certificate", "xks.key"])
        #expect(found.compactMap(\.line) == [7, 8])
    }

    @Test func twinsAreNamed() {
        let hsm = "[[hsm]]\nname = \"hsm-a\"\nmodule = \"/usr/lib/p11.so\"\ntoken = { label = \"one\" }\n"
        let keyStore = """
            [[keystore]]
            path_prefix = "/example"
            keys = ["foo"]
            credentials = [\(Self.secret)]
            """
        let found = problems(goodFile + hsm + keyStore)
        #expect(found.map(\.path) == ["hsm[1].name", "hsm[1].token", "keystore[1].path_prefix"])
        #expect(found.compactMap(\.line) == [20, 22, 24])
        // With another environment the same label may well be another token.
        let other = hsm.replacingOccurrences(
            of: "name = \"hsm-a\"", with: "name = \"b\"\nenv = { SOFTHSM2_CONF = \"b\" }")
        #expect(problems(goodFile + other).isEmpty)
        // So may it with other arguments.
        let argued = hsm.replacingOccurrences(of: "\"hsm-a\"", with: "\"b\"\ninitialize_arguments = \"configdir=b\"")
        #expect(problems(goodFile + argued).isEmpty)
    }

    @Test func tablesInSingleBracketsAreNamed() {
        let found = problems(goodFile.replacingOccurrences(of: "[[hsm]]", with: "[hsm]"))
        #expect(found.map(\.path) == ["hsm"])
        #expect(found.first?.fix.contains("[[hsm]]") == true)
    }

    @Test func aProblemIsOneLineWhateverItQuotes() throws {
        let found = problems(try goodFile(replacing: Self.prefix, with: "path_prefix = \"a\\nb\\u001b[31m\\\"\""))
        let text = try #require(found.first).rendered(file: "f")
        #expect(text.contains("= \"a\\u{a}b\\u{1b}[31m\\\"\": "))
        let long = problems(
            try goodFile(replacing: Self.prefix, with: "path_prefix = \"\(String(repeating: "é", count: 5000))\""))
        #expect(try #require(long.first?.value).utf8.count < 200)
    }
}
