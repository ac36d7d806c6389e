// SPDX-License-Identifier: Apache-2.0
#include "counts.h"
#include "include/FaultyPKCS11.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_ROWS = 4096 };

/// faulty_pkcs11_count, as processes share it.
struct row {
    char token[32];
    char function[32];
    struct count {
        _Atomic uint64_t calls;
        _Atomic uint64_t nanoseconds;
    } count;
};

_Static_assert(sizeof(struct row) == sizeof(struct faulty_pkcs11_count), "the file's rows are as described");

/// Where this process counts the calls on one token. Never freed.
struct counters {
    const char *token;
    /// NULL before the first call of that function.
    _Atomic(struct count *) counts[FUNCTION_COUNT];
    struct counters *next;
};

static int descriptor = -1;
static struct row *rows;
/// Guards additions to the list, and the search for a row; other processes are kept away by a lock of the file.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct counters *) all;

/// Calls on no token.
static const char none[] = "";

void counts_start(void) {
    const char *path = getenv(FAULTY_PKCS11_COUNTS);
    if (path == NULL || *path == 0) return;
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *memory = MAP_FAILED;
    size_t size = MOST_ROWS * sizeof *rows;
    // A file of that size stays as it is: whatever was counted goes on.
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)size) == 0) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    }
    if (memory != MAP_FAILED) rows = memory;
    else
        fprintf(stderr, "FaultyPKCS11: cannot count calls in %s: %s\n", path, strerror(errno));
}

/// The row of a function on a token, a new one if need be; NULL when the file is full. Under the lock.
static struct row *find_row(const char *token, const char *function) {
    struct row *found = NULL;
    while (flock(descriptor, LOCK_EX) != 0 && errno == EINTR) {
    }
    for (struct row *row = rows; row < rows + MOST_ROWS && found == NULL; row++) {
        bool is_free = row->function[0] == 0;
        if (is_free) {
            strncpy(row->token, token, sizeof row->token);
            // Behind the token: with it the row is there.
            strncpy(row->function, function, sizeof row->function);
        }
        if (strncmp(row->token, token, sizeof row->token) == 0 &&
            strncmp(row->function, function, sizeof row->function) == 0) {
            found = row;
        }
    }
    (void)flock(descriptor, LOCK_UN);
    if (found == NULL) fprintf(stderr, "FaultyPKCS11: no room to count %s\n", function);
    return found;
}

static struct counters *find_counters(const char *token) {
    for (struct counters *one = atomic_load_explicit(&all, memory_order_acquire); one != NULL; one = one->next) {
        if (one->token == token) return one;
    }
    return NULL;
}

/// Under the lock. NULL when there is no memory.
static struct counters *make_counters(const char *token) {
    struct counters *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->token = token;
    made->next = atomic_load(&all);
    atomic_store_explicit(&all, made, memory_order_release);
    return made;
}

struct count *counts_add(enum function function, const char *token) {
    if (rows == NULL) return NULL;
    if (token == NULL) token = none;
    struct counters *counters = find_counters(token);
    struct count *count =
        counters == NULL ? NULL : atomic_load_explicit(&counters->counts[function], memory_order_acquire);
    if (count == NULL) {
        pthread_mutex_lock(&lock);
        counters = find_counters(token);
        if (counters == NULL) counters = make_counters(token);
        struct row *row = counters == NULL ? NULL : find_row(token, function_name(function));
        if (row != NULL) {
            count = &row->count;
            atomic_store_explicit(&counters->counts[function], count, memory_order_release);
        }
        pthread_mutex_unlock(&lock);
    }
    if (count != NULL) atomic_fetch_add_explicit(&count->calls, 1, memory_order_relaxed);
    return count;
}

void counts_add_time(struct count *count, uint64_t nanoseconds) {
    atomic_fetch_add_explicit(&count->nanoseconds, nanoseconds, memory_order_relaxed);
}
