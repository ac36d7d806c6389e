// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CPlatform.h"

/// A few processes.
struct list {
    pid_t *processes;
    size_t count, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/// Started by claviger_spawn; their statuses have not been taken.
static struct list own;
/// Process groups whose leaders were own ones, and have ended.
static struct list groups;
/// Orphans that were ended; their statuses have not been taken.
static struct list ended;

static bool contains(const struct list *list, pid_t process) {
    for (size_t index = 0; index < list->count; index++) {
        if (list->processes[index] == process) return true;
    }
    return false;
}

static void add(struct list *list, pid_t process) {
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 64 : list->room * 2;
        pid_t *grown = realloc(list->processes, room * sizeof *grown);
        if (grown == NULL) return;
        list->processes = grown;
        list->room = room;
    }
    list->processes[list->count++] = process;
}

int claviger_child_end(pid_t child, bool wait, struct claviger_end *end) {
    siginfo_t information;
    int result;
    do {
        information.si_pid = 0;
        result = waitid(P_PID, (id_t)child, &information, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG));
    } while (result != 0 && errno == EINTR);
    if (result != 0) return -1;
    if (information.si_pid == 0) return 0;
    end->signal = information.si_code == CLD_EXITED ? 0 : information.si_status;
    end->status = information.si_code == CLD_EXITED ? information.si_status : 0;
    return 1;
}

int claviger_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? 0 : errno; }

void claviger_begin_child(void) { pthread_mutex_lock(&lock); }

void claviger_end_child(pid_t child) {
    if (child > 0) add(&own, child);
    pthread_mutex_unlock(&lock);
}

void claviger_forget_child(pid_t child) {
    pthread_mutex_lock(&lock);
    for (size_t index = 0; index < own.count; index++) {
        if (own.processes[index] != child) continue;
        own.processes[index--] = own.processes[--own.count];
        if (kill(-child, 0) == 0) add(&groups, child);
    }
    pthread_mutex_unlock(&lock);
}

/// The number of a group without members may become another's.
static void forget_empty_groups(void) {
    for (size_t index = 0; index < groups.count; index++) {
        if (kill(-groups.processes[index], 0) == 0 || errno != ESRCH) continue;
        groups.processes[index--] = groups.processes[--groups.count];
    }
}

/// How many filters of system calls a process lives under; -1 where that is not told.
static int filters(const char *process) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%s/status", process);
    FILE *file = fopen(path, "re");
    if (file == NULL) return -1;
    int count = -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Seccomp_filters: %d", &count) == 1) break;
    }
    fclose(file);
    return count;
}

/// A worker's descendants are in its process group, or live under a filter more than this process. Those of a library
/// without compartment that have left the group are known by a session of their own only; so are, to the first process of a
/// container, those of others.
static bool is_left_behind(pid_t child) {
    if (contains(&groups, getpgid(child))) return true;
    char name[16];
    snprintf(name, sizeof name, "%d", (int)child);
    return filters(name) > filters("self") || (getpid() != 1 && getsid(child) != getsid(0));
}

/// Ends those children of one thread that were left behind. Returns how many there were; -1 where it has no file.
static int end_children_of(const char *thread) {
    char path[320];
    snprintf(path, sizeof path, "/proc/self/task/%s/children", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) return -1;
    int found = 0, number;
    while (fscanf(file, "%d", &number) == 1) {
        pid_t child = (pid_t)number;
        if (contains(&own, child)) continue;
        if (!contains(&ended, child)) {
            if (!is_left_behind(child)) continue;
            kill(child, SIGKILL);
            add(&ended, child);
        }
        found++;
    }
    fclose(file);
    return found;
}

int claviger_end_orphans(void) {
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return -1;
    int found = 0, missing = 0, looked = 0;
    pthread_mutex_lock(&lock);
    for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads)) {
        if (entry->d_name[0] == '.') continue;
        int count = end_children_of(entry->d_name);
        looked++;
        if (count < 0) missing++;
        else found += count;
    }
    for (size_t index = 0; index < ended.count; index++) {
        if (waitpid(ended.processes[index], NULL, WNOHANG) == 0) continue;
        ended.processes[index--] = ended.processes[--ended.count];
    }
    forget_empty_groups();
    pthread_mutex_unlock(&lock);
    closedir(threads);
    // A thread that ended meanwhile has no file; a kernel without them has none at all.
    return missing == looked ? -1 : found;
}

void claviger_end_family(void) {
    // What they leave behind comes to this process, if it adopts orphans.
    for (int round = 0; round < 100 && claviger_end_orphans() > 0; round++) usleep(1000);
    if (getpgrp() == getpid()) kill(0, SIGKILL);
}
