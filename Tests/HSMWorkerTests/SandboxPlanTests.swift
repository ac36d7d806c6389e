// SPDX-License-Identifier: Apache-2.0
import HSMWorker
import LaneProtocol
import Testing

@Suite("What a library may reach")
struct SandboxPlanTests {
    /// Directories end with a slash, links with an @, large files with an exclamation mark.
    private static let disk: [String: [String]] = [
        "/": ["etc/", "usr/", "var/", "lib@", "swapfile"],
        "/etc": ["claviger/", "hosts", "softhsm/", "mtab@"],
        "/etc/claviger": ["claviger.toml", "a.pin", "hsm/", "tls/", "current@"],
        "/etc/claviger/tls": ["key.pem", "cert.pem"],
        "/var": ["lib/", "log/", "image.raw!", "p11.so!"],
        "/var/lib": ["claviger/", "softhsm/"],
        "/var/lib/claviger": ["claviger.sqlite", "admin.sock", "tokens/", "softhsm2.conf"],
    ]

    private static func entries(_ directory: String) -> [SandboxPlan.Entry] {
        disk[directory, default: []].map { name in
            switch name.last {
            case "/": SandboxPlan.Entry(String(name.dropLast()), .directory)
            case "!": SandboxPlan.Entry(String(name.dropLast()), .large)
            case "@": SandboxPlan.Entry(String(name.dropLast()), .link)
            default: SandboxPlan.Entry(name, .other)
            }
        }
    }

    private static let sealed = SealedPaths(
        paths: ["/etc/claviger/claviger.toml", "/etc/claviger/a.pin", "/etc/claviger/tls/key.pem"],
        fileDirectories: ["/var/lib/claviger"])

    @Test("everything beside the ways to what is sealed, and nothing on them")
    func siblings() {
        let plan = SandboxPlan(sealed: Self.sealed, entries: Self.entries)
        #expect(
            plan.allowed == [
                "/usr", "/etc/softhsm", "/etc/claviger/hsm", "/var/log", "/var/lib/softhsm", "/var/lib/claviger/tokens",
                "/swapfile", "/etc/hosts", "/etc/claviger/tls/cert.pem",
            ])
        #expect(plan.omitted == 0)
    }

    /// No rule covers a sealed path: a rule holds for all that lies beneath its path.
    @Test("no allowed path is a sealed one, or above it")
    func soundness() {
        let plan = SandboxPlan(sealed: Self.sealed, exempt: ["/etc/claviger/a.pin"], entries: Self.entries)
        let secrets = Self.sealed.paths + ["/var/lib/claviger/claviger.sqlite", "/var/lib/claviger/admin.sock"]
        for allowed in plan.allowed {
            for secret in secrets { #expect(secret != allowed && !secret.hasPrefix(allowed + "/")) }
        }
        #expect(plan.allowed.count > 5)
    }

    @Test("a file among the node's that the configuration names to the library is the library's")
    func exempt() {
        let plan = SandboxPlan(
            sealed: Self.sealed, exempt: ["/var/lib/claviger/softhsm2.conf"], entries: Self.entries)
        #expect(plan.allowed.contains("/var/lib/claviger/softhsm2.conf"))
        #expect(!plan.allowed.contains("/var/lib/claviger/claviger.sqlite"))
    }

    /// A rule would keep its space from being freed.
    @Test("a large file beside the node's is left out, unless it is named to the library")
    func large() {
        #expect(!SandboxPlan(sealed: Self.sealed, entries: Self.entries).allowed.contains("/var/image.raw"))
        let plan = SandboxPlan(sealed: Self.sealed, exempt: ["/var/p11.so"], entries: Self.entries)
        #expect(plan.allowed.contains("/var/p11.so") && !plan.allowed.contains("/var/image.raw"))
    }

    @Test("what lies in a sealed directory is not looked at")
    func sealedDirectory() {
        let sealed = SealedPaths(paths: ["/etc/claviger", "/etc/claviger/tls/key.pem"])
        let plan = SandboxPlan(sealed: sealed, entries: Self.entries)
        #expect(plan.allowed == ["/usr", "/var", "/etc/softhsm", "/swapfile", "/etc/hosts"])
    }

    @Test("with nothing sealed there is nothing to take apart")
    func nothing() {
        #expect(SandboxPlan(sealed: SealedPaths(), entries: Self.entries).allowed.isEmpty)
    }

    /// Without it the rules were used up from the root on, and an HSM's own token was out of its library's reach.
    @Test("of directories the full one loses, and not what lies beside it or beneath it")
    func fullDirectory() {
        let full = (0..<SandboxPlan.mostRules + 7).map { SandboxPlan.Entry("d\($0)", .directory) }
        let disk: [String: [SandboxPlan.Entry]] = [
            "/": [.init("usr", .directory), .init("tmp", .directory), .init("file", .other)],
            "/tmp": full + [.init("dev", .directory)],
            "/tmp/dev": [.init("node", .directory), .init("hsm-1", .directory), .init("hsm-2", .directory)],
        ]
        let plan = SandboxPlan(sealed: SealedPaths(paths: ["/tmp/dev/node"])) { disk[$0, default: []] }
        #expect(plan.allowed.prefix(3) == ["/usr", "/tmp/dev/hsm-1", "/tmp/dev/hsm-2"])
        #expect(plan.allowed.count == SandboxPlan.mostRules && plan.omitted == 11)
    }

    /// Each rule is time of a worker's start: a state directory in a full `/tmp` must not make all workers slow.
    @Test("a directory without end makes 4,096 rules: for what is named first, and for directories before files")
    func bounded() {
        let files = (0..<SandboxPlan.mostRules + 7).map { SandboxPlan.Entry("f\($0)", .other) }
        let directories = (0..<9).map { SandboxPlan.Entry("d\($0)", .directory) }
        let plan = SandboxPlan(sealed: SealedPaths(paths: ["/x/y"]), exempt: ["/f\(SandboxPlan.mostRules + 6)"]) {
            $0 == "/" ? files + directories : []
        }
        #expect(plan.allowed.count <= 4096 && plan.omitted == 16)
        let first = ["/f\(SandboxPlan.mostRules + 6)"] + (0..<9).map { "/d\($0)" } + ["/f0"]
        #expect(Array(plan.allowed.prefix(11)) == first)
    }
}
