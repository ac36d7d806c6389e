// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SecureMemory

/// The node's end of what a worker's library prints to standard output or standard error: each line becomes one of the
/// log, under the HSM's name. It ends when nobody holds the other end any more.
///
/// `@unchecked Sendable`: all mutable state is touched on the channel's event loop only.
final class WorkerOutput: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    private let hsm: String
    private let stream: String
    private let logger: Logger
    private var lines: OutputLines

    /// - Parameter pin: never logged, even where the library prints it.
    init(hsm: String, stream: String, pin: SecretBytes?, logger: Logger) {
        self.hsm = hsm
        self.stream = stream
        self.logger = logger
        lines = OutputLines(secret: pin)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        log(lines.take(unwrapInboundIn(data).readableBytesView, seconds: monotonicNanoseconds() / 1_000_000_000))
    }

    func channelInactive(context: ChannelHandlerContext) {
        log(lines.finish(seconds: monotonicNanoseconds() / 1_000_000_000))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func log(_ said: [OutputLines.Said]) {
        for one in said {
            var metadata: Logger.Metadata = ["hsm": "\(hsm)", "stream": "\(stream)"]
            switch one {
            case .line(let text): metadata["text"] = "\(text)"
            case .omitted(let count): metadata["omitted"] = "\(count)"
            }
            logger.notice("library output", metadata: metadata)
        }
    }
}
