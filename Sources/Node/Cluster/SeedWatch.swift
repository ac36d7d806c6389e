// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What has become of the seeds: a node whose seeds do not answer runs alone, and looks well.
package struct SeedWatch: Sendable {
    private struct Seed {
        /// As its name was last resolved; it is kept while it cannot be resolved again.
        var addresses: [String] = []
        var unresolved: String?
        /// Since when something has been wrong with it, nanoseconds.
        var since: UInt64?
    }

    /// How long something must be wrong until people are informed, nanoseconds: nodes that are started together come up one
    /// after the other.
    package static let patience: UInt64 = 10_000_000_000

    private var seeds: [String: Seed] = [:]
    /// By address: why the last attempt at it failed. Only addresses of seeds.
    private var failures: [String: String] = [:]

    package init() {}

    /// A seed's name was resolved, or could not be.
    package mutating func resolved(_ seed: String, _ result: Result<[String], any Error>) {
        switch result {
        case .success(let addresses):
            seeds[seed, default: Seed()].addresses = addresses
            seeds[seed]?.unresolved = nil
        case .failure(let error): seeds[seed, default: Seed()].unresolved = "\(error)"
        }
    }

    /// From now on these are the seeds.
    package mutating func keep(_ names: [String]) {
        seeds = seeds.filter { names.contains($0.key) }
        let addresses = Set(seeds.values.flatMap(\.addresses))
        failures = failures.filter { addresses.contains($0.key) }
    }

    /// An attempt at an address has ended; `problem` is `nil` where it was answered.
    package mutating func contacted(_ address: String, problem: String?) {
        guard seeds.values.contains(where: { $0.addresses.contains(address) }) else { return }
        failures[address] = problem
    }

    /// What is wrong, by seed.
    ///
    /// - Parameter known: addresses of this node, and of nodes whose liveness is shown by themselves.
    package mutating func troubles(known: Set<String>, now: UInt64) -> [String: String] {
        var troubles: [String: String] = [:]
        for (name, seed) in seeds {
            guard let problem = problem(with: seed, known) else {
                seeds[name]?.since = nil
                continue
            }
            let since = seed.since ?? now
            seeds[name]?.since = since
            if now &- since >= Self.patience { troubles[name] = problem }
        }
        return troubles
    }

    private func problem(with seed: Seed, _ known: Set<String>) -> String? {
        guard known.isDisjoint(with: seed.addresses) else { return nil }
        if let unresolved = seed.unresolved { return "its name cannot be resolved (\(unresolved))" }
        let found = seed.addresses.map { failures[$0] }
        // One address that answers is enough.
        return found.contains(nil) ? nil : found.compactMap(\.self).first
    }
}

/// Told by the loop, asked on any thread.
final class SharedSeedWatch: Sendable {
    private let watch = Mutex(SeedWatch())

    func withLock<Value: Sendable>(_ body: (inout sending SeedWatch) -> sending Value) -> Value { watch.withLock(body) }
}
