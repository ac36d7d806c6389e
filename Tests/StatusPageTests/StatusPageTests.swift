// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import Foundation
import StatusPage
import StatusVocabulary
import Testing

@Suite struct StatusPageTests {
    @Test func aHealthyClusterIsShown() throws {
        var snapshot = Scene.snapshot(others: [
            Scene.node("fra-2", [Scene.hsm("hsm-1"), Scene.hsm("hsm-2")]),
            Scene.node("iad-1", site: "iad", [Scene.hsm("hsm-3")]),
        ])
        snapshot.certificateEnds = ["xks.certificate": Scene.now + 86_400 * 40]
        let page = try Scene.page(snapshot)
        #expect(page.contains("<title>Active · fra-1 · Claviger</title>"))
        #expect(page.contains("The cluster serves, and nothing is wrong."))
        #expect(page.contains(">fra <span>2 nodes</span>") && page.contains(">iad <span>1 node</span>"))
        #expect(page.contains("<b>3</b> <span>of 3</span>") && page.contains("<b>5</b> <span>of 5</span>"))
        #expect(
            page.contains("xks.certificate of this node") && page.contains("2023-12-24") && page.contains("40 days"))
        #expect(page.contains("the first to end of iad-1"))
        #expect(page.contains("at most one HSM is lost") && page.contains("1.2</td><td class=\"n\">9.8</td>"))
        #expect(page.contains("2023-11-14T22:13:20Z") && page.contains("22:13:20 UTC"))
        #expect(!page.contains("Warning") && !page.contains("Critical"))
    }

    @Test func whatIsWrongIsSaidWithSinceWhenAndWhatMendsIt() throws {
        var snapshot = Scene.snapshot(
            hsms: [Scene.hsm("hsm-1"), Scene.hsm("hsm-2", .unavailable)],
            others: [Scene.node("iad-1", site: "iad", [Scene.hsm("hsm-3")], liveness: .dead)])
        snapshot.transitions = [
            HSMTransition(
                atUnixSeconds: Scene.now - 40, hsm: "hsm-2", from: .active, to: .unavailable,
                reason: "CKR_DEVICE_REMOVED")
        ]
        let page = try Scene.page(snapshot)
        #expect(page.contains("<title>Degraded · fra-1 · Claviger</title>"))
        #expect(page.contains("The cluster serves. 2 things need attention."))
        #expect(page.contains("hsm hsm-2 of node fra-1 is unavailable: C_Login: CKR_DEVICE_REMOVED (0x32)"))
        #expect(page.contains("since <time datetime=\"2023-11-14T20:11:40Z\">20:11:40</time>, for 2 h"))
        #expect(
            page.contains("node iad-1 (site iad) is dead") && page.contains("<code>claviger cluster forget NODE</code>")
        )
        #expect(page.contains("no further HSM is lost"))
        #expect(page.contains("<time datetime=\"2023-11-14T22:12:40Z\">22:12:40</time>"))
        // Of a dead node's HSMs there is no news.
        #expect(!page.contains("hsm-3"))
    }

    @Test func aNodeWithoutHSMsThatServeIsUnavailable() throws {
        let page = try Scene.page(Scene.snapshot(hsms: [Scene.hsm("hsm-1", .unavailable)]))
        #expect(page.contains("<title>Unavailable · fra-1 · Claviger</title>") && page.contains("Critical"))
        #expect(page.contains("<b>0</b> <span>of 12</span>"), "no key is served")
        #expect(page.contains("not served here"))
    }

    @Test func whatOneHSMIsWrongWithIsSaidOnceForAllNodesThatSeeIt() throws {
        let sick = Scene.hsm("hsm-1", .unavailable)
        let alone = try Scene.page(Scene.snapshot(hsms: [sick, Scene.hsm("hsm-2")]))
        #expect(alone.components(separatedBy: "is unavailable").count == 2)
        let both = try Scene.page(
            Scene.snapshot(
                hsms: [sick, Scene.hsm("hsm-2")], others: [Scene.node("fra-2", [sick, Scene.hsm("hsm-2")])]))
        #expect(
            both.contains(
                "<p class=\"detail\">hsm hsm-1 (serial b493a14e5e45-hsm-1) is unavailable on fra-1, fra-2</p>"))
    }

    @Test func anEmptyNodeIsShown() throws {
        let page = try Scene.page(Scene.snapshot(hsms: [], keys: []))
        #expect(
            page.contains("Unavailable") && page.contains("No key is offered.") && page.contains("None is in force."))
        var nobody = Scene.snapshot()
        nobody.cluster.nodes = []
        nobody.traffic = TrafficHistory(edges: Scene.edges)
        let quiet = try Scene.page(nobody)
        #expect(quiet.contains("Nothing is known yet.") && quiet.contains("Nothing has been answered yet."))
    }

    @Test func blocksAreShownWithoutWhomTheyHit() throws {
        let block = BlockView(
            id: "b1", target: "--key payments", reason: "the laptop of Mr. X", madeAtUnixSeconds: Scene.now - 900,
            expiresAtUnixSeconds: Scene.now + 7_200, madeBy: "anna@fra-1")
        let page = try Scene.page(Scene.snapshot(blocks: [block], showsKeys: true))
        #expect(page.contains(">a key</th>") && page.contains(">15 min</time>") && page.contains(">2 h</td>"))
        for word in ["payments", "Mr. X", "anna"] { #expect(!page.contains(word)) }
    }

    // MARK: Names of keys

    private var keys: [KeyStatus] {
        [
            Scene.key("secret-plans", ["hsm-1": .proven, "hsm-2": .different]),
            Scene.key("secret-talks", ["hsm-1": .absent, "hsm-2": .unproven], disputed: "secret-word differs"),
        ]
    }

    @Test func noKeyIsNamedWithoutLeave() throws {
        let snapshot = Scene.snapshot(keys: keys) { status in
            status.disagreements = ["secret-other: iad-1 proves another key"]
            status.hsms[0].complaints = ["\"secret two\" can be no external key id"]
        }
        let page = try Scene.page(snapshot)
        #expect(!page.contains("secret"))
        #expect(page.contains("holds another key than the others under 1 label"))
        #expect(page.contains("control.show_keys"))
    }

    @Test func keysAreNamedWithLeave() throws {
        let page = try Scene.page(Scene.snapshot(keys: keys, showsKeys: true))
        #expect(page.contains(">secret-plans</th>") && page.contains("<i>another key</i>"))
        #expect(page.contains("disputed, refused: secret-word differs") && page.contains("<i>lacks it</i>"))
        #expect(page.contains("<p class=\"detail\">secret-plans</p>"))
        #expect(!page.contains("control.show_keys"))
    }

    // MARK: Bounds

    @Test func aThousandKeysOnSixteenHSMsAreBounded() throws {
        let hsms = (1...16).map { Scene.hsm("hsm-\($0)") }
        let cells = Dictionary(uniqueKeysWithValues: hsms.map { ($0.name, KeyState.proven) })
        var keys = (1...1_000).map { Scene.key("key-\($0)", cells) }
        keys[980].cells["hsm-4"] = .absent
        let page = try Scene.page(Scene.snapshot(hsms: hsms, keys: keys, showsKeys: true))
        #expect(page.utf8.count < 128 * 1_024, "\(page.utf8.count)")
        #expect(page.contains(">key-981</th>"), "the one that an HSM lacks comes first")
        #expect(page.contains("900 further keys"))
        #expect(page.contains(">999</td>") && page.contains("at most 15 HSMs are lost"))
    }

    @Test func aThousandNodesAreBounded() throws {
        let hsms = (1...64).map { Scene.hsm("hsm-\($0)") }
        let others =
            (0..<1_000).map { Scene.node("node-\($0)", site: "site-\($0 % 7)", hsms) }
            + [Scene.node("the-dead-one", hsms, liveness: .dead)]
        let page = try Scene.page(Scene.snapshot(hsms: hsms, others: others))
        #expect(page.utf8.count < 512 * 1_024, "\(page.utf8.count)")
        #expect(page.contains("the-dead-one") && page.contains("and 942 more") && page.contains("and 48 HSMs more"))
    }

    @Test func longNamesAreShownWhole() throws {
        let name = String(repeating: "n", count: 63) + "x"
        var snapshot = Scene.snapshot(
            hsms: [Scene.hsm(name)], keys: [Scene.key(String(repeating: "k", count: 128), [name: .proven])],
            others: [Scene.node(String(repeating: "m", count: 64), site: String(repeating: "s", count: 64), [])],
            showsKeys: true)
        snapshot.transitions = [
            HSMTransition(
                atUnixSeconds: .max, hsm: name, from: .active, to: .active,
                reason: String(repeating: "r", count: 90_000))
        ]
        let page = try Scene.page(snapshot)
        for word in [name, String(repeating: "k", count: 128), String(repeating: "s", count: 64)] {
            #expect(page.contains(word))
        }
        #expect(page.contains("9999-12-31T23:59:59Z") && page.utf8.count < 64 * 1_024)
    }

    // MARK: Files

    @Test func filesAreNamedByTheirContent() throws {
        let page = try StatusPage()
        let text = try Scene.page(Scene.snapshot())
        for asset in [page.stylesheet, page.script, page.icon] {
            #expect(text.contains("\"\(asset.reference)\"") && asset.digest.count == 16 && !asset.body.isEmpty)
            #expect(page.asset(asset.path)?.body == asset.body)
        }
        #expect(page.asset("/status.html") == nil && page.asset("/") == nil)
        #expect(Set([page.stylesheet, page.script, page.icon].map(\.digest)).count == 3)
    }
}
