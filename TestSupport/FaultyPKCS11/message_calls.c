// SPDX-License-Identifier: Apache-2.0
// Message encryption of PKCS#11 3.0 for AES-GCM, made of the wrapped library's single-part AES-GCM.
#include "call.h"
#include "chance.h"
#include "control.h"
#include "vendor.h"

#include <stdlib.h>
#include <string.h>

static CK_RV begin(struct call *call, struct message_operation *operation, const CK_MECHANISM *mechanism,
                   CK_OBJECT_HANDLE key) {
    struct object_target target;
    if (operation->active) return CKR_OPERATION_ACTIVE;
    if (mechanism == NULL) return CKR_ARGUMENTS_BAD;
    const char *label = token_label(call->token);
    if (mechanism->mechanism != CKM_AES_GCM || control_has(label, RULE_NO_GCM)) return CKR_MECHANISM_INVALID;
    if (!control_has(label, RULE_MESSAGE_API)) return CKR_MECHANISM_INVALID;
    CK_RV rv = call_resolve(call, key, CKR_KEY_HANDLE_INVALID, &target);
    if (rv == CKR_OK) *operation = (struct message_operation){.active = true, .key = key};
    return rv;
}

CK_RV faulty_C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_MessageEncryptInit, session);
    if (rv == CKR_OK) rv = begin(&call, &call.session->message_encryption, mechanism, key);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_MessageDecryptInit, session);
    if (rv == CKR_OK) rv = begin(&call, &call.session->message_decryption, mechanism, key);
    return call_end(&call, rv, NULL, NULL);
}

/// Writes the counter into the last bits of the IV, or adds it to them without carry; all but the fixed bits belong
/// to the generator (PKCS#11 3.0, mechanisms, section 2.13.4). Whole bytes, as far as the counter reaches.
static void count(CK_GCM_MESSAGE_PARAMS *parameters, uint64_t counter, bool mixes) {
    CK_ULONG fixed = (parameters->ulIvFixedBits + 7) / 8;
    for (CK_ULONG index = parameters->ulIvLen; index > fixed; index--) {
        CK_BYTE byte = (CK_BYTE)counter;
        parameters->pIv[index - 1] = mixes ? parameters->pIv[index - 1] ^ byte : byte;
        counter >>= 8;
    }
}

/// The generator that the caller chose fills what is not fixed of the IV.
static CK_RV generate_iv(struct call *call, CK_GCM_MESSAGE_PARAMS *parameters) {
    struct message_operation *operation = &call->session->message_encryption;
    CK_ULONG fixed = (parameters->ulIvFixedBits + 7) / 8;
    if (parameters->pIv == NULL || parameters->ulIvLen == 0) return CKR_MECHANISM_PARAM_INVALID;
    if (parameters->ivGenerator != CKG_NO_GENERATE && fixed >= parameters->ulIvLen) return CKR_MECHANISM_PARAM_INVALID;
    switch (parameters->ivGenerator) {
    case CKG_NO_GENERATE: return CKR_OK;
    case CKG_GENERATE:
    case CKG_GENERATE_RANDOM:
        return vendor_make_iv(call->token, parameters->pIv + fixed, parameters->ulIvLen - fixed) ? CKR_OK
                                                                                                 : CKR_DEVICE_ERROR;
    case CKG_GENERATE_COUNTER: count(parameters, ++operation->counter, false); return CKR_OK;
    case CKG_GENERATE_COUNTER_XOR: count(parameters, operation->counter++, true); return CKR_OK;
    default: return CKR_MECHANISM_PARAM_INVALID;
    }
}

static CK_RV read_parameters(CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_GCM_MESSAGE_PARAMS *parameters) {
    if (parameter == NULL || parameter_len != sizeof *parameters) return CKR_MECHANISM_PARAM_INVALID;
    memcpy(parameters, parameter, sizeof *parameters);
    if (parameters->pTag == NULL || parameters->ulTagBits % 8 != 0 || parameters->ulTagBits > 128) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    return CKR_OK;
}

