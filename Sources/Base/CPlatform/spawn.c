// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
    // A group of its own: what it starts can be ended with it.
    if (error == 0) error = posix_spawnattr_setpgroup(attributes, 0);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
    if (error == 0) error = posix_spawnattr_setflags(attributes, flags);
    return error;
}

// Starts a program that leads a group of its own, with nothing but what the actions give it.
static int spawn_leader(const char *path, char *const arguments[], char *const environment[],
                        const posix_spawn_file_actions_t *actions, pid_t *process) {
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error != 0) return error;
    error = set_attributes(&attributes);
    if (error == 0) error = posix_spawn(process, path, actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    return error;
}

// A worker's: control socket, lanes, notes of calls, and output and error at the end.
enum { first_descriptor = 3, most_descriptors = 1030 };

// The order matters: dup2 onto 1… while a source still stands there would overwrite it, so the sources have been
// moved above every target first (see claviger_spawn). The last two are output and error.
static int add_actions(posix_spawn_file_actions_t *actions, const int *high, int count) {
    int error = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_adddup2(actions, high[count], 1);
    if (error == 0) error = posix_spawn_file_actions_adddup2(actions, high[count + 1], 2);
    for (int index = 0; error == 0 && index < count; index++) {
        error = posix_spawn_file_actions_adddup2(actions, high[index], first_descriptor + index);
    }
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(actions, first_descriptor + count);
    return error;
}

static int spawn_with(const char *path, char *const arguments[], char *const environment[], const int *high,
                      int count, pid_t *process) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = add_actions(&actions, high, count);
    if (error == 0) error = spawn_leader(path, arguments, environment, &actions, process);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int claviger_spawn(const char *path, char *const arguments[], char *const environment[], int output, int errors,
                   const int *descriptors, int count, pid_t *process) {
    if (count < 0 || count + 2 > most_descriptors) return EINVAL;
    int high[most_descriptors];
    int error = 0;
    int duplicated = 0;
    while (duplicated < count + 2 && error == 0) {
        int source = duplicated < count ? descriptors[duplicated] : duplicated == count ? output : errors;
        int copy = fcntl(source < 0 ? 2 : source, F_DUPFD_CLOEXEC, first_descriptor + count);
        if (copy < 0) {
            error = errno;
        } else {
            high[duplicated++] = copy;
        }
    }
    if (error == 0) {
        claviger_begin_child();
        error = spawn_with(path, arguments, environment, high, count, process);
        claviger_end_child(error == 0 ? *process : 0);
    }
    for (int index = 0; index < duplicated; index++) close(high[index]);
    return error;
}

static int add_streams(posix_spawn_file_actions_t *actions, int output) {
    int error = posix_spawn_file_actions_adddup2(actions, output, 1);
    if (error == 0) error = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    return error;
}

int claviger_spawn_group(const char *path, char *const arguments[], char *const environment[], int output,
                         pid_t *process) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = add_streams(&actions, output);
    if (error == 0) error = spawn_leader(path, arguments, environment, &actions, process);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}
