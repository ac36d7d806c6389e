// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SecureMemory
import XKSProtocol

/// What an HTTP/1 answer says about the connection.
enum ConnectionField {
    case none, close, keepAlive
}

/// Builds HTTP/1.1 answers, each in one piece, in memory that is used again and overwritten in between.
struct AnswerBuffer {
    private var buffer = ByteBuffer()
    private var isDirty = false

    /// Memory that a connection keeps between answers, in bytes. A larger buffer is given back.
    private static let keptCapacity = 16 * 1024

    /// Status line, header and body as one buffer (RFC 9112 section 4). `date` is the whole Date field.
    mutating func encode(
        _ response: ProxyResponse, connection: ConnectionField, withBody: Bool, date: DateField
    ) -> ByteBuffer {
        wipeIfWritten()
        if isDirty || buffer.capacity > Self.keptCapacity { buffer = ByteBuffer() }
        buffer.clear(minimumCapacity: 192 + (withBody ? response.body.count : 0))
        isDirty = true
        writeStatusLine(response.status)
        buffer.writeStaticString("content-type: application/json\r\ncontent-length: ")
        buffer.writeDecimal(response.body.count)
        date.write(to: &buffer)
        switch connection {
        case .none: buffer.writeStaticString("\r\n\r\n")
        case .close: buffer.writeStaticString("\r\nconnection: close\r\n\r\n")
        case .keepAlive: buffer.writeStaticString("\r\nconnection: keep-alive\r\n\r\n")
        }
        if withBody { response.body.withUnsafeBytes { _ = buffer.writeBytes($0) } }
        return buffer
    }

    /// Overwrites the last answer if nobody else holds it any more, that is, once it is written to the socket or
    /// encrypted. Costs less than asking for a promise with every write.
    mutating func wipeIfWritten() {
        guard isDirty else { return }
        let wiped: Void? = buffer.modifyIfUniquelyOwned { mine in
            mine.withUnsafeMutableReadableBytes { wipe($0) }
            mine.clear()
        }
        if wiped != nil { isDirty = false }
    }

    private mutating func writeStatusLine(_ status: Int) {
        switch status {
        case 200: buffer.writeStaticString("HTTP/1.1 200 OK\r\n")
        case 400: buffer.writeStaticString("HTTP/1.1 400 Bad Request\r\n")
        case 401: buffer.writeStaticString("HTTP/1.1 401 Unauthorized\r\n")
        case 403: buffer.writeStaticString("HTTP/1.1 403 Forbidden\r\n")
        case 404: buffer.writeStaticString("HTTP/1.1 404 Not Found\r\n")
        case 405: buffer.writeStaticString("HTTP/1.1 405 Method Not Allowed\r\nallow: POST\r\n")
        case 408: buffer.writeStaticString("HTTP/1.1 408 Request Timeout\r\n")
        case 413: buffer.writeStaticString("HTTP/1.1 413 Content Too Large\r\n")
        case 417: buffer.writeStaticString("HTTP/1.1 417 Expectation Failed\r\n")
        case 429: buffer.writeStaticString("HTTP/1.1 429 Too Many Requests\r\n")
        case 431: buffer.writeStaticString("HTTP/1.1 431 Request Header Fields Too Large\r\n")
        case 500: buffer.writeStaticString("HTTP/1.1 500 Internal Server Error\r\n")
        case 501: buffer.writeStaticString("HTTP/1.1 501 Not Implemented\r\n")
        case 503: buffer.writeStaticString("HTTP/1.1 503 Service Unavailable\r\n")
        default:
            buffer.writeStaticString("HTTP/1.1 ")
            // A status is three digits; anything else would be a fault of the handler's, and 500 says so.
            buffer.writeDecimal((200...599).contains(status) ? status : 500)
            buffer.writeStaticString(" \r\n")
        }
    }
}

extension ByteBuffer {
    /// Writes a number that is not negative, without making a String of it.
    mutating func writeDecimal(_ number: Int) {
        var rest = UInt64(max(number, 0))
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var position = digits.count
            repeat {
                position -= 1
                digits[position] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            } while rest > 0
            writeBytes(UnsafeBufferPointer(rebasing: digits[position...]))
        }
    }
}
