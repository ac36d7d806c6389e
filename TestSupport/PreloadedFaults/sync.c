// SPDX-License-Identifier: Apache-2.0
// Writes to the disk take as many milliseconds longer as the file SLOW_SYNC_FILE says at the moment.

#define _GNU_SOURCE
#include "PreloadedFaults.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_the_disk(void) {
    const char *path = getenv(SLOW_SYNC_FILE);
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL) return;
    long milliseconds = 0;
    if (fscanf(file, "%ld", &milliseconds) != 1 || milliseconds < 0) milliseconds = 0;
    fclose(file);
    struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {}
}

int fsync(int descriptor) {
    static int (*real)(int);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    wait_for_the_disk();
    return real(descriptor);
}

int fdatasync(int descriptor) {
    static int (*real)(int);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    wait_for_the_disk();
    return real(descriptor);
}
