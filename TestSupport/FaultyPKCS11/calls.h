// SPDX-License-Identifier: Apache-2.0
// This library's own version of every function of PKCS#11.
#ifndef FAULTY_CALLS_H
#define FAULTY_CALLS_H

#include "functions.h"

// faulty_C_Initialize and so on: what this library's function lists hold.
#define X(name) LOCAL extern __typeof__(name) faulty_##name;
FUNCTIONS_2_40(X)
FUNCTIONS_3_0(X)
#undef X

#endif
