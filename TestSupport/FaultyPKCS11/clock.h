// SPDX-License-Identifier: Apache-2.0
#ifndef FAULTY_CLOCK_H
#define FAULTY_CLOCK_H

#include <stdint.h>
#include <time.h>

static const uint64_t millisecond = 1000000;

/// CLOCK_MONOTONIC, nanoseconds.
static inline uint64_t now_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// Sleeps until that moment, whatever signals arrive.
static inline void sleep_until(uint64_t moment) {
    struct timespec target = {(time_t)(moment / 1000000000u), (long)(moment % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &target, NULL) != 0) {
    }
}

#endif
