// SPDX-License-Identifier: Apache-2.0
// The control file on disk.
#ifndef FAULTY_FILE_H
#define FAULTY_FILE_H

#include "cryptoki.h"

#include <sys/stat.h>

/// What distinguishes one version of the file from the next.
struct file_version {
    bool exists;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/// Whether the file at `path` is another one than was seen.
LOCAL bool file_has_changed(const char *path, const struct file_version *seen);

/// The file's text, to be freed; NULL when there is no file, or none that can be read. Puts its version in `*seen`.
LOCAL char *file_read(const char *path, struct file_version *seen);

#endif
