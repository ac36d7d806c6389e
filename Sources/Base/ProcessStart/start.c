// SPDX-License-Identifier: Apache-2.0
// Runs before `main`, since Swift's concurrency has threads and descriptors of its own by the time that the program's
// first statement is reached.
#define _GNU_SOURCE
#include "ProcessStart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { exit_status_start = 3 };

// A descriptor from 0 to 2 that is closed would be given to the next file or socket that is opened: the log would be
// written into it, and every child would inherit it. In the place of standard output nothing can be written, so that a
// command does not end as if what it had to say had been said.
static void occupy_standard_descriptors(void) {
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
        // Those below are open, so this one is the first that is free.
        if (open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR) != descriptor) _exit(exit_status_start);
    }
}

uint64_t claviger_least_address_space(long processors) {
    // Measured with two processors: from 900 MiB on a node starts, works and ends, and without a limit it takes 965 MiB;
    // with less it serves and cannot end, or dies in the runtime without a word. Beyond two processors each brings
    // threads: a stack of 8 MiB and an arena of 64 MiB for each. Of more than 16 the arenas are shared.
    long more = processors > 16 ? 14 : processors > 2 ? processors - 2 : 0;
    return (1024 + 128 * (uint64_t)more) << 20;
}

static void require_address_space(int count, char **arguments) {
    static const char *const commands[] = {"serve", "dev", "check"};
    struct rlimit limit;
    if (count < 2 || getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    uint64_t least = claviger_least_address_space(sysconf(_SC_NPROCESSORS_ONLN));
    if (limit.rlim_cur >= least) return;
    for (size_t index = 0; index < sizeof commands / sizeof *commands; index++) {
        if (strcmp(arguments[1], commands[index]) != 0) continue;
        char text[400];
        int length = snprintf(
            text, sizeof text,
            "claviger: the address space of this process is limited to %llu MiB, and a node on this machine needs %llu "
            "MiB to start, to work and to end: raise the limit (ulimit -v, LimitAS= of the unit), or take it away. "
            "Memory is better limited by MemoryMax= or the container.\n",
            (unsigned long long)(limit.rlim_cur >> 20), (unsigned long long)(least >> 20));
        if (length > 0) (void)!write(2, text, (size_t)length);
        _exit(exit_status_start);
    }
}

__attribute__((constructor)) static void begin(int count, char **arguments) {
    occupy_standard_descriptors();
    require_address_space(count, arguments);
}
