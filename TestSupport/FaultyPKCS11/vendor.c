// SPDX-License-Identifier: Apache-2.0
#include "vendor.h"
#include "chance.h"
#include "control.h"

#include <string.h>

bool vendor_broken_random(struct token *token, CK_BYTE *bytes, CK_ULONG length) {
    if (control_is_quiet()) return false;
    if (control_has(token_label(token), RULE_ZERO_IV)) {
        memset(bytes, 0, length);
        return true;
    }
    if (!control_has(token_label(token), RULE_REPEAT_IV)) return false;
    chance_repeat(bytes, length);
    return true;
}

bool vendor_make_iv(struct token *token, CK_BYTE *iv, CK_ULONG length) {
    return vendor_broken_random(token, iv, length) || chance_fill(iv, length);
}

CK_RV vendor_decryption_code(struct token *token, CK_RV code) {
    struct rule_facts rule;
    switch (code) {
    // What SoftHSM up to 2.6.1, later SoftHSM, NSS, and PKCS#11 3.0 say about a wrong tag.
    case CKR_GENERAL_ERROR:
    case CKR_ENCRYPTED_DATA_INVALID:
    case CKR_DATA_INVALID:
    case CKR_AEAD_DECRYPT_FAILED:
        return control_find(token_label(token), RULE_BAD_TAG, &rule) ? rule.code : code;
    default: return code;
    }
}

/// Reads the caller's parameter in the layout that the vendor has. 0 is for a vendor that was not said to be strict.
static bool read_parameters(const CK_MECHANISM *wanted, uint64_t size, CK_GCM_PARAMS *parameters) {
    if (wanted->pParameter == NULL || (size != 0 && wanted->ulParameterLen != size)) return false;
    if (wanted->ulParameterLen == sizeof *parameters) {
        memcpy(parameters, wanted->pParameter, sizeof *parameters);
        return true;
    }
    struct gcm_params_40 text;
    if (wanted->ulParameterLen != sizeof text) return false;
    memcpy(&text, wanted->pParameter, sizeof text);
    *parameters = (CK_GCM_PARAMS){text.pIv, text.ulIvLen, text.ulIvLen * 8, text.pAAD, text.ulAADLen, text.ulTagBits};
    return true;
}

static bool is_zero(const CK_BYTE *bytes, CK_ULONG length) {
    while (length > 0 && *bytes == 0) bytes++, length--;
    return length == 0;
}

/// Who makes the IV of an encryption: puts it where that vendor puts it.
static CK_RV choose_iv(struct session *session, struct gcm_operation *operation, enum iv_maker maker) {
    CK_GCM_PARAMS *parameters = &operation->parameters;
    switch (maker) {
    case IV_BY_CALLER: return CKR_OK;
    case IV_IN_BUFFER:
        // Such HSMs take no IV of the caller's: only a buffer of zeroes, for 96 bits.
        if (parameters->pIv == NULL || parameters->ulIvLen != 12 || !is_zero(parameters->pIv, 12)) {
            return CKR_MECHANISM_PARAM_INVALID;
        }
        return vendor_make_iv(session->token, parameters->pIv, 12) ? CKR_OK : CKR_DEVICE_ERROR;
    case IV_APPENDED:
        if (!vendor_make_iv(session->token, operation->iv, sizeof operation->iv)) return CKR_DEVICE_ERROR;
        operation->appends_iv = true;
        parameters->pIv = operation->iv;
        parameters->ulIvLen = sizeof operation->iv;
        parameters->ulIvBits = sizeof operation->iv * 8;
        return CKR_OK;
    }
    return CKR_OK;
}

CK_RV vendor_begin(struct session *session, bool encrypts, const CK_MECHANISM *wanted, CK_MECHANISM *given) {
    if (wanted == NULL) return CKR_ARGUMENTS_BAD;
    struct gcm_operation *operation = encrypts ? &session->encryption : &session->decryption;
    memset(operation, 0, sizeof *operation);
    *given = *wanted;
    operation->active = wanted->mechanism == CKM_AES_GCM;
    if (!operation->active || control_is_quiet()) return CKR_OK;
    const char *label = token_label(session->token);
    if (control_has(label, RULE_NO_GCM) || control_has(label, RULE_MESSAGE_API)) return CKR_MECHANISM_INVALID;
    struct rule_facts rule;
    bool is_strict = control_find(label, RULE_GCM_PARAMS, &rule);
    uint64_t size = is_strict ? rule.low : 0;
    enum iv_maker maker = control_find(label, RULE_IV, &rule) ? (enum iv_maker)rule.low : IV_BY_CALLER;
    if (!is_strict && maker == IV_BY_CALLER) return CKR_OK;
    if (!read_parameters(wanted, size, &operation->parameters)) return CKR_MECHANISM_PARAM_INVALID;
    // The wrapped library gets the layout of the official header.
    given->pParameter = &operation->parameters;
    given->ulParameterLen = sizeof operation->parameters;
    return encrypts ? choose_iv(session, operation, maker) : CKR_OK;
}
