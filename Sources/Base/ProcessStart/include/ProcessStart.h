// SPDX-License-Identifier: Apache-2.0
// What must be so before the first thread of the program runs; start.c does it before `main`.
#ifndef CLAVIGER_PROCESS_START_H
#define CLAVIGER_PROCESS_START_H

#include <stdint.h>

/// The least address space (RLIMIT_AS), in bytes, with which a node starts, works and ends on a machine with so many
/// processors. `deploy` and the documents give it for two.
uint64_t claviger_least_address_space(long processors);

#endif
