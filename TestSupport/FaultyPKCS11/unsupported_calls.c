// SPDX-License-Identifier: Apache-2.0
// What of PKCS#11 3.0 this library does not have: messages in several parts, signatures of messages.
#include "call.h"

/// Defines faulty_NAME that answers CKR_FUNCTION_NOT_SUPPORTED, after whatever a rule has for it.
#define UNSUPPORTED(NAME, PARAMETERS)                                    \
    CK_RV faulty_##NAME PARAMETERS {                                     \
        struct call call;                                                \
        CK_RV rv = call_on_session(&call, FN_##NAME, session);           \
        if (rv == CKR_OK) rv = CKR_FUNCTION_NOT_SUPPORTED;               \
        return call_end(&call, rv, NULL, NULL);                          \
    }

#define IGNORED __attribute__((unused))
#define SESSION CK_SESSION_HANDLE session
#define PARAMETER IGNORED CK_VOID_PTR parameter, IGNORED CK_ULONG parameter_len
#define INPUT IGNORED CK_BYTE *input, IGNORED CK_ULONG input_len
#define OUTPUT IGNORED CK_BYTE *output, IGNORED CK_ULONG *output_len
#define SIGNATURE IGNORED CK_BYTE *signature, IGNORED CK_ULONG signature_len
#define INIT IGNORED CK_MECHANISM *mechanism, IGNORED CK_OBJECT_HANDLE key
#define FLAGS IGNORED CK_FLAGS flags

UNSUPPORTED(C_EncryptMessageBegin, (SESSION, PARAMETER, INPUT))
UNSUPPORTED(C_EncryptMessageNext, (SESSION, PARAMETER, INPUT, OUTPUT, FLAGS))
UNSUPPORTED(C_DecryptMessageBegin, (SESSION, PARAMETER, INPUT))
UNSUPPORTED(C_DecryptMessageNext, (SESSION, PARAMETER, INPUT, OUTPUT, FLAGS))
UNSUPPORTED(C_MessageSignInit, (SESSION, INIT))
UNSUPPORTED(C_SignMessage, (SESSION, PARAMETER, INPUT, OUTPUT))
UNSUPPORTED(C_SignMessageBegin, (SESSION, PARAMETER))
UNSUPPORTED(C_SignMessageNext, (SESSION, PARAMETER, INPUT, OUTPUT))
UNSUPPORTED(C_MessageSignFinal, (SESSION))
UNSUPPORTED(C_MessageVerifyInit, (SESSION, INIT))
UNSUPPORTED(C_VerifyMessage, (SESSION, PARAMETER, INPUT, SIGNATURE))
UNSUPPORTED(C_VerifyMessageBegin, (SESSION, PARAMETER))
UNSUPPORTED(C_VerifyMessageNext, (SESSION, PARAMETER, INPUT, SIGNATURE))
UNSUPPORTED(C_MessageVerifyFinal, (SESSION))
