// SPDX-License-Identifier: Apache-2.0
// What Swift's Glibc module does not show, because it stands behind _GNU_SOURCE or is a macro.
#ifndef CLAVIGER_CPLATFORM_H
#define CLAVIGER_CPLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "children.h"
#include "peers.h"
#include "sandbox.h"

/// Starts the program at `path`, in a process group of its own, with `descriptors[0..<count]` as its descriptors 3, 4, …
/// and no other beyond standard input (/dev/null), output and error. These are `output` and `errors`; where one is -1, the
/// caller's standard error, so that a library's chatter never mixes with what the caller prints. Signal mask empty, all
/// signals at their defaults. The child counts as this process's own (children.h).
/// Returns 0 and the process in `*process`, or an errno value.
int claviger_spawn(const char *path, char *const arguments[], char *const environment[], int output, int errors,
                   const int *descriptors, int count, pid_t *process);

/// A pipe whose ends no other program inherits: `ends[0]` is read from and does not block, `ends[1]` is written to.
/// Returns 0 or errno.
int claviger_output_pipe(int ends[2]);

/// Starts the program at `path` as the leader of a process group of its own, with `output` as its standard output,
/// /dev/null as its standard input and error, and no other descriptor. Signal mask empty, all signals at their defaults.
/// Returns 0 and the process in `*process`, or an errno value.
int claviger_spawn_group(const char *path, char *const arguments[], char *const environment[], int output,
                         pid_t *process);

/// Gives the calling thread SCHED_BATCH: it yields less often to threads that just woke up. Returns 0 or errno.
int claviger_use_batch_scheduling(void);

/// No core dump of this process, and no other process of the same user may read its memory. Returns 0 or errno.
int claviger_forbid_dumps(void);

/// Names the calling thread; longer names are cut to 15 bytes. Returns 0 or errno.
int claviger_name_thread(const char *name);

/// 1 where what lies at that path is in memory (tmpfs, ramfs), 0 where it is on a disk, -1 where it cannot be told.
int claviger_is_in_memory(const char *path);

/// Appends a line to text in shared memory that ends with a byte 0, which lies at `place`: `text`, which must not be empty, a line
/// feed, and the byte 0 that is the end from then on. There must be room for `count + 2` bytes. The first byte comes last: a
/// process that is killed meanwhile leaves the text as it was.
void claviger_append_line(void *place, const void *text, size_t count);

/// Ignores the signal of that number in this process. Returns 0 or errno.
int claviger_ignore_signal(int number);

/// A pipe whose ends programs started later do not get; `ends[0]` is read. Returns 0 or errno.
///
/// - `never_waits`: a write to a full pipe, and a read of an empty one, fail with EAGAIN.
int claviger_pipe(int *ends, bool never_waits);

/// A counter to wait on with poll(2): non-blocking, close-on-exec. Returns the descriptor, or -1 with errno set.
int claviger_eventfd(void);

/// Maps `length` bytes of zeroed private memory that no core dump shows and that a forked child sees as zeroes.
/// Returns NULL when there is none.
void *claviger_map_private_pages(size_t length);

/// How many descriptors this process may have open (the soft RLIMIT_NOFILE); 0 when the system does not say.
uint64_t claviger_descriptor_limit(void);

/// How far the host's clock may be off by what the kernel has been told, microseconds (adjtimex(2)); -1 where nothing keeps
/// it right, -2 where the system does not say.
int64_t claviger_clock_error(void);

/// Sets that limit to `most`, or to the hard limit where that is less. Returns 0 or errno.
int claviger_set_descriptor_limit(uint64_t most);

/// The least number that is no open descriptor.
int claviger_first_free_descriptor(void);

/// CLOCK_MONOTONIC in nanoseconds.
static inline uint64_t claviger_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
