// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// One HTTP/2 frame.
struct RawFrame: Equatable {
    var type: UInt8
    var flags: UInt8 = 0
    var stream: UInt32 = 0
    var payload: [UInt8] = []

    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let reset: UInt8 = 3
    static let settings: UInt8 = 4
    static let goAway: UInt8 = 7
    static let endStream: UInt8 = 1
    static let endHeaders: UInt8 = 4

    var bytes: [UInt8] {
        [
            UInt8(truncatingIfNeeded: payload.count >> 16), UInt8(truncatingIfNeeded: payload.count >> 8),
            UInt8(truncatingIfNeeded: payload.count), type, flags,
        ] + (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * $0)) } + payload
    }

    /// The number in the last four bytes: the cause of a reset or, without opaque data, of GOAWAY.
    var cause: UInt32 { payload.suffix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    /// A POST of `path`, without END_HEADERS or END_STREAM unless they are asked for.
    static func post(
        _ stream: UInt32, flags: UInt8 = Self.endHeaders, fields: [(String, String)] = []
    ) -> RawFrame {
        // HPACK: literals without indexing; :method POST and :scheme https are indexed (RFC 7541, appendix A).
        var block: [UInt8] = [0x83, 0x87]
        for (index, value) in [(UInt8(4), "/"), (1, "test")] {
            block += [index, UInt8(value.utf8.count)] + Array(value.utf8)
        }
        for (name, value) in fields {
            block += [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
        }
        return RawFrame(type: headers, flags: flags, stream: stream, payload: block)
    }
}

/// Sends the frames that it is given over TLS, and keeps those that come back.
final class RawHTTP2Client: Sendable {
    fileprivate struct State {
        var bytes: [UInt8] = []
        var frames: [RawFrame] = []
        var isClosed = false
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let channel: any Channel
    private let state: SharedState

    fileprivate final class SharedState: Sendable {
        let mutex = Mutex(State())
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let state: SharedState

        init(_ state: SharedState) { self.state = state }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data).readableBytesView
            state.mutex.withLock { $0.take(bytes) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.mutex.withLock { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }

    /// Connects, ends the handshake, and sends preface and SETTINGS unless it is not to.
    init(port: Int, sendsPreface: Bool = true, certificate: NIOSSLCertificate? = nil) async throws {
        let state = SharedState()
        self.state = state
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = ["h2"]
        let context = try NIOSSLContext(configuration: configuration)
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        try NIOSSLClientHandler(context: context, serverHostname: nil), Collector(state),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        if sendsPreface { send(Self.preface + RawFrame(type: RawFrame.settings).bytes) }
    }

    deinit { channel.close(promise: nil) }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    func send(_ frame: RawFrame) { send(frame.bytes) }

    /// True when the bytes were taken by the socket.
    func sendAndWait(_ bytes: [UInt8]) async -> Bool {
        (try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()) != nil
    }

    var frames: [RawFrame] { state.mutex.withLock { $0.frames } }
    var isClosed: Bool { state.mutex.withLock { $0.isClosed } }

    func frames(_ type: UInt8, of stream: UInt32? = nil) -> [RawFrame] {
        frames.filter { $0.type == type && (stream == nil || $0.stream == stream) }
    }
}

extension RawHTTP2Client.State {
    fileprivate mutating func take(_ more: some Sequence<UInt8>) {
        bytes += more
        while bytes.count >= 9 {
            let length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
            guard bytes.count >= 9 + length else { return }
            frames.append(
                RawFrame(
                    type: bytes[3], flags: bytes[4],
                    stream: bytes[5..<9].reduce(0) { $0 << 8 | UInt32($1) } & 0x7fff_ffff,
                    payload: Array(bytes[9..<9 + length])))
            bytes.removeFirst(9 + length)
        }
    }
}
