// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import Testing

/// Every key of the reference is changed once, so that none can be added without deciding what a reload does with it.
@Suite struct SettingsChangeTests {
    /// What a key's change asks for.
    private enum Effect {
        /// A running node takes it over.
        case reload
        /// `restartOnly` names it.
        case restart
        /// `restartOnly` names the table that it stands in.
        case restartOfTable(String)
    }

    private static let file = """
        [node]
        id = "fra-1"
        site = "fra"
        state_dir = "/state"
        drain_delay = "1s"
        event_loops = 1
        admin_group = "one"
        log_level = "info"
        log_format = "json"
        max_unauthenticated_bytes = 20000000
        [xks]
        listen = "127.0.0.1:8443"
        certificate = "/c"
        key = "/k"
        certificate_for = "kms"
        client_ca = "/ca"
        client_name = "one.example.com"
        max_plaintext_bytes = 8192
        max_aad_bytes = 16384
        max_body_bytes = 262144
        max_header_bytes = 4096
        handshake_timeout = "1s"
        header_timeout = "1s"
        body_timeout = "1s"
        idle_timeout = "1s"
        max_connections = 1
        max_unauthenticated_per_address = 1
        proxy_protocol_from = ["10.0.0.0/8"]
        max_requests_in_flight = 1
        request_deadline = "200ms"
        attempt_deadline = "80ms"
        tcp_keepalive = { idle = "1s", interval = "1s", count = 1 }
        [control]
        listen = "127.0.0.1:8080"
        certificate = "/control-c"
        key = "/control-k"
        token = { file = "/control-t" }
        show_keys = false
        [audit]
        directory = "/audit"
        on_full = "refuse"
        patience = "20ms"
        segment_bytes = 100000
        segment_time = "1h"
        keep_days = 30
        keep_bytes = 1000000
        journal_dir = "/journal"
        queue_bytes = 2000000
        [tracing]
        endpoint = "https://collector"
        sample = "3%"
        headers = { file = "/headers" }
        ca = "/tracing-ca"
        show_keys = false # of traces
        [cluster]
        listen = "127.0.0.1:7443"
        advertise = "127.0.0.1:7443"
        seeds = ["a:1"]
        ca = "/cluster-ca"
        certificate = "/cluster-c"
        key = "/cluster-k"
        forwarding = true
        refused = ["0a:0b"]
        [[hsm]]
        name = "hsm-a"
        module = "/a.so"
        token = { label = "one" }
        pin = { file = "/pin" }
        sessions = 1
        env = { A = "1" }
        stuck_after = "1s"
        catalogue_interval = "1s"
        probe_interval = "1s"
        tier = 0
        weight = 1
        depth = 1
        profile = "auto"
        initialize_arguments = "a"
        session_limit = 3
        sandbox = "strict"
        sandbox_read = ["/r"]
        sandbox_write = ["/w"]
        sandbox_connect = [1792]
        [[hsm]]
        name = "hsm-b"
        module = "/b.so"
        sandbox = "off"
        token = { slot = 7 }
        [[keystore]]
        path_prefix = "/a"
        keys = ["foo", { id = "x", label = "y" }]
        hsms = ["hsm-b"]
        regions = ["eu-central-1"]
        aad = "spec"
        policy = "/policy.json"
        requests_per_second = 11
        burst = 12
        principal_requests_per_second = 13
        audit = "all"
        principal_burst = 14
        credentials = [{ access_key_id = "AAAABBBBCCCCDDDD2222", secret = { file = "/s" } }]

        """