static CK_GCM_PARAMS single_part(const CK_GCM_MESSAGE_PARAMS *message, CK_BYTE *aad, CK_ULONG aad_len) {
    return (CK_GCM_PARAMS){.pIv = message->pIv,
                           .ulIvLen = message->ulIvLen,
                           .ulIvBits = message->ulIvLen * 8,
                           .pAAD = aad_len == 0 ? NULL : aad,
                           .ulAADLen = aad_len,
                           .ulTagBits = message->ulTagBits};
}

/// A message in work, with room for it and its tag side by side as the wrapped library has them.
struct message {
    CK_GCM_MESSAGE_PARAMS parameters;
    CK_ULONG tag_len;
    struct object_target target;
    CK_GCM_PARAMS single;
    CK_MECHANISM mechanism;
    CK_BYTE *joined;
    CK_ULONG joined_len;
};

/// What both directions check and set up. `room` is what the joined buffer holds beside the tag.
static CK_RV prepare(struct call *call, const struct message_operation *operation, struct message *message,
                     CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_ULONG room) {
    if (!operation->active) return CKR_OPERATION_NOT_INITIALIZED;
    CK_RV rv = read_parameters(parameter, parameter_len, &message->parameters);
    if (rv == CKR_OK) rv = call_resolve(call, operation->key, CKR_KEY_HANDLE_INVALID, &message->target);
    if (rv != CKR_OK) return rv;
    message->tag_len = message->parameters.ulTagBits / 8;
    message->joined_len = room + message->tag_len;
    message->joined = calloc(1, message->joined_len + 1);
    return message->joined == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static CK_MECHANISM *mechanism_of(struct message *message, CK_BYTE *aad, CK_ULONG aad_len) {
    message->single = single_part(&message->parameters, aad, aad_len);
    message->mechanism = (CK_MECHANISM){CKM_AES_GCM, &message->single, sizeof message->single};
    return &message->mechanism;
}

/// What stood in it is the caller's plaintext.
static void discard(struct message *message) {
    if (message->joined == NULL) return;
    explicit_bzero(message->joined, message->joined_len);
    free(message->joined);
}

static CK_RV encrypt(struct call *call, struct message *message, CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *data,
                     CK_ULONG data_len, CK_BYTE *output, CK_ULONG *length) {
    if (*length < data_len) {
        *length = data_len;
        return CKR_BUFFER_TOO_SMALL;
    }
    CK_SESSION_HANDLE session = call->session->real;
    CK_RV rv = generate_iv(call, &message->parameters);
    if (rv == CKR_OK) rv = REAL(C_EncryptInit, session, mechanism_of(message, aad, aad_len), message->target.value);
    if (rv != CKR_OK) return rv;
    CK_ULONG written = message->joined_len;
    rv = REAL(C_Encrypt, session, data, data_len, message->joined, &written);
    if (rv != CKR_OK) return rv;
    if (written != data_len + message->tag_len) return CKR_DEVICE_ERROR;
    if (data_len > 0) memcpy(output, message->joined, data_len);
    memcpy(message->parameters.pTag, message->joined + data_len, message->tag_len);
    *length = data_len;
    return CKR_OK;
}

CK_RV faulty_C_EncryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_BYTE *aad,
                              CK_ULONG aad_len, CK_BYTE *plaintext, CK_ULONG plaintext_len, CK_BYTE *ciphertext,
                              CK_ULONG *ciphertext_len) {
    struct call call;
    struct message message = {0};
    CK_RV rv = call_on_session(&call, FN_C_EncryptMessage, session);
    if (rv == CKR_OK && ciphertext_len == NULL) rv = CKR_ARGUMENTS_BAD;
    if (rv == CKR_OK) {
        rv = prepare(&call, &call.session->message_encryption, &message, parameter, parameter_len, plaintext_len);
    }
    if (rv == CKR_OK && ciphertext == NULL) {
        *ciphertext_len = plaintext_len;
    } else if (rv == CKR_OK) {
        rv = encrypt(&call, &message, aad, aad_len, plaintext, plaintext_len, ciphertext, ciphertext_len);
    }
    discard(&message);
    return call_end(&call, rv, ciphertext, ciphertext_len);
}

