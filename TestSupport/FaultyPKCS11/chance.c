// SPDX-License-Identifier: Apache-2.0
#include "chance.h"

#include <pthread.h>
#include <sys/random.h>

/// SplitMix64's step (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
static uint64_t step(uint64_t *state) {
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

static uint64_t number(void) {
    static _Thread_local uint64_t state;
    if (state == 0) (void)chance_fill((CK_BYTE *)&state, sizeof state);
    return step(&state);
}

uint64_t chance_below(uint64_t limit) { return limit == 0 ? 0 : number() % limit; }

/// Needs no logarithm, and so no libm: von Neumann, Various techniques used in connection with random digits, 1951. A
/// descending run of uniform numbers of even length ends with the first of them as the fraction; each run of odd length
/// adds one mean.
uint64_t chance_exponential(uint64_t mean) {
    for (uint64_t whole = 0;; whole++) {
        uint64_t first = number(), last = first, length = 1;
        for (uint64_t next; (next = number()) < last; last = next) length++;
        if (length % 2 == 1) return whole * mean + (uint64_t)((double)mean * ((double)(first >> 11) * 0x1p-53));
    }
}

bool chance_fill(CK_BYTE *bytes, CK_ULONG length) {
    while (length > 0) {
        ssize_t count = getrandom(bytes, length, 0);
        if (count <= 0) return false;
        bytes += count;
        length -= (CK_ULONG)count;
    }
    return true;
}

static uint64_t stuck;

static void get_stuck(void) { (void)chance_fill((CK_BYTE *)&stuck, sizeof stuck); }

void chance_repeat(CK_BYTE *bytes, CK_ULONG length) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, get_stuck);
    uint64_t state = stuck;
    for (CK_ULONG index = 0; index < length; index++) bytes[index] = (CK_BYTE)(step(&state) >> 56);
}