    /// By the key's path: what stands in the file, what replaces it, and what that asks for. A key of several tables
    /// (`listen`) is replaced in its own: the text is one that stands there alone.
    private static let changes: [String: (String, String, Effect)] = [
        "node.id": ("\"fra-1\"", "\"fra-2\"", .restart),
        "node.site": ("\"fra\"", "\"iad\"", .restart),
        "node.state_dir": ("\"/state\"", "\"/other\"", .restart),
        "node.drain_delay": ("drain_delay = \"1s\"", "drain_delay = \"2s\"", .restart),
        "node.event_loops": ("event_loops = 1", "event_loops = 2", .restart),
        "node.admin_group": ("\"one\"\n", "\"two\"\n", .restart),
        "node.log_level": ("log_level = \"info\"", "log_level = \"debug\"", .reload),
        "node.log_format": ("log_format = \"json\"", "log_format = \"text\"", .reload),
        "xks.listen": ("\"127.0.0.1:8443\"", "\"127.0.0.1:8444\"", .restart),
        "xks.certificate": ("\"/c\"", "\"/d\"", .reload),
        "xks.key": ("\"/k\"", "\"/l\"", .reload),
        "xks.certificate_for": ("\"kms\"", "\"balancer\"", .reload),
        "xks.client_ca": ("\"/ca\"", "\"/cb\"", .reload),
        "xks.client_name": ("\"one.example.com\"", "[\"two.example.com\"]", .reload),
        "xks.plaintext": (
            "certificate = \"/c\"\nkey = \"/k\"\ncertificate_for = \"kms\"\nclient_ca = \"/ca\"\nclient_name = \"one.example.com\"",
            "plaintext = true", .restart
        ),
        "xks.max_plaintext_bytes": ("8192", "9000", .restart),
        "xks.max_aad_bytes": ("16384", "17000", .restart),
        "xks.max_body_bytes": ("262144", "262145", .restart),
        "xks.max_header_bytes": ("4096", "4097", .restart),
        "xks.handshake_timeout": ("handshake_timeout = \"1s\"", "handshake_timeout = \"2s\"", .restart),
        "xks.header_timeout": ("header_timeout = \"1s\"", "header_timeout = \"2s\"", .restart),
        "xks.body_timeout": ("body_timeout = \"1s\"", "body_timeout = \"2s\"", .restart),
        "xks.idle_timeout": ("idle_timeout = \"1s\"", "idle_timeout = \"2s\"", .restart),
        "xks.max_connections": ("max_connections = 1", "max_connections = 2", .restart),
        "node.max_unauthenticated_bytes": (
            "max_unauthenticated_bytes = 20000000", "max_unauthenticated_bytes = 20000001", .restart
        ),
        "xks.max_unauthenticated_per_address": (
            "max_unauthenticated_per_address = 1", "max_unauthenticated_per_address = 2", .restart
        ),
        "xks.proxy_protocol_from": ("[\"10.0.0.0/8\"]", "[\"10.0.0.0/9\"]", .restart),
        "xks.max_requests_in_flight": ("max_requests_in_flight = 1", "max_requests_in_flight = 2", .restart),
        "xks.request_deadline": ("\"200ms\"", "\"210ms\"", .restart),
        "xks.attempt_deadline": ("\"80ms\"", "\"70ms\"", .restart),
        "xks.tcp_keepalive": ("tcp_keepalive = { idle = \"1s\",", "tcp_keepalive = { idle = \"2s\",", .restart),
        "xks.tcp_keepalive.idle": ("{ idle = \"1s\",", "{ idle = \"3s\",", .restartOfTable("xks.tcp_keepalive")),
        "xks.tcp_keepalive.interval": (
            "interval = \"1s\",", "interval = \"2s\",", .restartOfTable("xks.tcp_keepalive")
        ),
        "xks.tcp_keepalive.count": ("count = 1", "count = 2", .restartOfTable("xks.tcp_keepalive")),
        "control.listen": ("\"127.0.0.1:8080\"", "\"127.0.0.1:8081\"", .restart),
        "control.certificate": ("\"/control-c\"", "\"/other\"", .reload),
        "control.key": ("\"/control-k\"", "\"/other\"", .reload),
        "control.token": ("\"/control-t\"", "\"/other\"", .reload),
        "control.show_keys": ("show_keys = false\n", "show_keys = true\n", .reload),
        "audit.directory": ("directory = \"/audit\"", "directory = \"/other\"", .restartOfTable("audit")),
        "audit.on_full": ("\"refuse\"", "\"continue\"", .restartOfTable("audit")),
        "audit.patience": ("patience = \"20ms\"", "patience = \"21ms\"", .restartOfTable("audit")),
        "audit.segment_bytes": ("segment_bytes = 100000", "segment_bytes = 100001", .restartOfTable("audit")),
        "audit.segment_time": ("segment_time = \"1h\"", "segment_time = \"2h\"", .restartOfTable("audit")),
        "audit.keep_days": ("keep_days = 30", "keep_days = 31", .restartOfTable("audit")),
        "audit.keep_bytes": ("keep_bytes = 1000000", "keep_bytes = 1000001", .restartOfTable("audit")),
        "audit.journal_dir": ("journal_dir = \"/journal\"", "journal_dir = \"/elsewhere\"", .restartOfTable("audit")),
        "audit.queue_bytes": ("queue_bytes = 2000000", "queue_bytes = 2000001", .restartOfTable("audit")),
        "tracing.endpoint": ("\"https://collector\"", "\"https://other\"", .reload),
        "tracing.sample": ("\"3%\"", "\"4%\"", .reload),
        "tracing.headers": ("\"/headers\"", "\"/other\"", .reload),
        "tracing.ca": ("\"/tracing-ca\"", "\"/other\"", .reload),
        "tracing.show_keys": ("show_keys = false # of traces", "show_keys = true", .reload),
        "cluster.listen": ("listen = \"127.0.0.1:7443\"", "listen = \"127.0.0.1:7444\"", .restart),
        "cluster.advertise": ("advertise = \"127.0.0.1:7443\"", "advertise = \"127.0.0.1:7444\"", .restart),
        "cluster.seeds": ("[\"a:1\"]", "[\"a:1\", \"b:1\"]", .reload),
        "cluster.ca": ("\"/cluster-ca\"", "\"/other\"", .reload),
        "cluster.certificate": ("\"/cluster-c\"", "\"/other\"", .reload),
        "cluster.key": ("\"/cluster-k\"", "\"/other\"", .reload),
        "cluster.refused": ("\"0a:0b\"", "\"0a:0c\"", .reload),
        "cluster.forwarding": ("forwarding = true", "forwarding = false", .restart),
        "hsm.name": ("\"hsm-a\"", "\"hsm-c\"", .reload),
        "hsm.module": ("\"/a.so\"", "\"/c.so\"", .reload),
        "hsm.token": ("token = { label = \"one\" }", "token = { slot = 1 }", .reload),
        "hsm.token.label": ("{ label = \"one\" }", "{ label = \"two\" }", .reload),
        "hsm.token.serial": ("{ label = \"one\" }", "{ serial = \"2\" }", .reload),
        "hsm.token.slot": ("{ label = \"one\" }", "{ slot = 2 }", .reload),
        "hsm.pin": ("\"/pin\"", "\"/nip\"", .reload),
        "hsm.sessions": ("sessions = 1", "sessions = 2", .reload),
        "hsm.env": ("{ A = \"1\" }", "{ A = \"2\" }", .reload),
        "hsm.stuck_after": ("stuck_after = \"1s\"", "stuck_after = \"2s\"", .reload),
        "hsm.catalogue_interval": ("catalogue_interval = \"1s\"", "catalogue_interval = \"2s\"", .reload),
        "hsm.probe_interval": ("probe_interval = \"1s\"", "probe_interval = \"2s\"", .reload),
        "hsm.tier": ("tier = 0", "tier = 1", .reload),
        "hsm.weight": ("weight = 1", "weight = 2", .reload),
        "hsm.depth": ("depth = 1", "depth = 2", .reload),
        "hsm.profile": ("\"auto\"", "\"luna\"", .reload),
        "hsm.initialize_arguments": ("initialize_arguments = \"a\"", "initialize_arguments = \"b\"", .reload),
        "hsm.sandbox": ("sandbox = \"off\"", "sandbox = \"default\"", .reload),
        "hsm.sandbox_read": ("[\"/r\"]", "[\"/r\", \"/q\"]", .reload),
        "hsm.sandbox_write": ("[\"/w\"]", "[]", .reload),
        "hsm.sandbox_connect": ("[1792]", "[1793]", .reload),
        "hsm.session_limit": ("session_limit = 3", "session_limit = 4", .reload),
        "keystore.path_prefix": ("path_prefix = \"/a\"", "path_prefix = \"/b\"", .reload),
        "keystore.keys": ("\"foo\"", "\"bar\"", .reload),
        "keystore.keys.id": ("id = \"x\"", "id = \"z\"", .reload),
        "keystore.keys.label": ("label = \"y\"", "label = \"z\"", .reload),
        "keystore.hsms": ("hsms = [\"hsm-b\"]\n", "", .reload),
        "keystore.regions": ("\"eu-central-1\"", "\"us-east-1\"", .reload),
        "keystore.aad": ("\"spec\"", "\"digest\"", .reload),
        "keystore.requests_per_second": ("requests_per_second = 11", "requests_per_second = 21", .reload),
        "keystore.burst": ("burst = 12", "burst = 22", .reload),
        "keystore.principal_requests_per_second": ("_second = 13", "_second = 23", .reload),
        "keystore.principal_burst": ("burst = 14", "burst = 24", .reload),
        "keystore.audit": ("\"all\"", "\"failures\"", .reload),
        "keystore.policy": ("policy = \"/policy.json\"\n", "", .reload),
        "keystore.credentials": (
            "[{ access_key_id",
            "[{ access_key_id = \"AAAABBBBCCCCDDDD4444\", secret = { file = \"/u\" } }, { access_key_id", .reload
        ),
        "keystore.credentials.access_key_id": ("DDDD2222", "DDDD3333", .reload),
        "keystore.credentials.secret": ("\"/s\"", "\"/t\"", .reload),
    ]

