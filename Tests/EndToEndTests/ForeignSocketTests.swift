// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Testing

extension EndToEnd {
    /// Who gives an order must not be informed by a stranger that it was carried out.
    @Suite("an admin socket that is somebody else's")
    struct ForeignSocket {
        /// The user of the stranger; only root can start a process of another user.
        private static let stranger: UInt32 = 65_534
        private static let isRoot = geteuid() == 0

        /// Answers at a socket as a node that has carried out everything, and prints each request that it gets. What it
        /// says would have a terminal change its title.
        private static let impostor = #"""
            use strict;
            use IO::Socket::UNIX;
            my ($path) = @ARGV;
            my $socket = IO::Socket::UNIX->new(Local => $path, Listen => 16) or die "$path: $!";
            $| = 1;
            print "ready\n";
            while (my $client = $socket->accept) {
                my $first = <$client>;
                next unless defined $first;
                print "asked\n";
                my $length = 0;
                while (my $line = <$client>) {
                    $length = $1 if $line =~ /^content-length: *(\d+)/i;
                    last if $line =~ /^\r?\n$/;
                }
                read($client, my $rest, $length) if $length;
                my $answer = $first =~ m{/blocks/orders/}
                    ? '{"nodes":[{"node":"n1","state":"confirmed","afterMilliseconds":1}],"isFinished":true}'
                    : '{"message":"Done \u001b]0;owned\u0007 \u202e.","order":1,"durable":true}';
                print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                    . "Content-Length: " . length($answer) . "\r\n\r\n" . $answer;
                close $client;
            }
            """#

        private func impostor(at directory: String, user: UInt32?) throws -> ChildProcess {
            let scratch = try Scratch()
            let program = try scratch.write(Self.impostor, to: "impostor.pl")
            chmod(program, 0o644)
            let change = user.map {
                ["setpriv", "--reuid=\($0)", "--regid=\($0)", "--clear-groups"]
            }
            let process = try ChildProcess(
                ["/usr/bin/env"] + (change ?? []) + ["perl", program, directory + "/admin.sock"])
            _ = try process.outputLines(1, within: 10)
            return process
        }

        private func block(_ directory: String) throws -> CommandResult {
            try ClavigerBinary.run(["block", "--all", "--reason", "drill", "--state-dir", directory])
        }

        /// The command of 16631be asked it, and ended with "The only node has it on disk" and status 0.
        @Test("one that another user serves is not asked", .enabled("needs root") { isRoot })
        func otherUser() throws {
            let scratch = try Scratch()
            // His group may write there.
            let directory = scratch.file("state")
            #expect(mkdir(directory, 0o700) == 0 && chown(directory, 0, Self.stranger) == 0)
            #expect(chmod(directory, 0o770) == 0)
            let process = try impostor(at: directory, user: Self.stranger)
            let order = try block(directory)
            #expect(order.end == .exited(1), "\(order)")
            #expect(order.errors.contains("user \(Self.stranger)") && order.errors.contains("NOT made"))
            #expect(process.output == "ready\n", "it has been asked nothing")
        }

        /// So it did here; `check` called the directory good, and `serve` made a new store in it and served.
        @Test(
            "where everybody may put another directory in the state directory's place, nobody is asked, and no node starts",
            .enabled("needs root") { isRoot })
        func openParent() throws {
            let scratch = try Scratch()
            let (parent, directory) = (scratch.file("srv"), scratch.file("srv/state"))
            #expect(mkdir(parent, 0o700) == 0 && mkdir(directory, 0o700) == 0)
            #expect(chown(directory, Self.stranger, Self.stranger) == 0 && chmod(parent, 0o777) == 0)
            let process = try impostor(at: directory, user: Self.stranger)
            let order = try block(directory)
            #expect(order.end == .exited(1), "\(order)")
            #expect(order.errors.contains("chmod o-w \(parent)"), "\(order.errors)")
            #expect(process.output == "ready\n", "it has been asked nothing")

            let node = try Node.dev(["--hsms", "1", "--plaintext"])
            try node.stop()
            var configuration = try ServeConfiguration(from: node)
            configuration.stateDirectory = directory
            let file = try configuration.write()
            for command in ["check", "serve"] {
                let result = try ClavigerBinary.run([command, "--config", file])
                #expect(result.end == .exited(2), "\(command): \(result)")
                #expect((result.output + result.errors).contains("chmod o-w \(parent)"), "\(command): \(result)")
            }
        }

        /// With 16631be the escape sequence and the turn of direction came out as they had come in.
        @Test("what is answered reaches the terminal without its control characters")
        func controls() throws {
            let scratch = try Scratch()
            let directory = scratch.file("state")
            #expect(mkdir(directory, 0o700) == 0)
            let process = try impostor(at: directory, user: nil)
            let order = try block(directory)
            #expect(order.isSuccess && order.output.contains("Done"), "\(order)")
            #expect(process.output.contains("asked"))
            #expect(!order.output.contains("\u{1B}") && !order.output.contains("\u{7}"))
            #expect(!order.output.unicodeScalars.contains("\u{202E}"))
        }
    }
}
