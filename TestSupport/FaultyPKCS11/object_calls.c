// SPDX-License-Identifier: Apache-2.0
// Calls that make, read, change, wrap and destroy objects.
#include "call.h"

#include <stdlib.h>

/// The caller's handle for a new object. CKR_OK, or the object is not to be seen: then the handle is 0.
static void show(struct call *call, CK_RV rv, CK_OBJECT_HANDLE real_handle, CK_OBJECT_HANDLE *handle) {
    if (rv == CKR_OK && handle != NULL) *handle = object_shown(session_view(call->session), real_handle);
}

CK_RV faulty_C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count,
                            CK_OBJECT_HANDLE *object) {
    struct call call;
    CK_OBJECT_HANDLE made = 0;
    CK_RV rv = call_on_session(&call, FN_C_CreateObject, session);
    if (rv == CKR_OK) {
        rv = REAL(C_CreateObject, call.session->real, attributes, count, object == NULL ? NULL : &made);
        show(&call, rv, made, object);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
                          CK_ULONG count, CK_OBJECT_HANDLE *copy) {
    struct call call;
    struct object_target target;
    CK_OBJECT_HANDLE made = 0;
    CK_RV rv = call_on_session(&call, FN_C_CopyObject, session);
    if (rv == CKR_OK) rv = call_resolve(&call, object, CKR_OBJECT_HANDLE_INVALID, &target);
    if (rv == CKR_OK) {
        rv = REAL(C_CopyObject, call.session->real, target.value, attributes, count, copy == NULL ? NULL : &made);
        show(&call, rv, made, copy);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
    struct call call;
    struct object_target target;
    CK_RV rv = call_on_session(&call, FN_C_DestroyObject, session);
    if (rv == CKR_OK) rv = call_resolve(&call, object, CKR_OBJECT_HANDLE_INVALID, &target);
    if (rv == CKR_OK) rv = REAL(C_DestroyObject, call.session->real, target.named);
    if (rv == CKR_OK) object_forget(object);
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_GetObjectSize(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size) {
    struct call call;
    struct object_target target;
    CK_RV rv = call_on_session(&call, FN_C_GetObjectSize, session);
    if (rv == CKR_OK) rv = call_resolve(&call, object, CKR_OBJECT_HANDLE_INVALID, &target);
    if (rv == CKR_OK) rv = REAL(C_GetObjectSize, call.session->real, target.value, size);
    return call_end(&call, rv, NULL, NULL);
}

/// The attributes of a swapped key: label and id are those under which it is found, the others its own. Each is asked
/// for on its own; the first refusal is the call's code, as PKCS#11 2.40 has it (section 5.7, C_GetAttributeValue).
static CK_RV read_swapped(CK_SESSION_HANDLE session, const struct object_target *target, CK_ATTRIBUTE *attributes,
                          CK_ULONG count) {
    CK_RV result = CKR_OK;
    for (CK_ULONG index = 0; index < count; index++) {
        bool is_name = attributes[index].type == CKA_LABEL || attributes[index].type == CKA_ID;
        CK_OBJECT_HANDLE object = is_name ? target->named : target->value;
        CK_RV rv = REAL(C_GetAttributeValue, session, object, &attributes[index], 1);
        if (result == CKR_OK) result = rv;
    }
    return result;
}

CK_RV faulty_C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
                                 CK_ULONG count) {
    struct call call;
    struct object_target target;
    CK_RV rv = call_on_session(&call, FN_C_GetAttributeValue, session);
    if (rv == CKR_OK) rv = call_resolve(&call, object, CKR_OBJECT_HANDLE_INVALID, &target);
    if (rv == CKR_OK && target.named == target.value) {
        rv = REAL(C_GetAttributeValue, call.session->real, target.named, attributes, count);
    } else if (rv == CKR_OK) {
        rv = attributes == NULL ? CKR_ARGUMENTS_BAD : read_swapped(call.session->real, &target, attributes, count);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_SetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
                                 CK_ULONG count) {
    struct call call;
    struct object_target target;
    CK_RV rv = call_on_session(&call, FN_C_SetAttributeValue, session);
    if (rv == CKR_OK) rv = call_resolve(&call, object, CKR_OBJECT_HANDLE_INVALID, &target);
    if (rv == CKR_OK) {
        rv = REAL(C_SetAttributeValue, call.session->real, target.named, attributes, count);
        if (rv == CKR_OK) object_relabel(session_view(call.session), object);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes,
                           CK_ULONG count, CK_OBJECT_HANDLE *key) {
    struct call call;
    CK_OBJECT_HANDLE made = 0;
    CK_RV rv = call_on_session(&call, FN_C_GenerateKey, session);
    if (rv == CKR_OK) {
        rv = REAL(C_GenerateKey, call.session->real, mechanism, attributes, count, key == NULL ? NULL : &made);
        show(&call, rv, made, key);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_attributes,
                               CK_ULONG public_count, CK_ATTRIBUTE *private_attributes, CK_ULONG private_count,
                               CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key) {
    struct call call;
    CK_OBJECT_HANDLE made_public = 0, made_private = 0;
    CK_RV rv = call_on_session(&call, FN_C_GenerateKeyPair, session);
    if (rv == CKR_OK) {
        rv = REAL(C_GenerateKeyPair, call.session->real, mechanism, public_attributes, public_count,
                  private_attributes, private_count, public_key == NULL ? NULL : &made_public,
                  private_key == NULL ? NULL : &made_private);
        show(&call, rv, made_public, public_key);
        show(&call, rv, made_private, private_key);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key,
                       CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG *wrapped_len) {
    struct call call;
    struct object_target wrapping, target;
    CK_RV rv = call_on_session(&call, FN_C_WrapKey, session);
    if (rv == CKR_OK) rv = call_resolve(&call, wrapping_key, CKR_WRAPPING_KEY_HANDLE_INVALID, &wrapping);
    if (rv == CKR_OK) rv = call_resolve(&call, key, CKR_KEY_HANDLE_INVALID, &target);
    if (rv == CKR_OK) {
        rv = REAL(C_WrapKey, call.session->real, mechanism, wrapping.value, target.value, wrapped, wrapped_len);
    }
    return call_end(&call, rv, wrapped, wrapped_len);
}

CK_RV faulty_C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key,
                         CK_BYTE *wrapped, CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count,
                         CK_OBJECT_HANDLE *key) {
    struct call call;
    struct object_target target;
    CK_OBJECT_HANDLE made = 0;
    CK_RV rv = call_on_session(&call, FN_C_UnwrapKey, session);
    if (rv == CKR_OK) rv = call_resolve(&call, unwrapping_key, CKR_UNWRAPPING_KEY_HANDLE_INVALID, &target);
    if (rv == CKR_OK) {
        rv = REAL(C_UnwrapKey, call.session->real, mechanism, target.value, wrapped, wrapped_len, attributes, count,
                  key == NULL ? NULL : &made);
        show(&call, rv, made, key);
    }
    return call_end(&call, rv, NULL, NULL);
}

CK_RV faulty_C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base_key,
                         CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *key) {
    struct call call;
    struct object_target target;
    CK_OBJECT_HANDLE made = 0;
    CK_RV rv = call_on_session(&call, FN_C_DeriveKey, session);
    if (rv == CKR_OK) rv = call_resolve(&call, base_key, CKR_KEY_HANDLE_INVALID, &target);
    if (rv == CKR_OK) {
        rv = REAL(C_DeriveKey, call.session->real, mechanism, target.value, attributes, count,
                  key == NULL ? NULL : &made);
        show(&call, rv, made, key);
    }
    return call_end(&call, rv, NULL, NULL);
}