    @Test func everyKeyHasBeenDecidedAbout() {
        let keys = ConfigurationReference.tables.filter { $0.title != "Secrets" }
            .flatMap { table in table.keys.map { "\(table.path).\($0.name)" } }
        #expect(Set(keys) == Set(Self.changes.keys))
        #expect(keys.count == Self.changes.count)
    }

    @Test(arguments: changes.keys.sorted())
    func aChangeIsNamedWhenItNeedsARestart(key: String) throws {
        let (present, other, effect) = try #require(Self.changes[key])
        let fields = Self.file.components(around: present)
        try #require(fields.count == 2, "\(present) must stand in the file once")
        let old = try parse(Self.file)
        let new = try parse(fields.joined(separator: other))
        #expect(old.restartOnly(changedFrom: old).isEmpty)
        #expect(old != new)
        let named = new.restartOnly(changedFrom: old)
        switch effect {
        case .reload: #expect(named.isEmpty)
        case .restart: #expect(named == [key])
        case .restartOfTable(let table): #expect(named == [table])
        }
        #expect(old.restartOnly(changedFrom: new) == named)
        #expect(Set(named).isSubset(of: NodeSettings.restartOnlyKeys))
    }

    @Test func aClusterThatComesOrGoesIsNamedOnce() throws {
        let old = try parse(Self.file)
        var new = old
        new.cluster = nil
        #expect(new.restartOnly(changedFrom: old) == ["cluster"])
        #expect(old.restartOnly(changedFrom: new) == ["cluster"])
    }

    @Test func allThatChangedIsNamedInTheOrderOfTheFile() throws {
        let old = try parse(Self.file)
        var new = old
        new.control.listen.port = 1
        new.node.id = "other"
        new.cluster?.forwarding = false
        #expect(new.restartOnly(changedFrom: old) == ["node.id", "control.listen", "cluster.forwarding"])
    }

    @Test func theReferenceSaysWhichKeysNeedARestart() {
        let sections = ConfigurationReference.markdown().components(around: "### ").dropFirst()
        let marked = sections.filter { $0.contains(" Changed by a restart.") }.count
        let expected = Self.changes.values.filter { if case .reload = $0.2 { false } else { true } }.count
        #expect(marked == expected)
    }
}

extension String {
    /// What stands before, between and after the occurrences of `text`.
    fileprivate func components(around text: String) -> [String] {
        split(separator: text, omittingEmptySubsequences: false).map(String.init)
    }
}
