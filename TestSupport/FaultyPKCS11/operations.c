// SPDX-License-Identifier: Apache-2.0
#include "operations.h"
#include "real.h"

#include <stdlib.h>

typedef CK_RV (*finisher)(CK_SESSION_HANDLE session, CK_BYTE *output, CK_ULONG *length);

/// Finishes into memory that nobody reads. Whatever comes but CKR_BUFFER_TOO_SMALL ends the operation.
static void finish(finisher final, CK_SESSION_HANDLE session) {
    if (final == NULL) return;
    CK_BYTE small[512];
    CK_ULONG length = sizeof small;
    if (final(session, small, &length) != CKR_BUFFER_TOO_SMALL) return;
    CK_BYTE *large = malloc(length + 1);
    if (large != NULL) (void)final(session, large, &length);
    free(large);
}

static void end_encryption(struct session *session) {
    session->encryption.active = false;
    finish(real->C_EncryptFinal, session->real);
}

static void end_decryption(struct session *session) {
    session->decryption.active = false;
    finish(real->C_DecryptFinal, session->real);
}

static void end_verification(struct session *session) {
    CK_BYTE signature[64] = {0};
    (void)REAL(C_VerifyFinal, session->real, signature, sizeof signature);
}

/// Those that recover have no Final.
static CK_RV recover_signature(CK_SESSION_HANDLE session, CK_BYTE *output, CK_ULONG *length) {
    CK_BYTE data[1] = {0};
    return REAL(C_SignRecover, session, data, sizeof data, output, length);
}

static CK_RV recover_data(CK_SESSION_HANDLE session, CK_BYTE *output, CK_ULONG *length) {
    CK_BYTE signature[1] = {0};
    return REAL(C_VerifyRecover, session, signature, sizeof signature, output, length);
}

void operation_abandon(struct session *session, enum function function) {
    switch (function) {
    case FN_C_Encrypt:
    case FN_C_EncryptUpdate:
    case FN_C_EncryptFinal: end_encryption(session); break;
    case FN_C_Decrypt:
    case FN_C_DecryptUpdate:
    case FN_C_DecryptFinal: end_decryption(session); break;
    case FN_C_Digest:
    case FN_C_DigestUpdate:
    case FN_C_DigestKey:
    case FN_C_DigestFinal: finish(real->C_DigestFinal, session->real); break;
    case FN_C_Sign:
    case FN_C_SignUpdate:
    case FN_C_SignFinal: finish(real->C_SignFinal, session->real); break;
    case FN_C_Verify:
    case FN_C_VerifyUpdate:
    case FN_C_VerifyFinal: end_verification(session); break;
    case FN_C_SignRecover: finish(recover_signature, session->real); break;
    case FN_C_VerifyRecover: finish(recover_data, session->real); break;
    case FN_C_DigestEncryptUpdate:
        finish(real->C_DigestFinal, session->real);
        end_encryption(session);
        break;
    case FN_C_SignEncryptUpdate:
        finish(real->C_SignFinal, session->real);
        end_encryption(session);
        break;
    case FN_C_DecryptDigestUpdate:
        end_decryption(session);
        finish(real->C_DigestFinal, session->real);
        break;
    case FN_C_DecryptVerifyUpdate:
        end_decryption(session);
        end_verification(session);
        break;
    default: break;
    }
}
