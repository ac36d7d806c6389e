// SPDX-License-Identifier: Apache-2.0
import AdminClient
import AdminProtocol
import ArgumentParser
import StatusVocabulary
import Synchronization

/// An HSM of this host's node that a command has out of use for a while. The node takes it back by itself as soon as this does
/// not ask it to wait any longer: also where the command was killed, or the host of the command is gone.
final class HSMOutage: Sendable {
    /// For how long it is drained at a time, and how often that is prolonged. Within the first it is back after a `kill -9`.
    static let seconds = 15
    private static let prolongInterval = Duration.seconds(4)

    let name: String
    private let client: AdminClient
    private let prolonging: Task<Void, Never>
    private let taken: TakenBack

    /// Why it is in use although this has not ended.
    private final class TakenBack: Sendable {
        let reason = Mutex<String?>(nil)
    }

    /// Somebody or something has put it back, and why that is known; `nil` while it is out.
    var isTakenBack: String? { taken.reason.withLock { $0 } }

    // MARK: The beginning

    /// The HSM that can be lost: the one of this name, or of those that serve the one that can do most. Ends the command where
    /// there is none.
    static func choose(_ name: String?, _ client: AdminClient) async throws -> HSMStatus {
        let status: NodeStatus
        do throws(AdminClientError) {
            status = try await client.status().status
        } catch {
            throw failure(AdminOptions.message(error), status: ExitStatus.notDone)
        }
        if let name {
            guard let hsm = status.hsms.first(where: { $0.name == name }) else {
                throw AdminOptions.failed(
                    .unknown("there is no HSM of the name \(name)", name: name, known: status.hsms.map(\.name)), [name])
            }
            guard hsm.canServe else {
                let state = hsm.drained ? "drained" : hsm.state.rawValue
                throw failure("\(name) is \(state): it is out of use already", status: ExitStatus.notDone)
            }
            if let reason = status.reason(toKeep: name) {
                throw failure("\(name) stays in use: \(reason)", status: ExitStatus.notDone)
            }
            return hsm
        }
        let serving = status.hsms.filter(\.canServe)
        let choice = serving.filter { status.reason(toKeep: $0.name) == nil }
            .max { ($0.learned?.callsPerSecond ?? 0) < ($1.learned?.callsPerSecond ?? 0) }
        guard let choice else {
            let reason = serving.compactMap { status.reason(toKeep: $0.name) }.first ?? "no HSM of it can serve"
            throw failure("no HSM of node \(status.node) can be done without: \(reason)", status: ExitStatus.notDone)
        }
        return choice
    }

    /// Ends the command where the node does not drain it.
    static func begin(_ name: String, _ client: AdminClient) async throws -> HSMOutage {
        do throws(AdminClientError) {
            _ = try await client.drain(name, seconds: seconds)
        } catch {
            throw AdminOptions.failed(error, [name])
        }
        return HSMOutage(name, client)
    }

    private init(_ name: String, _ client: AdminClient) {
        self.name = name
        self.client = client
        let taken = TakenBack()
        self.taken = taken
        // Not the caller's task: that may be cancelled while the HSM has still to be kept out, or put back.
        prolonging = Task.detached { await Self.prolong(name, client, taken) }
    }

    private static func prolong(_ name: String, _ client: AdminClient, _ taken: TakenBack) async {
        let clock = ContinuousClock()
        var last = clock.now
        while !Task.isCancelled {
            do { try await Task.sleep(for: prolongInterval) } catch { return }
            let asked = clock.now
            do throws(AdminClientError) {
                _ = try await client.prolongDrain(of: name, seconds: seconds)
                last = asked
            } catch {
                // A node that does not answer is asked again while it may still keep the HSM out.
                if case .unusable = error, clock.now - last < .seconds(Self.seconds) { continue }
                if Task.isCancelled { return }
                let reason = AdminOptions.message(error)
                taken.reason.withLock { $0 = reason }
                return
            }
        }
    }

    // MARK: The end

    /// Puts it back, whether or not the caller's task was cancelled.
    ///
    /// - Returns: what somebody has to know: that it could not be put back, and when the node does it by itself.
    @discardableResult
    func end() async -> String? {
        prolonging.cancel()
        await prolonging.value
        guard isTakenBack == nil else { return nil }
        let (name, client) = (name, client)
        return await Task.detached { () -> String? in
            var trouble = ""
            for attempt in 0..<3 {
                if attempt > 0 { try? await Task.sleep(for: .milliseconds(300)) }
                do throws(AdminClientError) {
                    // Where somebody has drained it for good meanwhile, it is theirs.
                    _ = try await client.prolongDrain(of: name, seconds: 5)
                    _ = try await client.undrain(name)
                    return nil
                } catch {
                    if case .refused = error { return nil }
                    trouble = AdminOptions.message(error)
                }
            }
            return "\(name) could not be put back (\(trouble)): the node does it by itself within \(Self.seconds) s; "
                + "claviger status shows it"
        }.value
    }
}
