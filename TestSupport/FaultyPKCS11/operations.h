// SPDX-License-Identifier: Apache-2.0
// The end of an operation that the caller believes ended, but of which the wrapped library does not know.
#ifndef FAULTY_OPERATIONS_H
#define FAULTY_OPERATIONS_H

#include "sessions.h"

/// A fault refuses a call of the function. In PKCS#11 a call that fails ends its operation, so it is ended in the
/// wrapped library too.
LOCAL void operation_abandon(struct session *session, enum function function);

#endif
