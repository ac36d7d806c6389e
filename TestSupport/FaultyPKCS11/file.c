// SPDX-License-Identifier: Apache-2.0
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// A longer control file is not read.
enum { LARGEST_FILE = 1 << 20 };

static void describe(const struct stat *status, struct file_version *version) {
    memset(version, 0, sizeof *version);
    version->exists = true;
    version->device = status->st_dev;
    version->inode = status->st_ino;
    version->size = status->st_size;
    version->modified = status->st_mtim;
    version->changed = status->st_ctim;
}

static bool same_time(struct timespec one, struct timespec other) {
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

bool file_has_changed(const char *path, const struct file_version *seen) {
    struct stat status;
    struct file_version version = {0};
    if (stat(path, &status) == 0) describe(&status, &version);
    return version.exists != seen->exists || version.device != seen->device || version.inode != seen->inode ||
           version.size != seen->size || !same_time(version.modified, seen->modified) ||
           !same_time(version.changed, seen->changed);
}

char *file_read(const char *path, struct file_version *seen) {
    memset(seen, 0, sizeof *seen);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        if (errno != ENOENT) fprintf(stderr, "FaultyPKCS11: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    struct stat status;
    char *text = NULL;
    if (fstat(descriptor, &status) == 0) {
        describe(&status, seen);
        if (status.st_size <= LARGEST_FILE) text = calloc(1, (size_t)status.st_size + 1);
        else
            fprintf(stderr, "FaultyPKCS11: %s is longer than %d bytes\n", path, LARGEST_FILE);
    }
    size_t filled = 0;
    while (text != NULL && filled < (size_t)status.st_size) {
        ssize_t count = read(descriptor, text + filled, (size_t)status.st_size - filled);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        filled += (size_t)count;
    }
    close(descriptor);
    return text;
}
