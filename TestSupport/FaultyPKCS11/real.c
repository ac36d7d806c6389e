// SPDX-License-Identifier: Apache-2.0
#include "real.h"
#include "include/FaultyPKCS11.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

CK_FUNCTION_LIST *real;

bool real_load(void) {
    const char *path = getenv(FAULTY_PKCS11_MODULE);
    if (path == NULL || *path == 0) path = FAULTY_PKCS11_DEFAULT_MODULE;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *reason = dlerror();
        fprintf(stderr, "FaultyPKCS11: %s\n", reason == NULL ? path : reason);
        return false;
    }
    CK_C_GetFunctionList get = NULL;
    void *symbol = dlsym(library, "C_GetFunctionList");
    // ISO C has no cast from an object's pointer to a function's; POSIX promises that they have one size.
    if (symbol != NULL) *(void **)&get = symbol;
    CK_FUNCTION_LIST *list = NULL;
    if (get == NULL || get(&list) != CKR_OK || list == NULL) {
        fprintf(stderr, "FaultyPKCS11: %s is no PKCS#11 library\n", path);
        return false;
    }
    real = list;
    return true;
}
