// SPDX-License-Identifier: Apache-2.0
// The system calls that a library is refused, as a program of the kernel's packet filter (seccomp(2)).
#define _GNU_SOURCE
#include "include/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef OWN_ARCHITECTURE

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSAL(code) (SECCOMP_RET_ERRNO | (code))
/// Refuses the call of this number, which stands in the accumulator.
#define REFUSE(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), ANSWER(REFUSAL(EPERM))

enum {
    // Of clone(2), whose flags stand in its first argument on both architectures.
    new_name_spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID
                      | CLONE_NEWNET,
    // Numbers of the 32-bit ABI on x86-64 have this bit.
    x32_bit = 0x40000000,
    // Numbers that both architectures share, and that the system's headers may not have yet.
    nr_pidfd_getfd = 438, nr_move_mount = 429, nr_open_tree = 428, nr_fsopen = 430, nr_fsconfig = 431, nr_fsmount = 432,
    nr_fspick = 433, nr_mount_setattr = 442, nr_io_uring_setup = 425, nr_io_uring_enter = 426,
    nr_io_uring_register = 427, nr_clone3 = 435, nr_process_madvise = 440, nr_open_tree_attr = 467,
};

static const struct sock_filter program[] = {
    // Calls of another architecture have other numbers: none of them is let through.
    LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0), ANSWER(REFUSAL(EPERM)),
    LOAD(nr),
#ifdef __x86_64__
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, x32_bit, 0, 1), ANSWER(REFUSAL(EPERM)),
#endif
    // Other processes.
    REFUSE(SYS_ptrace), REFUSE(SYS_process_vm_readv), REFUSE(SYS_process_vm_writev), REFUSE(nr_pidfd_getfd),
    REFUSE(SYS_kcmp), REFUSE(nr_process_madvise),
    // Keys that the kernel keeps for the user.
    REFUSE(SYS_keyctl), REFUSE(SYS_add_key), REFUSE(SYS_request_key),
    // Wide surfaces of the kernel.
    REFUSE(SYS_bpf), REFUSE(SYS_perf_event_open), REFUSE(SYS_userfaultfd), REFUSE(nr_io_uring_setup),
    REFUSE(nr_io_uring_enter), REFUSE(nr_io_uring_register),
    // Name spaces and mounts.
    REFUSE(SYS_unshare), REFUSE(SYS_setns), REFUSE(SYS_chroot), REFUSE(SYS_pivot_root), REFUSE(SYS_mount),
    REFUSE(SYS_umount2), REFUSE(nr_move_mount), REFUSE(nr_open_tree), REFUSE(nr_open_tree_attr), REFUSE(nr_fsopen),
    REFUSE(nr_fsconfig), REFUSE(nr_fsmount), REFUSE(nr_fspick), REFUSE(nr_mount_setattr),
    REFUSE(SYS_open_by_handle_at),
    // The machine as a whole.
    REFUSE(SYS_init_module), REFUSE(SYS_finit_module), REFUSE(SYS_delete_module), REFUSE(SYS_kexec_load),
#ifdef SYS_kexec_file_load
    REFUSE(SYS_kexec_file_load),
#endif
#ifdef __x86_64__
    REFUSE(SYS_iopl), REFUSE(SYS_ioperm), REFUSE(SYS_modify_ldt),
#endif
    REFUSE(SYS_reboot), REFUSE(SYS_swapon), REFUSE(SYS_swapoff), REFUSE(SYS_settimeofday), REFUSE(SYS_clock_settime),
    REFUSE(SYS_clock_adjtime), REFUSE(SYS_adjtimex), REFUSE(SYS_acct), REFUSE(SYS_quotactl), REFUSE(SYS_syslog),
    REFUSE(SYS_sethostname), REFUSE(SYS_setdomainname), REFUSE(SYS_vhangup), REFUSE(SYS_personality),
    // The flags of clone3 stand in memory, where a filter cannot look. ENOSYS has the C library take clone.
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr_clone3, 0, 1), ANSWER(REFUSAL(ENOSYS)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3), LOAD(args[0]),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)new_name_spaces, 0, 1), ANSWER(REFUSAL(EPERM)),
    ANSWER(SECCOMP_RET_ALLOW),
};

int claviger_forbid_system_calls(void) {
    struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = (struct sock_filter *)program};
    // For all threads. Without the second flag some kernels slow down the whole process (speculative store bypass).
    unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
    // A positive result is the thread that could not follow.
    return result == 0 ? 0 : result > 0 ? ESRCH : errno;
}

#else

int claviger_forbid_system_calls(void) { return ENOSYS; }

#endif
