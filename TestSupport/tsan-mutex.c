// SPDX-License-Identifier: Apache-2.0
// Tells the thread sanitizer what it cannot see: the order that a Swift `Mutex` makes where threads wait for it.
//
// The quick way of Mutex is compiled into whoever uses it, and so under the sanitizer's eyes. The slow one goes through
// the kernel (FUTEX_LOCK_PI, FUTEX_UNLOCK_PI) in functions of Swift's library, which is built without it: what one thread
// did before it let go of a lock that others wait for, and what the next did after its wait, looked like a race. This
// library stands before Swift's (LD_PRELOAD) and adds the order. Compile it with clang: it knows Swift's calls.

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT_CALL __attribute__((swiftcall))
#define SWIFT_SELF __attribute__((swift_context))

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef SWIFT_CALL void (*lock_function)(uint32_t thread, SWIFT_SELF void *mutex);
typedef SWIFT_CALL void (*unlock_function)(SWIFT_SELF void *mutex);
typedef void (*order_function)(void *address);

static void *next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

static void show(const char *order, void *mutex) {
    order_function function = (order_function)dlsym(RTLD_DEFAULT, order);
    if (function != NULL) function(mutex);
}

/// Synchronization._MutexHandle._lockSlow(UInt32)
SWIFT_CALL void shown_lock_slow(uint32_t thread, SWIFT_SELF void *mutex) __asm__(LOCK_SLOW);

SWIFT_CALL void shown_lock_slow(uint32_t thread, SWIFT_SELF void *mutex) {
    ((lock_function)next(LOCK_SLOW))(thread, mutex);
    show("__tsan_acquire", mutex);
}

/// Synchronization._MutexHandle._unlockSlow()
SWIFT_CALL void shown_unlock_slow(SWIFT_SELF void *mutex) __asm__(UNLOCK_SLOW);

SWIFT_CALL void shown_unlock_slow(SWIFT_SELF void *mutex) {
    show("__tsan_release", mutex);
    ((unlock_function)next(UNLOCK_SLOW))(mutex);
}
