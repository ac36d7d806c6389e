// SPDX-License-Identifier: Apache-2.0
/// A PKCS#11 library that passes every call on to another PKCS#11 library and, directed by a control file that may
/// change at any time, misbehaves as HSMs do. README.md beside the sources describes the control file.
///
/// The library is meant to be loaded as a client loads any PKCS#11 library: `dlopen`, then `C_GetFunctionList`, or
/// `C_GetInterface` of PKCS#11 3.0. These three symbols are all that it exports.
#ifndef FAULTY_PKCS11_H
#define FAULTY_PKCS11_H

/// Environment: path of the library to wrap. Read once, when the first function list is asked for.
#define FAULTY_PKCS11_MODULE "FAULTY_PKCS11_MODULE"

/// What is wrapped when FAULTY_PKCS11_MODULE is not set.
#define FAULTY_PKCS11_DEFAULT_MODULE "/usr/lib/softhsm/libsofthsm2.so"

/// Environment: path of the control file. Without it, or while no such file is there: no faults.
#define FAULTY_PKCS11_CONTROL "FAULTY_PKCS11_CONTROL"

/// Environment: milliseconds between two looks at the control file, 0 … 1,000. With 0 every call looks, so that a
/// change holds from the next call on.
#define FAULTY_PKCS11_INTERVAL "FAULTY_PKCS11_INTERVAL"

/// What holds when FAULTY_PKCS11_INTERVAL is not set, milliseconds.
#define FAULTY_PKCS11_DEFAULT_INTERVAL 5

/// Environment: path of the file in which calls are counted, made when it is not there; rows of faulty_pkcs11_count.
/// Without it nothing is counted.
#define FAULTY_PKCS11_COUNTS "FAULTY_PKCS11_COUNTS"

/// A row of that file. Numbers are in the byte order of the machine; the first row without a function ends the file.
struct faulty_pkcs11_count {
    /// The token's label, padded with zeroes; empty for calls on no token.
    char token[32];
    /// The function's `C_` name, padded with zeroes.
    char function[32];
    /// Calls that began, of all processes that were ever given the file.
    unsigned long long calls;
    /// What calls on sessions took that have ended, nanoseconds, delays included; waiting for turns is not.
    unsigned long long nanoseconds;
};

#endif
