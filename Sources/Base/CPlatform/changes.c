// SPDX-License-Identifier: Apache-2.0
// Calls that change what a token keeps: the process ends between them, not within one.
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

#include "include/children.h"

// Many may change at once; who waits for the last one comes before those that have not begun.
static pthread_rwlock_t changes = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

void claviger_begin_change(void) { pthread_rwlock_rdlock(&changes); }

void claviger_end_change(void) { pthread_rwlock_unlock(&changes); }

int claviger_await_last_change(int milliseconds) {
    struct timespec until;
    if (clock_gettime(CLOCK_MONOTONIC, &until) != 0) return -1;
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (milliseconds % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec += 1;
        until.tv_nsec -= 1000000000L;
    }
    return pthread_rwlock_clockwrlock(&changes, CLOCK_MONOTONIC, &until);
}