static CK_RV decrypt(struct call *call, struct message *message, CK_BYTE *aad, CK_ULONG aad_len,
                     const CK_BYTE *data, CK_ULONG data_len, CK_BYTE *output, CK_ULONG *length) {
    if (*length < data_len) {
        *length = data_len;
        return CKR_BUFFER_TOO_SMALL;
    }
    if (message->parameters.pIv == NULL) return CKR_MECHANISM_PARAM_INVALID;
    CK_SESSION_HANDLE session = call->session->real;
    CK_RV rv = REAL(C_DecryptInit, session, mechanism_of(message, aad, aad_len), message->target.value);
    if (rv != CKR_OK) return rv;
    if (data_len > 0) memcpy(message->joined, data, data_len);
    memcpy(message->joined + data_len, message->parameters.pTag, message->tag_len);
    // Some libraries want room for the tag too, so the plaintext goes into a buffer of that size.
    CK_BYTE *plaintext = calloc(1, message->joined_len + 1);
    if (plaintext == NULL) return CKR_HOST_MEMORY;
    CK_ULONG written = message->joined_len;
    rv = REAL(C_Decrypt, session, message->joined, message->joined_len, plaintext, &written);
    if (rv == CKR_OK && written != data_len) rv = CKR_DEVICE_ERROR;
    if (rv == CKR_OK && data_len > 0) memcpy(output, plaintext, data_len);
    if (rv == CKR_OK) *length = data_len;
    explicit_bzero(plaintext, message->joined_len);
    free(plaintext);
    // In 3.0 a wrong tag has a code of its own.
    if (rv == CKR_GENERAL_ERROR || rv == CKR_ENCRYPTED_DATA_INVALID) rv = CKR_AEAD_DECRYPT_FAILED;
    return vendor_decryption_code(call->token, rv);
}

CK_RV faulty_C_DecryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len, CK_BYTE *aad,
                              CK_ULONG aad_len, CK_BYTE *ciphertext, CK_ULONG ciphertext_len, CK_BYTE *plaintext,
                              CK_ULONG *plaintext_len) {
    struct call call;
    struct message message = {0};
    CK_RV rv = call_on_session(&call, FN_C_DecryptMessage, session);
    if (rv == CKR_OK && plaintext_len == NULL) rv = CKR_ARGUMENTS_BAD;
    if (rv == CKR_OK) {
        rv = prepare(&call, &call.session->message_decryption, &message, parameter, parameter_len, ciphertext_len);
    }
    if (rv == CKR_OK && plaintext == NULL) {
        *plaintext_len = ciphertext_len;
    } else if (rv == CKR_OK) {
        rv = decrypt(&call, &message, aad, aad_len, ciphertext, ciphertext_len, plaintext, plaintext_len);
    }
    discard(&message);
    return call_end(&call, rv, plaintext, plaintext_len);
}

static CK_RV end(struct message_operation *operation) {
    if (!operation->active) return CKR_OPERATION_NOT_INITIALIZED;
    operation->active = false;
    return CKR_OK;
}

CK_RV faulty_C_MessageEncryptFinal(CK_SESSION_HANDLE session) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_MessageEncryptFinal, session);
    if (rv == CKR_OK) rv = end(&call.session->message_encryption);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_MessageDecryptFinal(CK_SESSION_HANDLE session) {
    struct call call;
    CK_RV rv = call_on_session(&call, FN_C_MessageDecryptFinal, session);
    if (rv == CKR_OK) rv = end(&call.session->message_decryption);
    return call_end(&call, rv, NULL, NULL);
}
