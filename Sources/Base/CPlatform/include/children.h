// SPDX-License-Identifier: Apache-2.0
// Processes that this one has started, and those that were left behind by processes that it has started.
#ifndef CLAVIGER_CHILDREN_H
#define CLAVIGER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/// How a process ended.
struct claviger_end {
    /// 0 where it was no signal.
    int signal;
    /// What it gave to exit(2).
    int status;
};

/// Whether a child has ended, and how. Its status stays to be taken.
/// Returns 1 ended, 0 runs, -1 is no child (any more).
int claviger_child_end(pid_t child, bool wait, struct claviger_end *end);

/// From now on descendants whose parent ends become children of this process, and not of init. Returns 0 or errno.
int claviger_adopt_orphans(void);

/// Ends (SIGKILL) the children of this process that were left behind by others: those that it has not started itself by
/// claviger_spawn, and that are in the process group of one that it has, live under more filters of system calls than it, or
/// in another session. Takes the statuses of
/// those that have ended. What they leave behind becomes a child in its turn: call it until it returns 0. As process 1 of a
/// container it goes by the filters alone: other descendants of the container may have left children to it.
/// Returns how many it has found; -1 where the kernel does not tell a process its children.
int claviger_end_orphans(void);

/// Encloses the start of a child of this process's own. In between no orphans are ended.
void claviger_begin_child(void);
/// `child`: 0 or less where none was started.
void claviger_end_child(pid_t child);

/// The status of the child has been taken: its number may become another process's. Its process group's other members still
/// count as what it has left behind.
void claviger_forget_child(pid_t child);

/// Ends this process's children, and what is in its process group with it where it leads that. Returns only where it does
/// not.
void claviger_end_family(void);

// MARK: Calls under way

/// Memory in which the threads of a worker note the call that each is at, for the node to read when the worker has ended.
/// Returns a descriptor, or -1 with errno set.
int claviger_make_call_notes(void);
/// Has the threads of this process note their calls in it. Returns 0 or errno.
int claviger_use_call_notes(int descriptor);
/// Reads which calls were under way: the numbers of functions, at most `count`, each as often as it was noted.
int claviger_read_call_notes(int descriptor, uint8_t *functions, int count);

/// The slow way of claviger_note_call, for a thread's first note.
void claviger_take_call_slot(void);
extern _Thread_local volatile uint8_t *claviger_call_slot;

/// Notes that the calling thread is at the function of this number; 0: at none.
static inline void claviger_note_call(uint8_t function) {
    if (claviger_call_slot == NULL) claviger_take_call_slot();
    *claviger_call_slot = function;
}

/// Around a call that changes what a token keeps: several threads may be in one.
void claviger_begin_change(void);
void claviger_end_change(void);
/// Waits until no thread is in such a call, at most so long; from then on none enters one, for good. Returns 0, or errno
/// when a call is still under way.
int claviger_await_last_change(int milliseconds);

#endif
