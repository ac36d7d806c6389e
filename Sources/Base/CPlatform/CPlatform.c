// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int claviger_use_batch_scheduling(void) {
    struct sched_param parameter = {.sched_priority = 0};
    return pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameter);
}

int claviger_forbid_dumps(void) {
    struct rlimit none = {0, 0};
    int error = 0;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) error = errno;
    if (setrlimit(RLIMIT_CORE, &none) != 0 && error == 0) error = errno;
    return error;
}

int claviger_name_thread(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = '\0';
    return pthread_setname_np(pthread_self(), cut);
}

int claviger_ignore_signal(int number) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_IGN;
    return sigaction(number, &action, NULL) == 0 ? 0 : errno;
}

int claviger_pipe(int *ends, bool never_waits) {
    return pipe2(ends, O_CLOEXEC | (never_waits ? O_NONBLOCK : 0)) == 0 ? 0 : errno;
}

int claviger_output_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    // The writing end is the program's, and stays as programs expect it.
    int flags = fcntl(ends[0], F_GETFL);
    if (flags >= 0 && fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) == 0) return 0;
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return error;
}

int claviger_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void *claviger_map_private_pages(size_t length) {
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    // Both are precautions that an old kernel may lack; the memory serves without them.
    (void)madvise(memory, length, MADV_DONTDUMP);
    (void)madvise(memory, length, MADV_WIPEONFORK);
    return memory;
}

void claviger_append_line(void *place, const void *text, size_t count) {
    char *line = place;
    memcpy(line + 1, (const char *)text + 1, count - 1);
    line[count] = '\n';
    line[count + 1] = '\0';
    __atomic_store_n(line, *(const char *)text, __ATOMIC_RELEASE);
}
