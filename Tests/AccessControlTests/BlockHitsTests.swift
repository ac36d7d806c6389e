// SPDX-License-Identifier: Apache-2.0
import AccessControl
import Testing

@Suite("Blocks: what they hit on a node, and who can enforce them")
struct BlockHitsTests {
    private let labels = ["payments", "orders-1", "orders-2", "foreign"]

    private func stores() throws -> [KeyStore] {
        [
            try KeyStore(
                pathPrefix: "/bank", keys: [.label("payments"), try KeyPattern("orders-*")]),
            try KeyStore(
                pathPrefix: "/shop", keys: [.mapping(externalKeyID: "pay", label: "payments"), .label("absent")]),
        ]
    }

    private func hits(_ target: BlockTarget) throws -> BlockHits {
        BlockHits(of: target, keyStores: try stores(), labels: labels)
    }

    @Test("everything, and principals: every key that is offered and there, each once")
    func everything() throws {
        #expect(try hits(.everything) == BlockHits(keyStores: 2, keys: 3))
        #expect(try hits(.principal("arn:aws:iam::1:role/*")) == BlockHits(keyStores: 2, keys: 3))
    }

    @Test("a key store: its keys; one that is not there: nothing")
    func keyStore() throws {
        #expect(try hits(.keyStore("/bank")) == BlockHits(keyStores: 1, keys: 3))
        #expect(try hits(.keyStore("/shop")) == BlockHits(keyStores: 1, keys: 1))
        #expect(try hits(.keyStore("/bnak")).isNothing)
    }

    @Test("a key: by label in every key store, by external key id; what no HSM lists or nobody offers is nothing")
    func key() throws {
        #expect(try hits(.key("payments")) == BlockHits(keyStores: 2, keys: 1))
        #expect(try hits(.key("pay")) == BlockHits(keyStores: 1, keys: 1))
        #expect(try hits(.key("orders-1")) == BlockHits(keyStores: 1, keys: 1))
        for nothing in ["Payments", "absent", "foreign", "orders-3"] {
            #expect(try hits(.key(nothing)) == BlockHits(keyStores: 0, keys: 0), "\(nothing)")
        }
        #expect(BlockHits(of: .key("payments"), keyStores: [], labels: labels).isNothing)
    }

    @Test("a node of the first form enforces every target, and no duration")
    func enforcement() {
        let targets: [BlockTarget] = [.everything, .keyStore("/bank"), .key("k"), .principal("arn:aws:iam::1:user/a")]
        #expect(BlockEnforcement.isEnforced(hasDuration: false, byReaderOf: 1))
        #expect(!BlockEnforcement.isEnforced(hasDuration: true, byReaderOf: 1))
        #expect(BlockEnforcement.isEnforced(hasDuration: true, byReaderOf: BlockEnforcement.form))
        for target in targets {
            #expect(BlockEnforcement.coarser(target).contains(target.options))
        }
    }
}
