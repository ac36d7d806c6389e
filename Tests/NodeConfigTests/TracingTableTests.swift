// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import Testing

@Suite struct TracingTableTests {
    private func file(_ table: String) -> String { goodFile + "\n[tracing]\n\(table)\n" }

    @Test func theTableIsRead() throws {
        #expect(try parse(goodFile).tracing == nil)
        let all = try parse(
            file(
                """
                endpoint = "https://otel.example.com/otlp/v1/traces"
                sample = "12.5%"
                headers = { file = "headers" }
                ca = "otel.pem"
                show_keys = true
                """))
        let tracing = try #require(all.tracing)
        #expect(tracing.endpoint.description == "https://otel.example.com:443/otlp/v1/traces" && tracing.ratio == 0.125)
        #expect(tracing.headers == .file("/etc/claviger/headers") && tracing.authorities == "/etc/claviger/otel.pem")
        #expect(tracing.showsKeys && all.secretSources.contains(.file("/etc/claviger/headers")))
        let least = try #require(try parse(file("endpoint = \"http://127.0.0.1:4318\"")).tracing)
        #expect(least.endpoint.description == "http://127.0.0.1:4318/v1/traces")
        #expect(least.ratio == 0.01 && least.headers == nil && least.authorities == nil && !least.showsKeys)
    }

    @Test(arguments: [
        ("http://localhost", "http://localhost:80/v1/traces"), ("https://a.b:1/", "https://a.b:1/v1/traces"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443/v1/traces"),
        ("http://[::1]:4318/x", "http://[::1]:4318/x"), ("https://a", "https://a:443/v1/traces"),
    ])
    func anAddressIsRead(text: String, shown: String) { #expect(CollectorAddress(text)?.description == shown) }

    @Test(arguments: [
        "", "http://", "https:///v1/traces", "grpc://a:4317", "localhost:4318", "http://a:0", "http://a:65536",
        "http://a:", "http://:80", "http://user:word@a", "http://a/?token=1", "http://a/#x", "http://a b",
        "http://é", "http://[::1", "http://[::1]x", "http://::1", "HTTP://a", "http://a:1:2", "http://10.1",
        "http://a\r\nX: y",
    ])
    func whatIsNoAddressIsNone(text: String) { #expect(CollectorAddress(text) == nil) }

    @Test(arguments: [
        ("http://127.0.0.1", true), ("http://[::1]", true), ("http://localhost", true), ("http://10.0.0.1", false),
        ("http://127.example.com", false), ("http://localhost.example.com", false),
    ])
    func whatIsThisHostIsKnown(text: String, isLoopback: Bool) {
        #expect(CollectorAddress(text)?.isLoopback == isLoopback)
    }

    private static let good = "endpoint = \"https://a\"\n"

    @Test(arguments: [
        ("sample = \"1%\"", "tracing.endpoint", "is missing; write endpoint = \"http://127.0.0.1:4318\""),
        ("endpoint = \"http://u:secret-word@a\"", "tracing.endpoint", "is no URL of a collector; write for example"),
        (good + "sample = \"101%\"", "tracing.sample", "is no percentage from 0% to 100%"),
        (good + "sample = \"0.5\"", "tracing.sample", "is no percentage"),
        (good + "sample = \"nan%\"", "tracing.sample", "is no percentage"),
        (good + "sample = \"0x1%\"", "tracing.sample", "is no percentage"),
        (good + "sample = \"1.2.3%\"", "tracing.sample", "is no percentage"),
        (good + "sample = 1", "tracing.sample", "must be a string"),
        (good + "headers = \"secret-word\"", "tracing.headers", "is a secret, and must not stand in the file"),
        (
            "endpoint = \"http://10.0.0.1\"\nheaders = { file = \"h\" }", "tracing.headers",
            "needs an endpoint of https: over plain HTTP, whoever is on the way reads them"
        ),
        ("endpoint = \"http://127.0.0.1\"\nca = \"/c\"", "tracing.ca", "is of no use without TLS"),
        (good + "sampling = \"1%\"", "tracing.sampling", "did you mean `sample`?"),
    ])
    func aMistakeIsNamed(table: String, path: String, says: String) throws {
        let found = problems(file(table))
        #expect(found.map(\.path) == [path])
        let text = found.first?.rendered(file: "f") ?? ""
        #expect(text.contains(says) && !text.contains("secret-word"), "\(text)")
    }

    @Test func aReloadTakesItOver() throws {
        let (before, after) = (try parse(goodFile), try parse(file(Self.good)))
        #expect(after.restartOnly(changedFrom: before).isEmpty && before.restartOnly(changedFrom: after).isEmpty)
    }
}
