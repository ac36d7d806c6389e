// SPDX-License-Identifier: Apache-2.0
// What the library itself costs: C_EncryptInit and C_Encrypt with AES-GCM on one session and one thread.
//
// Usage: bare-pkcs11 MODULE TOKEN-LABEL PIN-FILE KEY-LABEL DATA-BYTES MILLISECONDS
// Only for a throwaway key: the IVs are counted from zero, so each run repeats those of the last.
// Prints one line of JSON: calls, CPU and wall-clock microseconds per pair of calls.
// Built by bench.py: cc -O2 -o bare-pkcs11 bare-pkcs11.c -ldl

#include <dlfcn.h>
#include <softhsm/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void fail(const char *what, CK_RV code) {
    fprintf(stderr, "bare-pkcs11: %s failed with 0x%lx\n", what, (unsigned long)code);
    exit(1);
}

static double cpu_microseconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double wall_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/// The slot whose token has this label, which is padded with blanks to 32 characters.
static CK_SLOT_ID find_slot(CK_FUNCTION_LIST_PTR library, const char *label) {
    CK_SLOT_ID slots[64];
    CK_ULONG count = sizeof slots / sizeof slots[0];
    CK_RV code = library->C_GetSlotList(CK_TRUE, slots, &count);
    if (code != CKR_OK) fail("C_GetSlotList", code);
    char padded[33];
    snprintf(padded, sizeof padded, "%-32s", label);
    for (CK_ULONG index = 0; index < count; index++) {
        CK_TOKEN_INFO info;
        if (library->C_GetTokenInfo(slots[index], &info) == CKR_OK && memcmp(info.label, padded, 32) == 0)
            return slots[index];
    }
    fprintf(stderr, "bare-pkcs11: no token has the label %s\n", label);
    exit(1);
}

static CK_OBJECT_HANDLE find_key(CK_FUNCTION_LIST_PTR library, CK_SESSION_HANDLE session, char *label) {
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, label, strlen(label)}};
    CK_RV code = library->C_FindObjectsInit(session, wanted, 2);
    if (code != CKR_OK) fail("C_FindObjectsInit", code);
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ULONG count = 0;
    code = library->C_FindObjects(session, &key, 1, &count);
    if (code != CKR_OK) fail("C_FindObjects", code);
    library->C_FindObjectsFinal(session);
    if (count != 1) {
        fprintf(stderr, "bare-pkcs11: no key has the label %s\n", label);
        exit(1);
    }
    return key;
}

static void encrypt(CK_FUNCTION_LIST_PTR library, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE *data,
                    CK_ULONG length, CK_BYTE *output, unsigned long number) {
    CK_BYTE iv[12] = {0};
    memcpy(iv, &number, sizeof number);
    CK_BYTE aad[3] = {0, 0, 0};
    CK_GCM_PARAMS parameters = {
        .pIv = iv, .ulIvLen = sizeof iv, .ulIvBits = 96, .pAAD = aad, .ulAADLen = sizeof aad, .ulTagBits = 128};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &parameters, sizeof parameters};
    CK_RV code = library->C_EncryptInit(session, &mechanism, key);
    if (code != CKR_OK) fail("C_EncryptInit", code);
    CK_ULONG size = length + 16;
    code = library->C_Encrypt(session, data, length, output, &size);
    if (code != CKR_OK) fail("C_Encrypt", code);
}

static CK_FUNCTION_LIST_PTR load(const char *module) {
    void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    CK_FUNCTION_LIST_PTR library = NULL;
    if (get == NULL || get(&library) != CKR_OK) {
        fprintf(stderr, "bare-pkcs11: cannot load %s\n", module);
        exit(1);
    }
    // The node's workers call from several threads and ask for the library's locks; so does this.
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_RV code = library->C_Initialize(&arguments);
    if (code != CKR_OK) fail("C_Initialize", code);
    return library;
}

int main(int count, char **arguments) {
    if (count != 7) {
        fprintf(stderr, "usage: bare-pkcs11 MODULE TOKEN-LABEL PIN-FILE KEY-LABEL DATA-BYTES MILLISECONDS\n");
        return 2;
    }
    CK_FUNCTION_LIST_PTR library = load(arguments[1]);

    char pin[256];
    FILE *file = fopen(arguments[3], "r");
    size_t pin_length = file ? fread(pin, 1, sizeof pin, file) : 0;
    while (pin_length > 0 && pin[pin_length - 1] == '\n') pin_length--;
    if (file) fclose(file);

    CK_SESSION_HANDLE session;
    CK_RV code = library->C_OpenSession(find_slot(library, arguments[2]), CKF_SERIAL_SESSION, NULL, NULL, &session);
    if (code != CKR_OK) fail("C_OpenSession", code);
    code = library->C_Login(session, CKU_USER, (CK_UTF8CHAR_PTR)pin, pin_length);
    if (code != CKR_OK) fail("C_Login", code);
    memset(pin, 0, sizeof pin);
    CK_OBJECT_HANDLE key = find_key(library, session, arguments[4]);

    CK_ULONG length = strtoul(arguments[5], NULL, 10);
    CK_BYTE *data = calloc(1, length + 1), *output = malloc(length + 16);
    if (data == NULL || output == NULL) return 1;
    unsigned long calls = 0;
    for (int round = 0; round < 200; round++) encrypt(library, session, key, data, length, output, calls++);

    double limit = strtod(arguments[6], NULL) * 1e3;
    double cpu = cpu_microseconds(), wall = wall_microseconds(), spent;
    calls = 0;
    do {
        for (int round = 0; round < 100; round++) encrypt(library, session, key, data, length, output, calls++);
        spent = wall_microseconds() - wall;
    } while (spent < limit);
    cpu = cpu_microseconds() - cpu;
    printf("{\"calls\": %lu, \"cpu\": %.2f, \"wall\": %.2f}\n", calls, cpu / (double)calls, spent / (double)calls);
    library->C_Finalize(NULL);
    return 0;
}
