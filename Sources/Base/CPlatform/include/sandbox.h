// SPDX-License-Identifier: Apache-2.0
// What a process gives up before it runs code of others: Landlock, seccomp, no_new_privs. None of it needs privileges.
#ifndef CLAVIGER_SANDBOX_H
#define CLAVIGER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

/// What a path may be used for, with all that lies beneath it.
enum claviger_reach {
    /// The names in directories are listed.
    CLAVIGER_REACH_LIST = 1,
    /// Files are read, and run.
    CLAVIGER_REACH_READ = 2,
    /// Everything.
    CLAVIGER_REACH_ALL = 3,
};

/// What a ruleset is about; may be combined.
enum claviger_subject {
    /// Reading, writing, making and removing files.
    CLAVIGER_ABOUT_FILES = 1,
    /// Running programs.
    CLAVIGER_ABOUT_PROGRAMS = 2,
    /// TCP connections, and TCP ports to listen on; from version 4 on.
    CLAVIGER_ABOUT_TCP = 4,
    /// Signals to processes outside; from version 6 on.
    CLAVIGER_ABOUT_SIGNALS = 8,
    /// Abstract Unix sockets of processes outside; from version 6 on.
    CLAVIGER_ABOUT_ABSTRACT_SOCKETS = 16,
};

/// The version of Landlock that the kernel has; 0 where it has none, or where it is not enabled.
int claviger_landlock_version(void);

/// Begins a ruleset: what it is about is forbidden but for what is allowed afterwards. What the kernel's version lacks is
/// left out. Returns its descriptor, or -1 with errno set.
int claviger_landlock_begin(int subjects);

/// Allows a path and all that lies beneath it; of a symbolic link, unless it is to be followed, only the link. Returns 0 or
/// errno.
int claviger_landlock_allow(int ruleset, const char *path, bool follows, enum claviger_reach reach);

/// Allows TCP connections to that port. Returns 0 or errno.
int claviger_landlock_allow_port(int ruleset, uint16_t port);

/// Puts the ruleset in force for the calling thread, and for all that it starts from now on. Returns 0 or errno.
int claviger_landlock_enforce(int ruleset);

/// No program that this process starts gets more rights than it has itself. Returns 0 or errno.
int claviger_forbid_new_privileges(void);

/// Has system calls fail with EPERM that no PKCS#11 library needs: those that reach into other processes, into the
/// kernel's keys, into name spaces, mounts, modules and clocks. For all threads. Returns 0 or errno.
int claviger_forbid_system_calls(void);

/// The number of threads of this process; 0 where it is not known.
int claviger_thread_count(void);

#endif
