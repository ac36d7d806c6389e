// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import StatusVocabulary

/// Looks whether a node answers at its control listener, for whoever does not reach its admin socket.
package enum ControlProbe {
    package enum Answer: Sendable, Equatable {
        /// A node answers; it may be another one, where it does not say who it is.
        ///
        /// - Parameter adminSocket: why it does not serve its admin socket, where it says so.
        case node(name: String?, adminSocket: String?)
        case nothing
    }

    /// As much of `/health` as tells who answers.
    private struct Health: Decodable {
        struct Known: Decodable {
            var code: String
            var text: String
        }

        var node: String
        var conditions: [Known]?
    }

    private static let longestAnswer = 16 * 1024 * 1024

    /// Shows nothing of this host's, and trusts nothing: whoever answers is only said to be there.
    ///
    /// - Parameters:
    ///   - address: host and port, an IPv6 address in brackets.
    ///   - hasTLS: whether HTTPS is spoken there.
    package static func ask(_ address: String, hasTLS: Bool, timeout: Duration = .seconds(3)) async -> Answer {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .none
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls, redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        let request = HTTPClientRequest(url: "\(hasTLS ? "https" : "http")://\(address)/health")
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        let answer = try? await HTTPClient.withHTTPClient(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration
        ) { client in
            let response = try await client.execute(request, deadline: deadline)
            return (response.status.code, try await response.body.collect(upTo: longestAnswer))
        }
        switch answer {
        // It asks for a token.
        case (401, _)?: return .node(name: nil, adminSocket: nil)
        case (200, let body)?:
            guard let health = try? JSONDecoder().decode(Health.self, from: Data(body.readableBytesView)) else {
                return .nothing
            }
            let closed = health.conditions?.first { $0.code == "admin-socket-closed" }
            return .node(name: health.node, adminSocket: closed?.text)
        default: return .nothing
        }
    }
}
