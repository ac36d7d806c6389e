// SPDX-License-Identifier: Apache-2.0
// C_Encrypt and C_Decrypt, in one part and in several.
#include "pass.h"
#include "vendor.h"

#include <string.h>

typedef CK_RV (*beginner)(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);

static CK_RV begin(struct call *call, bool encrypts, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                   beginner real_init) {
    struct session *session = call->session;
    struct gcm_operation *operation = encrypts ? &session->encryption : &session->decryption;
    struct object_target target;
    if (!object_resolve(session_view(session), key, &target)) return CKR_KEY_HANDLE_INVALID;
    if (real_init == NULL) return CKR_FUNCTION_NOT_SUPPORTED;
    const struct gcm_operation before = *operation;
    CK_MECHANISM given;
    CK_RV rv = vendor_begin(session, encrypts, mechanism, &given);
    if (rv == CKR_OK) rv = real_init(session->real, &given, target.value);
    // The operation that was under way goes on.
    if (rv == CKR_OPERATION_ACTIVE) *operation = before;
    else if (rv != CKR_OK)
        operation->active = false;
    return rv;
}

CK_RV faulty_C_EncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_EncryptInit, session);
    if (rv == CKR_OK) rv = begin(&call, true, mechanism, key, real->C_EncryptInit);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_DecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_DecryptInit, session);
    if (rv == CKR_OK) rv = begin(&call, false, mechanism, key, real->C_DecryptInit);
    return call_end(&call, rv, NULL, NULL);
}

/// Asking for the length, and too small a buffer, do not end an operation (PKCS#11 2.40, section 5.2).
static bool goes_on(CK_RV rv, const CK_BYTE *output) {
    return rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && output == NULL);
}

/// Stands for the data of C_EncryptFinal, which has none.
static CK_BYTE no_data[1];

/// The last call of an encryption: C_Encrypt, or C_EncryptFinal for `no_data`.
static CK_RV finish_encryption(struct session *session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output,
                               CK_ULONG *length) {
    if (data == no_data) return REAL(C_EncryptFinal, session->real, output, length);
    return REAL(C_Encrypt, session->real, data, data_len, output, length);
}

/// The same for an HSM that appends the IV to what it gives.
static CK_RV finish_appending(struct session *session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output,
                              CK_ULONG *length) {
    enum { IV_LENGTH = sizeof session->encryption.iv };
    if (length == NULL) return CKR_ARGUMENTS_BAD;
    CK_ULONG needed = 0;
    CK_RV rv = finish_encryption(session, data, data_len, NULL, &needed);
    if (rv != CKR_OK) return rv;
    if (output == NULL || *length < needed + IV_LENGTH) {
        *length = needed + IV_LENGTH;
        return output == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    }
    CK_ULONG written = *length - IV_LENGTH;
    rv = finish_encryption(session, data, data_len, output, &written);
    if (rv != CKR_OK) return rv;
    memcpy(output + written, session->encryption.iv, IV_LENGTH);
    *length = written + IV_LENGTH;
    return CKR_OK;
}

static CK_RV encrypt(struct session *session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output, CK_ULONG *length) {
    bool appends = session->encryption.active && session->encryption.appends_iv;
    CK_RV rv = (appends ? finish_appending : finish_encryption)(session, data, data_len, output, length);
    if (!goes_on(rv, output)) session->encryption.active = false;
    return rv;
}

CK_RV faulty_C_Encrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output,
                       CK_ULONG *length) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_Encrypt, session);
    if (rv == CKR_OK) rv = encrypt(call.session, data, data_len, output, length);
    return call_end(&call, rv, output, length);
}

CK_RV faulty_C_EncryptFinal(CK_SESSION_HANDLE session, CK_BYTE *output, CK_ULONG *length) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_EncryptFinal, session);
    if (rv == CKR_OK) rv = encrypt(call.session, no_data, 0, output, length);
    return call_end(&call, rv, output, length);
}

static CK_RV decrypted(struct call *call, CK_RV rv, const CK_BYTE *output) {
    bool is_gcm = call->session->decryption.active;
    if (!goes_on(rv, output)) call->session->decryption.active = false;
    return is_gcm ? vendor_decryption_code(call->token, rv) : rv;
}

CK_RV faulty_C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output,
                       CK_ULONG *length) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_Decrypt, session);
    if (rv == CKR_OK) {
        rv = REAL(C_Decrypt, call.session->real, data, data_len, output, length);
        rv = decrypted(&call, rv, output);
    }
    return call_end(&call, rv, output, length);
}

CK_RV faulty_C_DecryptFinal(CK_SESSION_HANDLE session, CK_BYTE *output, CK_ULONG *length) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_DecryptFinal, session);
    if (rv == CKR_OK) {
        rv = REAL(C_DecryptFinal, call.session->real, output, length);
        rv = decrypted(&call, rv, output);
    }
    return call_end(&call, rv, output, length);
}

#define PASS_PART(NAME)                                                                                              \
    PASS(NAME,                                                                                                       \
         (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *output, CK_ULONG *length), output,    \
         length, part, part_len, output, length)

PASS_PART(C_EncryptUpdate)
PASS_PART(C_DecryptUpdate)
PASS_PART(C_DigestEncryptUpdate)
PASS_PART(C_DecryptDigestUpdate)
PASS_PART(C_SignEncryptUpdate)
PASS_PART(C_DecryptVerifyUpdate)
