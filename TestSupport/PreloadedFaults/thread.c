// SPDX-License-Identifier: Apache-2.0
// A process gets no more threads than the file MOST_THREADS_FILE says when it asks for one, its first not counted: as
// where a limit on their number is reached (pthread_create(3), EAGAIN).

#define _GNU_SOURCE
#include "PreloadedFaults.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static int may_have(int number) {
    const char *path = getenv(MOST_THREADS_FILE);
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL) return 1;
    int most = 0;
    int result = fscanf(file, "%d", &most) != 1 || number <= most;
    fclose(file);
    return result;
}

int pthread_create(
    pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*body)(void *),
    void *restrict argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    static atomic_int started;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (!may_have(atomic_fetch_add(&started, 1) + 1)) {
        atomic_fetch_sub(&started, 1);
        return EAGAIN;
    }
    return real(thread, attributes, body, argument);
}
