// SPDX-License-Identifier: Apache-2.0
import AdminClient
import Glibc
import SecureMemory

/// Asks a person, on the terminal that is standard input. Questions go to standard error: standard output may lead into a
/// file.
enum SetupTerminal {
    /// Whether there is somebody to ask.
    static var isThere: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

    static func say(_ text: String) { printError(text) }

    /// A line, without its end; `nil` at the end of the input. Byte by byte: what follows may be a PIN.
    static func line(prompt: String) -> String? {
        ask(prompt)
        var bytes: [UInt8] = []
        while let byte = nextByte() {
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            guard bytes.count < 65_536 else { return nil }
            bytes.append(byte)
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// A line that is not shown; `nil` at the end of the input, or where the terminal cannot be kept from showing it.
    static func secret(prompt: String) -> SecretBytes? {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
        var silent = before
        // Without ISIG: a process that is interrupted would leave the terminal without echo.
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        silent.c_iflag |= tcflag_t(ICRNL)
        guard tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0 else { return nil }
        // Not before: what is typed from here on is not shown, and not thrown away.
        ask(prompt)
        let (secret, isInterrupted) = readSecret()
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before)
        _ = Output.write("\n", to: STDERR_FILENO)
        if isInterrupted {
            var interruption = sigset_t()
            sigemptyset(&interruption)
            sigaddset(&interruption, SIGINT)
            signal(SIGINT, SIG_DFL)
            pthread_sigmask(SIG_UNBLOCK, &interruption, nil)
            raise(SIGINT)
        }
        return secret
    }

    private static func readSecret() -> (SecretBytes?, isInterrupted: Bool) {
        let secret = SecretBytes(capacity: 4_097)
        while let byte = nextByte() {
            switch byte {
            case UInt8(ascii: "\n"): return (secret, false)
            case 0x03: return (nil, true)
            case 0x04: return (nil, false)
            case 0x08, 0x7F: if !secret.isEmpty { secret.truncate(to: secret.count - 1) }
            case 0x15: secret.truncate(to: 0)
            default: if secret.count < 4_096 { secret.append(byte) }
            }
        }
        return (nil, false)
    }

    private static func ask(_ prompt: String) {
        _ = Output.write(Terminals.shown(Terminal.shown(prompt)), to: STDERR_FILENO)
    }

    private static func nextByte() -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = read(STDIN_FILENO, &byte, 1)
            if count == 1 { return byte }
            guard count < 0, errno == EINTR else { return nil }
        }
    }
}
