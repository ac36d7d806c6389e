// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// Stops accepting for a moment when accept(2) fails, above all when no descriptor is left (EMFILE, ENFILE).
///
/// The connection that could not be accepted stays in the kernel's queue, so the listening socket stays readable, and
/// NIO would ask for it again at once, for ever: a core lost just when the node is at its limit. NIO's own
/// AcceptBackoffHandler delays only the next read that is asked for, and after an error the old one is still pending.
/// Turning automatic reads off takes the socket out of epoll.
package final class AcceptPauseHandler: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(250)
    private let logger: Logger
    private var isPaused = false

    package init(logger: Logger) {
        self.logger = logger
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isPaused, context.channel.isActive else { return }
        isPaused = true
        logger.warning("connections cannot be accepted for now", metadata: ["error": "\(ListenFailure.words(error))"])
        set(autoRead: false, context)
        let handler = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (pausing, context) = handler.value
            pausing.isPaused = false
            if context.channel.isActive { pausing.set(autoRead: true, context) }
        }
    }

    private func set(autoRead: Bool, _ context: ChannelHandlerContext) {
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: autoRead)
        } catch {
            context.fireErrorCaught(error)
        }
    }
}
