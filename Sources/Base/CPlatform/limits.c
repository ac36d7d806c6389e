// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/timex.h>

int64_t claviger_clock_error(void) {
    struct timex facts = {0};
    int state = adjtimex(&facts);
    if (state < 0) return -2;
    return (facts.status & STA_UNSYNC) || state == TIME_ERROR ? -1 : facts.maxerror;
}

uint64_t claviger_descriptor_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

int claviger_set_descriptor_limit(uint64_t most) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return errno;
    limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : errno;
}

int claviger_first_free_descriptor(void) {
    int descriptor = 0;
    while (fcntl(descriptor, F_GETFD) >= 0) descriptor++;
    return descriptor;
}

int claviger_is_in_memory(const char *path) {
    struct statfs facts;
    if (statfs(path, &facts) != 0) return -1;
    return facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC;
}
