// SPDX-License-Identifier: Apache-2.0
/// A library to be preloaded (LD_PRELOAD, ld.so(8)) into a process whose clock, disk or number of
/// threads is to be out of order. It
/// replaces functions of the C library; without the variables below they do what they always do.
#ifndef PRELOADED_FAULTS_H
#define PRELOADED_FAULTS_H

/// Environment: so many seconds the time of day is ahead.
#define CLOCK_AHEAD_SECONDS "CLOCK_AHEAD_SECONDS"

/// Environment: path of a file that says how many milliseconds longer a write to the disk takes (fsync, fdatasync). It
/// is read at each of them, and need not exist.
#define SLOW_SYNC_FILE "SLOW_SYNC_FILE"

/// Environment: path of a file that says how many threads a process may start. It is read at each start of one, and need
/// not exist.
#define MOST_THREADS_FILE "MOST_THREADS_FILE"

#endif
