// SPDX-License-Identifier: Apache-2.0
// The PKCS#11 2.40 interface, from the header that Debian's libsofthsm2-dev installs.
#ifndef CLAVIGER_CPKCS11_SHIM_H
#define CLAVIGER_CPKCS11_SHIM_H

#include <softhsm/pkcs11.h>

/// What C_GetAttributeValue stores as length of an attribute that it does not give (PKCS#11 2.40, section 5.7).
/// The header's macro casts, which Swift does not import.
static inline CK_ULONG claviger_unavailable_information(void) { return CK_UNAVAILABLE_INFORMATION; }

#endif
