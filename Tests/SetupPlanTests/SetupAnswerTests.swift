// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import SetupPlan
import Testing

@Suite struct SetupAnswerTests {
    private func take(_ text: String, _ question: SetupQuestion) throws -> SetupAnswers {
        var answers = SetupAnswers()
        try answers.take(text, for: question, workingDirectory: "/srv/here")
        return answers
    }

    private func problem(_ text: String, _ question: SetupQuestion) -> String {
        do {
            _ = try take(text, question)
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    @Test("relative paths begin in the working directory, and have no dots left")
    func paths() throws {
        #expect(try take("conf/./x/../y/", .directory).directory == "/srv/here/conf/y")
        #expect(try take(" /opt//lib.so ", .module).module == "/opt/lib.so")
        #expect(try take("../../../..", .stateDirectory).stateDirectory == "/")
        #expect(problem("", .module).hasPrefix("--module"))
        #expect(problem("a\u{1B}b", .module).contains("control character"))
    }

    @Test(
        "a wrong answer is named with its option, its value and the mend",
        arguments: [
            ("fra 1", SetupQuestion.nodeID, "--node-id \"fra 1\": must be 1 to 64 of"),
            ("8443", .listen, "--listen \"8443\": is no address with a port; give one such as 0.0.0.0:8443"),
            ("0.0.0.0:0", .listen, "would be another port at each start"),
            ("0.0.0.0:8080", .control, "--control \"0.0.0.0:8080\": can be reached from other hosts"),
            ("https://xks.example.com/", .endpoint, "is a URL, and a host name is wanted; give the name alone"),
            ("xks.example.com:443", .endpoint, "has a port or is an address"), ("xks", .endpoint, "has no domain"),
            ("192.0.2.7", .endpoint, "is an address: KMS dials a name"),
            ("-x.example.com", .endpoint, "is no host name"),
            ("x..example.com", .endpoint, "is no host name"),
            (String(repeating: "a", count: 60) + ".example.com", .endpoint, "more than 64 characters"),
            ("bank", .pathPrefix, "must be empty or begin with a slash"),
            ("/bank/kms/xks/v1", .pathPrefix, "leave /kms/xks/v1 out: \"/bank\""), ("/a/", .pathPrefix, "must not end"),
            ("", .keys, "names no key"), ("my key", .keys, "give the key an id: my-key=LABEL"),
            ("a, a", .keys, "is named twice"), ("=x", .keys, "the id before ="), ("id=", .keys, "the label behind ="),
        ])
    func wrong(text: String, question: SetupQuestion, words: String) {
        let said = problem(text, question)
        #expect(said.hasPrefix(question.option) && said.contains(words), "\(said)")
    }

    @Test("keys are labels, patterns, and ids for labels that KMS could not ask for")
    func keys() throws {
        let keys = try take(" orders, prod-*,pay=My key (2024) ", .keys).keys
        #expect(keys == [.label("orders"), .label("prod-*"), .named(id: "pay", label: "My key (2024)")])
        #expect(keys.map(\.singleLabel) == ["orders", nil, "My key (2024)"])
    }

    @Test("the control listener has a port of its own")
    func ports() throws {
        var answers = SetupAnswers()
        try answers.take("0.0.0.0:8080", for: .listen, workingDirectory: "/")
        #expect(throws: SetupProblem.self) {
            try answers.take("127.0.0.1:8080", for: .control, workingDirectory: "/")
        }
        #expect(answers.control == nil)
        try answers.take("[::1]:8081", for: .control, workingDirectory: "/")
        #expect(answers.control == ListenAddress(host: "::1", port: 8081))
    }

    @Test("a certificate of one's own asks for its key, the others do not")
    func certificates() throws {
        #expect(try take("request", .certificate).isAnswered(.certificateKey))
        var own = try take("cert.pem", .certificate)
        #expect(own.certificate == .file("/srv/here/cert.pem") && !own.isAnswered(.certificateKey))
        try own.take("key.pem", for: .certificateKey, workingDirectory: "/srv/here")
        #expect(own.isAnswered(.certificateKey))
        own.forget(.certificate)
        #expect(!own.isAnswered(.certificate) && own.certificateKey == nil)
    }

    private let tokens = [
        SetupToken(slot: 7, label: "a", serial: "1"), SetupToken(slot: 8, label: "2", serial: "2"),
        SetupToken(slot: 9, label: "twin", serial: "3"), SetupToken(slot: 10, label: "twin", serial: "4"),
        SetupToken(slot: 11, label: "", serial: "5", isInitialized: false),
        SetupToken(slot: 12, label: "locked", serial: "6", isLocked: true),
        SetupToken(slot: 13, label: "old", serial: "7", hasGCM: false),
    ]

    private func choice(_ text: String) -> String {
        do {
            return "\(try SetupToken.chosen(by: text, among: tokens).selector(among: tokens))"
        } catch {
            return "\(error)"
        }
    }

    @Test("a token is chosen by its label before its number, and named by what is its alone")
    func token() throws {
        #expect(choice("a") == "label(\"a\")")
        #expect(choice("1") == "label(\"a\")")
        #expect(choice("2") == "label(\"2\")")
        #expect(choice("3") == "serial(\"3\")")
        #expect(choice("twin").contains("is the label of 2 tokens; choose by --serial or --slot"))
        #expect(choice("5").contains("not initialised"))
        #expect(choice("locked").contains("PIN is locked"))
        #expect(choice("old").contains("without AES-GCM"))
        #expect(choice("9").contains("is no token of the library, which shows \"a\", serial 1, slot 7;"))
        #expect(try SetupToken.withSerial("4", among: tokens).slot == 10)
        #expect(try SetupToken.inSlot(9, among: tokens).serial == "3")
        #expect(throws: SetupProblem.self) { try SetupToken.inSlot(99, among: tokens) }
        // Neither label nor serial number could stand in the file.
        let strange = [SetupToken(slot: 4, label: "a\u{FFFD}", serial: "")]
        #expect(strange[0].selector(among: strange) == .slot(4))
    }
}
