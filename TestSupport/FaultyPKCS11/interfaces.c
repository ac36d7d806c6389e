// SPDX-License-Identifier: Apache-2.0
// What the library exports: its function lists.
#include "calls.h"
#include "control.h"
#include "counts.h"
#include "real.h"
#include "watch.h"

#include <pthread.h>
#include <string.h>

static CK_FUNCTION_LIST list_2_40 = {
    .version = {2, 40},
#define X(name) .name = faulty_##name,
    FUNCTIONS_2_40(X)
#undef X
};

/// CK_FUNCTION_LIST_3_0.
struct function_list_3_0 {
    CK_VERSION version;
#define X(name) __typeof__(name) *name;
    FUNCTIONS_2_40(X) FUNCTIONS_3_0(X)
#undef X
};

static struct function_list_3_0 list_3_0 = {
    .version = {3, 0},
#define X(name) .name = faulty_##name,
    FUNCTIONS_2_40(X) FUNCTIONS_3_0(X)
#undef X
};

static CK_UTF8CHAR interface_name[] = "PKCS 11";

// The newest first: it is what a caller gets who does not choose.
static CK_INTERFACE interfaces[] = {{interface_name, &list_3_0, 0}, {interface_name, &list_2_40, 0}};

enum { INTERFACE_COUNT = sizeof interfaces / sizeof interfaces[0] };

static bool has_library;

static void load(void) {
    if (!real_load()) return;
    watch_start();
    counts_start();
    has_library = true;
}

/// Whether the wrapped library is there; the first call loads it.
static bool is_loaded(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return has_library;
}

/// Where the list begins: 3.0 is there only while a rule says so.
static CK_INTERFACE *offered(CK_ULONG *count) {
    watch_poll();
    bool has_3_0 = control_has_anywhere(RULE_MESSAGE_API);
    *count = has_3_0 ? INTERFACE_COUNT : INTERFACE_COUNT - 1;
    return has_3_0 ? interfaces : interfaces + 1;
}

CK_RV faulty_C_GetFunctionList(CK_FUNCTION_LIST **list) {
    if (list == NULL) return CKR_ARGUMENTS_BAD;
    if (!is_loaded()) return CKR_GENERAL_ERROR;
    *list = &list_2_40;
    return CKR_OK;
}

CK_RV faulty_C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count) {
    if (count == NULL) return CKR_ARGUMENTS_BAD;
    if (!is_loaded()) return CKR_GENERAL_ERROR;
    CK_ULONG available = *count;
    const CK_INTERFACE *first = offered(count);
    if (list == NULL) return CKR_OK;
    if (available < *count) return CKR_BUFFER_TOO_SMALL;
    memcpy(list, first, *count * sizeof *list);
    return CKR_OK;
}

CK_RV faulty_C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **chosen, CK_FLAGS flags) {
    if (chosen == NULL) return CKR_ARGUMENTS_BAD;
    if (!is_loaded()) return CKR_GENERAL_ERROR;
    CK_ULONG count = 0;
    CK_INTERFACE *first = offered(&count);
    for (CK_INTERFACE *interface = first; interface < first + count; interface++) {
        // Every function list begins with its version.
        const CK_VERSION *own = interface->pFunctionList;
        if (name != NULL && strcmp((const char *)name, (const char *)interface->pInterfaceName) != 0) continue;
        if (version != NULL && (version->major != own->major || version->minor != own->minor)) continue;
        if ((flags & ~interface->flags) != 0) continue;
        *chosen = interface;
        return CKR_OK;
    }
    return CKR_FUNCTION_FAILED;
}

EXPORTED CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) { return faulty_C_GetFunctionList(list); }

EXPORTED CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count) {
    return faulty_C_GetInterfaceList(list, count);
}

EXPORTED CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **chosen, CK_FLAGS flags) {
    return faulty_C_GetInterface(name, version, chosen, flags);
}
