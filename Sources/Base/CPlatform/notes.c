// SPDX-License-Identifier: Apache-2.0
// Which PKCS#11 call each thread of a worker is at: one byte for each, in memory that outlives the worker.
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/children.h"

// A cache line for each thread: two lanes that share one would slow each other down.
enum { stride = 64, most_threads = 1100, length = stride * most_threads };

static volatile uint8_t *_Atomic notes;
static atomic_size_t taken;
// Where threads note that have no place: nobody reads it.
static volatile uint8_t nowhere;

_Thread_local volatile uint8_t *claviger_call_slot;

int claviger_make_call_notes(void) {
    int descriptor = memfd_create("claviger calls", MFD_CLOEXEC);
    if (descriptor < 0) return -1;
    if (ftruncate(descriptor, length) != 0) {
        int error = errno;
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

int claviger_use_call_notes(int descriptor) {
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) return errno;
    atomic_store(&notes, (volatile uint8_t *)memory);
    return 0;
}

void claviger_take_call_slot(void) {
    volatile uint8_t *memory = atomic_load(&notes);
    size_t number = memory == NULL ? 0 : atomic_fetch_add(&taken, 1);
    claviger_call_slot = memory == NULL || number >= most_threads ? &nowhere : memory + number * stride;
}

int claviger_read_call_notes(int descriptor, uint8_t *functions, int count) {
    // Read, not mapped: what the library does to the file must not become a signal here.
    uint8_t *copy = malloc(length);
    ssize_t read = copy == NULL ? 0 : pread(descriptor, copy, length, 0);
    int found = 0;
    for (ssize_t place = 0; place < read && found < count; place += stride) {
        if (copy[place] != 0) functions[found++] = copy[place];
    }
    free(copy);
    return found;
}
