// SPDX-License-Identifier: Apache-2.0
// Makes AES-256 keys of other applications on a token: other-00000, other-00001 and so on.
//
// Usage: fill-token MODULE TOKEN-LABEL PIN-FILE COUNT
// Built by serving.py: cc -O2 -o fill-token fill-token.c -ldl

#include <dlfcn.h>
#include <softhsm/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, CK_RV code) {
    fprintf(stderr, "fill-token: %s failed with 0x%lx\n", what, (unsigned long)code);
    exit(1);
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
    fprintf(stderr, "fill-token: no token has the label %s\n", label);
    exit(1);
}

static CK_SESSION_HANDLE log_in(CK_FUNCTION_LIST_PTR library, CK_SLOT_ID slot, const char *pin_file) {
    char pin[256] = "";
    FILE *file = fopen(pin_file, "r");
    if (file == NULL || fgets(pin, sizeof pin, file) == NULL) {
        fprintf(stderr, "fill-token: %s cannot be read\n", pin_file);
        exit(1);
    }
    fclose(file);
    pin[strcspn(pin, "\r\n")] = 0;
    CK_SESSION_HANDLE session;
    CK_RV code = library->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (code != CKR_OK) fail("C_OpenSession", code);
    code = library->C_Login(session, CKU_USER, (CK_BYTE *)pin, strlen(pin));
    memset(pin, 0, sizeof pin);
    if (code != CKR_OK) fail("C_Login", code);
    return session;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: fill-token MODULE TOKEN-LABEL PIN-FILE COUNT\n");
        return 2;
    }
    void *module = dlopen(words[1], RTLD_NOW);
    CK_C_GetFunctionList get = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
    CK_FUNCTION_LIST_PTR library = NULL;
    if (get == NULL || get(&library) != CKR_OK) {
        fprintf(stderr, "fill-token: %s is no PKCS#11 library\n", words[1]);
        return 1;
    }
    CK_RV code = library->C_Initialize(NULL);
    if (code != CKR_OK) fail("C_Initialize", code);
    CK_SESSION_HANDLE session = log_in(library, find_slot(library, words[2]), words[3]);
    for (int number = 0; number < atoi(words[4]); number++) {
        char label[32];
        CK_ULONG length = (CK_ULONG)snprintf(label, sizeof label, "other-%05d", number);
        CK_BBOOL yes = CK_TRUE;
        CK_ULONG size = 32;
        CK_ATTRIBUTE attributes[] = {{CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes},
                                     {CKA_LABEL, label, length},        {CKA_ID, label, length},
                                     {CKA_VALUE_LEN, &size, sizeof size}, {CKA_ENCRYPT, &yes, sizeof yes},
                                     {CKA_DECRYPT, &yes, sizeof yes}};
        CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
        CK_OBJECT_HANDLE key;
        code = library->C_GenerateKey(session, &mechanism, attributes, 7, &key);
        if (code != CKR_OK) fail("C_GenerateKey", code);
    }
    library->C_Finalize(NULL);
    return 0;
}
