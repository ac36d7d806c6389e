// SPDX-License-Identifier: Apache-2.0
// Who somebody's parent is, and so whose descendant.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/peers.h"

// struct pidfd_info of linux/pidfd.h in its first size: the system's headers may be older than its kernel.
struct process_facts {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t process, group, parent;
    uint32_t users[8];
    int32_t status;
};

enum { nr_pidfd_open = 434 };
#define GET_FACTS _IOWR(0xFF, 11, struct process_facts)

/// Since Linux 6.13, and whatever is hidden in /proc. 0 where it does not tell.
static pid_t parent_by_descriptor(pid_t process, bool *told) {
    int descriptor = (int)syscall(nr_pidfd_open, process, 0U);
    if (descriptor < 0) return 0;
    struct process_facts facts;
    memset(&facts, 0, sizeof facts);
    // The first bit asks for the numbers of processes.
    facts.mask = 1;
    *told = ioctl(descriptor, GET_FACTS, &facts) == 0 && (facts.mask & 1) != 0 && facts.process == (uint32_t)process;
    close(descriptor);
    return *told ? (pid_t)facts.parent : 0;
}

static pid_t parent_by_file(pid_t process) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    if (length <= 0) return -1;
    text[length] = '\0';
    // The name stands in parentheses, and may hold some itself.
    const char *rest = strrchr(text, ')');
    int parent;
    return rest != NULL && sscanf(rest + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : -1;
}

pid_t claviger_parent(pid_t process) {
    if (process <= 0) return -1;
    bool told = false;
    pid_t parent = parent_by_descriptor(process, &told);
    return told ? parent : parent_by_file(process);
}

bool claviger_lives(int process_descriptor) {
    struct pollfd entry = {.fd = process_descriptor, .events = POLLIN};
    return poll(&entry, 1, 0) == 0;
}
