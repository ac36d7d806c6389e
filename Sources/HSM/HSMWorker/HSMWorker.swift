// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import LaneProtocol
import PKCS11
import Threads

/// The body of a worker process: it alone holds the vendor's library and the PIN of one HSM.
package enum HSMWorker {
    /// The program's first argument that makes it a worker; the second is the HSM's name, for people who list processes.
    package static let command = "hsm-worker"

    /// For how long a worker that ends waits for a call that changes the token, milliseconds: less than what the node
    /// grants before it ends the process by force.
    private static let patienceWithChanges: Int32 = 1_000

    /// Serves until the node closes the control socket, then ends the process, whatever the library is doing; a call that
    /// changes the token alone comes to its end first.
    ///
    /// - Parameters:
    ///   - controlDescriptor: the control socket; its first message configures the worker.
    ///   - firstLaneDescriptor: the lanes' sockets are this descriptor and those that follow; behind them comes the memory
    ///     in which calls are noted.
    ///
    /// Exit status: 0 the node closed the socket, 1 the worker could not begin or go on (and said why on the control
    /// socket), 2 the node sent what is no message of this build, 3 the system gave no memory or thread.
    package static func run(controlDescriptor: Int32 = 3, firstLaneDescriptor: Int32 = 4) -> Never {
        harden()
        guard var reader = ControlReader(descriptor: controlDescriptor) else { _exit(3) }
        let control = ControlChannel(descriptor: controlDescriptor)
        let doorbell = Doorbell()
        do {
            guard let first = try reader.next() else { _exit(0) }
            guard case .configure(let configuration, let openLanes, let sealed) = first else { _exit(2) }
            // The descriptor behind the lanes' is the memory for notes of calls.
            let notes = firstLaneDescriptor + Int32(configuration.lanes)
            _ = claviger_use_call_notes(notes)
            // None of it is for programs that the library runs.
            for descriptor in [controlDescriptor] + Array(firstLaneDescriptor...notes) {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            }
            // Before the library, and before the keeper's thread and all others, which inherit it.
            control.send(
                .confined(Sandbox.apply(configuration.sandbox, sealed: sealed, module: configuration.module)))
            let keeper = Keeper(
                configuration, openLanes: openLanes, firstLaneDescriptor: firstLaneDescriptor, control: control,
                doorbell: doorbell)
            guard DetachedThread.begin("keeper", takesSignals: true, { keeper.run() }) else { _exit(3) }
            while let message = try reader.next() {
                switch message {
                case .configure: leave(2)
                case .offer(let keys): doorbell.offer(keys)
                case .readCatalogue: doorbell.ring(.readCatalogue)
                case .probe: doorbell.ring(.probe)
                case .makeCanary(let ticket, let key): doorbell.ask(.make(ticket: ticket, key: key))
                case .openCanary(let ticket, let key, let canary):
                    doorbell.ask(.open(ticket: ticket, key: key, canary))
                }
            }
        } catch {
            leave(2)
        }
        // The node is gone, or wants this worker no more: nor what its library has started.
        Module.awaitLastChange(atMost: patienceWithChanges)
        claviger_end_family()
        _exit(0)
    }

    /// Ends the process, but in no call that changes the token.
    static func leave(_ status: Int32) -> Never {
        Module.awaitLastChange(atMost: patienceWithChanges)
        _exit(status)
    }

    /// No dumps: PIN and plaintext are in this memory. No end by signals that are meant for the node: a Ctrl-C reaches
    /// the whole process group of a terminal, and the node still needs its workers to drain.
    private static func harden() {
        _ = claviger_forbid_dumps()
        // What the library leaves behind stays this process's, and ends with it.
        _ = claviger_adopt_orphans()
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { _ = claviger_ignore_signal(signal) }
    }
}
