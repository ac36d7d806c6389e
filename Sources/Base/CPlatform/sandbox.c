// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "include/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The system's headers may be older than its kernel, so what is needed of linux/landlock.h stands here.

enum { nr_create_ruleset = 444, nr_add_rule = 445, nr_restrict_self = 446 };
enum { rule_path = 1, rule_port = 2 };

#define BIT(number) (UINT64_C(1) << (number))

static const uint64_t fs_execute = BIT(0);
static const uint64_t fs_read_file = BIT(2);
static const uint64_t fs_read_dir = BIT(3);
/// Write and read a file, read a directory, remove and make things in it.
static const uint64_t fs_all_of_version_1 = BIT(13) - 2;
static const uint64_t fs_refer = BIT(13);
static const uint64_t fs_truncate = BIT(14);
/// What may be allowed for something that is no directory.
static const uint64_t fs_of_files = BIT(0) | BIT(1) | BIT(2) | BIT(14);
static const uint64_t net_bind = BIT(0);
static const uint64_t net_connect = BIT(1);
static const uint64_t scope_abstract_sockets = BIT(0);
static const uint64_t scope_signals = BIT(1);

struct ruleset_attributes {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

struct __attribute__((packed)) path_attributes {
    uint64_t allowed;
    int32_t descriptor;
};

struct port_attributes {
    uint64_t allowed;
    uint64_t port;
};

int claviger_landlock_version(void) {
    long version = syscall(nr_create_ruleset, NULL, (size_t)0, 1U);
    return version > 0 ? (int)version : 0;
}

static uint64_t handled_files(int version, bool programs) {
    uint64_t rights = fs_all_of_version_1;
    if (programs) rights |= fs_execute;
    if (version >= 2) rights |= fs_refer;
    if (version >= 3) rights |= fs_truncate;
    return rights;
}

int claviger_landlock_begin(int subjects) {
    int version = claviger_landlock_version();
    if (version == 0) {
        errno = ENOSYS;
        return -1;
    }
    struct ruleset_attributes attributes = {0, 0, 0};
    if (subjects & CLAVIGER_ABOUT_FILES) attributes.files = handled_files(version, subjects & CLAVIGER_ABOUT_PROGRAMS);
    if ((subjects & CLAVIGER_ABOUT_TCP) && version >= 4) attributes.network = net_bind | net_connect;
    if ((subjects & CLAVIGER_ABOUT_SIGNALS) && version >= 6) attributes.scopes |= scope_signals;
    if ((subjects & CLAVIGER_ABOUT_ABSTRACT_SOCKETS) && version >= 6) attributes.scopes |= scope_abstract_sockets;
    // A kernel takes a longer structure than its own as long as the rest of it is zero.
    return (int)syscall(nr_create_ruleset, &attributes, sizeof attributes, 0U);
}

static int add_path(int ruleset, int descriptor, uint64_t rights) {
    struct path_attributes attributes = {.allowed = rights, .descriptor = descriptor};
    return syscall(nr_add_rule, ruleset, rule_path, &attributes, 0U) == 0 ? 0 : errno;
}

int claviger_landlock_allow(int ruleset, const char *path, bool follows, enum claviger_reach reach) {
    int version = claviger_landlock_version();
    int descriptor = open(path, O_PATH | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW));
    if (descriptor < 0) return errno;
    uint64_t all = handled_files(version, true);
    uint64_t rights = fs_read_dir;
    if (reach == CLAVIGER_REACH_READ) rights = fs_read_dir | fs_read_file | fs_execute;
    if (reach == CLAVIGER_REACH_ALL) rights = all;
    // Which of the rights the ruleset is about is not asked of it: one more is EINVAL, and so is one that only directories
    // have. Neither the kind of the thing nor anything else is asked of the file system: that of a mount whose server
    // has gone would not answer.
    const uint64_t attempts[] = {rights, rights & ~fs_execute, rights & fs_of_files, rights & fs_of_files & ~fs_execute};
    int error = EINVAL;
    for (size_t index = 0; error == EINVAL && index < sizeof attempts / sizeof attempts[0]; index++) {
        if (attempts[index] != 0) error = add_path(ruleset, descriptor, attempts[index]);
    }
    close(descriptor);
    return error;
}

int claviger_landlock_allow_port(int ruleset, uint16_t port) {
    struct port_attributes attributes = {.allowed = net_connect, .port = port};
    return syscall(nr_add_rule, ruleset, rule_port, &attributes, 0U) == 0 ? 0 : errno;
}

int claviger_landlock_enforce(int ruleset) {
    return syscall(nr_restrict_self, ruleset, 0U) == 0 ? 0 : errno;
}

int claviger_forbid_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno; }

int claviger_thread_count(void) {
    DIR *directory = opendir("/proc/self/task");
    if (directory == NULL) return 0;
    int count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') count++;
    }
    closedir(directory);
    return count;
}
