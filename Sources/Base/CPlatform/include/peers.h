// SPDX-License-Identifier: Apache-2.0
#ifndef CLAVIGER_PEERS_H
#define CLAVIGER_PEERS_H

#include <stdbool.h>
#include <sys/types.h>

/// The parent of a process; 0 where that is outside of this process's name space; -1 where it cannot be told: the process
/// has ended, or is hidden from this one.
pid_t claviger_parent(pid_t process);

/// Whether the process that a descriptor of SO_PEERPIDFD stands for has not ended.
bool claviger_lives(int process_descriptor);

/// struct ucred of SO_PEERCRED.
struct claviger_credentials {
    pid_t process;
    uid_t user;
    gid_t group;
};

#endif
