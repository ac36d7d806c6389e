// SPDX-License-Identifier: Apache-2.0
import NIOCore

extension HTTP1Handler {
    /// Writes the last answer and closes when it is out.
    func writeAndClose(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in
            handler.value.answers.wipeIfWritten()
            handler.value.context?.close(promise: nil)
        }
    }

    /// Closes when everything written so far is out.
    func closeWhenFlushed() {
        guard let context else { return }
        phase = .closing
        deadline = ListenerTimeouts.deadline(environment.timeouts.write, after: monotonicNanoseconds())
        writeAndClose(ByteBuffer(), context: context)
    }

    /// Writes a refusal, closes our side, and goes on reading for a while (RFC 9112 section 9.6): a close with unread
    /// bytes would reset the connection, and the client might never see why.
    func linger(after buffer: ByteBuffer, context: ChannelHandlerContext) {
        phase = .lingering
        lastWrite = monotonicNanoseconds()
        deadline = ListenerTimeouts.deadline(environment.timeouts.linger, after: lastWrite)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in
            handler.value.answers.wipeIfWritten()
            handler.value.context?.close(mode: .output, promise: nil)
        }
    }
}

extension HTTP1Handler {
    /// Reads of at most 8 KiB each that a refused client may still fill, 1 MiB together; then the connection is closed
    /// before its time.
    private static let readsAfterRefusal = 128

    func readAfterRefusal(_ context: ChannelHandlerContext) {
        readsAfterRefusal += 1
        if readsAfterRefusal > Self.readsAfterRefusal { cut() } else { context.read() }
    }
}

extension HTTP1Handler: Supervised {
    var generation: Int { client.generation }

    func check(now: UInt64) {
        guard let context else { return }
        answers.wipeIfWritten()
        if now >= deadline {
            deadlinePassed(context)
        } else if phase != .inWork && now > ListenerTimeouts.deadline(environment.timeouts.write, after: lastWrite) {
            closeIfUnread(context)
        }
    }

    private func deadlinePassed(_ context: ChannelHandlerContext) {
        switch phase {
        case .receivingBody:
            refuse(.bodyTooSlow)
        case .idle:
            closeWhenFlushed()
        case .receivingHead:
            environment.admission.countTimeout()
            client.count(.headerTimeout)
            abort()
        case .flushing, .closing:
            environment.admission.countTimeout()
            abort()
        case .lingering:
            abort()
        case .inWork, .abandoned:
            return
        }
    }

    /// An answer below the high-water mark may still be unread: the connection then looks idle.
    private func closeIfUnread(_ context: ChannelHandlerContext) {
        let unread = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
        guard let unread, unread > 0 else { return }
        environment.admission.countTimeout()
        abort()
    }

    func drain() {
        isDraining = true
        closesAfterAnswer = true
        if phase == .idle { closeWhenFlushed() }
    }

    func abort() {
        context?.close(promise: nil)
    }

    func cut() { client.cut() }
}

extension ByteBuffer {
    /// As `withUnsafeReadableBytes`, keeping the type of what `body` throws.
    func withUnsafeReadableBytesTyped<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let result = withUnsafeReadableBytes { bytes -> Result<Void, Failure> in
            do throws(Failure) {
                return .success(try body(bytes))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
