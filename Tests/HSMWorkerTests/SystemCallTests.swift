// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Foundation
import Glibc
import Testing

private typealias SystemCall = @convention(c) (Int, Int, Int, Int) -> Int

/// The kernel's answer to a call, as an errno value; 0 for success. syscall(2) takes a variable number of arguments, which
/// Swift does not call: it is taken from the C library by name, as one that takes these.
private func call(_ number: Int, _ first: Int = -1, _ second: Int = -1, _ third: Int = -1) -> CInt {
    guard let symbol = dlsym(nil, "syscall") else { return -1 }
    return unsafeBitCast(symbol, to: SystemCall.self)(number, first, second, third) < 0 ? errno : 0
}

/// Numbers that both x86-64 and aarch64 have, where they differ: the first is x86-64's.
private func number(_ x86: Int, _ arm: Int) -> Int {
    #if arch(x86_64)
        x86
    #else
        arm
    #endif
}

@Suite("System calls that a library is refused")
struct SystemCallTests {
    /// Without the filter they give EINVAL, EFAULT, ESRCH and the like, or succeed, as root.
    @Test("they fail with EPERM, and do not end the process; threads, processes and files go on")
    func refused() async {
        await #expect(processExitsWith: .success) {
            guard claviger_forbid_new_privileges() == 0, claviger_forbid_system_calls() == 0 else { exit(70) }
            let refused = [
                number(101, 117),  // ptrace
                number(310, 270), number(311, 271),  // process_vm_readv, process_vm_writev
                number(250, 219), number(248, 217),  // keyctl, add_key
                number(321, 280), number(298, 241),  // bpf, perf_event_open
                number(323, 282), 425, 438,  // userfaultfd, io_uring_setup, pidfd_getfd
                number(165, 40), number(272, 97), number(308, 268), number(161, 51),  // mount, unshare, setns, chroot
                number(175, 105), number(246, 104), number(169, 142), number(164, 170),  // module, kexec, reboot, clock
            ]
            for number in refused where call(number) != EPERM { exit(71) }
            // A process in a user name space of its own.
            if call(number(56, 220), 0x1000_0000 | Int(SIGCHLD), 0, 0) != EPERM { exit(72) }
            var thread = pthread_t()
            guard pthread_create(&thread, nil, { _ in nil }, nil) == 0, pthread_join(thread, nil) == 0 else { exit(73) }
            guard system("exit 3") == 3 << 8, FileManager.default.fileExists(atPath: "/etc/hosts") else { exit(74) }
            exit(0)
        }
    }

    @Test("threads that were there before are refused them as well")
    func allThreads() async {
        await #expect(processExitsWith: .success) {
            let (go, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
            Thread.detachNewThread {
                go.wait()
                if call(number(250, 219)) != EPERM { exit(71) }
                done.signal()
            }
            guard claviger_forbid_new_privileges() == 0, claviger_forbid_system_calls() == 0 else { exit(70) }
            go.signal()
            done.wait()
            exit(0)
        }
    }
}
