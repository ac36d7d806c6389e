// SPDX-License-Identifier: Apache-2.0
// Digests, signatures and their verification.
#include "pass.h"

#define DATA_PARAMETERS (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len)
#define DATA_AND_OUTPUT (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output, CK_ULONG *length)
#define OUTPUT_PARAMETERS (CK_SESSION_HANDLE session, CK_BYTE *output, CK_ULONG *length)

PASS(C_DigestInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism), NULL, NULL, mechanism)
PASS(C_Digest, DATA_AND_OUTPUT, output, length, data, data_len, output, length)
PASS(C_DigestUpdate, DATA_PARAMETERS, NULL, NULL, data, data_len)
PASS(C_DigestFinal, OUTPUT_PARAMETERS, output, length, output, length)

CK_RV faulty_C_DigestKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
    struct call call;
    struct object_target target;
    CK_RV rv = call_on_session(&call, FN_C_DigestKey, session);
    if (rv == CKR_OK) rv = call_resolve(&call, key, CKR_KEY_HANDLE_INVALID, &target);
    if (rv == CKR_OK) rv = REAL(C_DigestKey, call.session->real, target.value);
    return call_end(&call, rv, NULL, NULL);
}

PASS_INIT(C_SignInit)
PASS(C_Sign, DATA_AND_OUTPUT, output, length, data, data_len, output, length)
PASS(C_SignUpdate, DATA_PARAMETERS, NULL, NULL, data, data_len)
PASS(C_SignFinal, OUTPUT_PARAMETERS, output, length, output, length)
PASS_INIT(C_SignRecoverInit)
PASS(C_SignRecover, DATA_AND_OUTPUT, output, length, data, data_len, output, length)

PASS_INIT(C_VerifyInit)
PASS(C_Verify,
     (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len), NULL,
     NULL, data, data_len, signature, signature_len)
PASS(C_VerifyUpdate, DATA_PARAMETERS, NULL, NULL, data, data_len)
PASS(C_VerifyFinal, DATA_PARAMETERS, NULL, NULL, data, data_len)
PASS_INIT(C_VerifyRecoverInit)
PASS(C_VerifyRecover, DATA_AND_OUTPUT, output, length, data, data_len, output, length)
