// SPDX-License-Identifier: Apache-2.0
// The PKCS#11 2.40 interface, from the header that Debian's libsofthsm2-dev installs, and what newer texts and other
// libraries add to it.
#ifndef CLAVIGER_CPKCS11_SHIM_H
#define CLAVIGER_CPKCS11_SHIM_H

#include <softhsm/pkcs11.h>

/// What C_GetAttributeValue stores as length of an attribute that it does not give (PKCS#11 2.40, section 5.7).
/// The header's macro casts, which Swift does not import.
static inline CK_ULONG claviger_unavailable_information(void) { return CK_UNAVAILABLE_INFORMATION; }

/// The argument of C_Initialize. NSS declares a longer structure: what others call pReserved, it calls
/// LibraryParameters, and its own pReserved stands behind. So one more word of zeroes stands here.
typedef struct {
    CK_C_INITIALIZE_ARGS arguments;
    void *behind;
} claviger_initialize_arguments;

/// CK_GCM_PARAMS as the text of PKCS#11 2.40 has it: without ulIvBits, 40 bytes where a CK_ULONG has 8.
typedef struct {
    unsigned char *pIv;
    CK_ULONG ulIvLen;
    unsigned char *pAAD;
    CK_ULONG ulAADLen;
    CK_ULONG ulTagBits;
} claviger_gcm_params_without_iv_bits;

// PKCS#11 3.0: interfaces (section 5.4) and message-based encryption (section 5.9).

/// CK_INTERFACE.
typedef struct {
    char *pInterfaceName;
    void *pFunctionList;
    CK_FLAGS flags;
} claviger_interface;

/// CK_GCM_MESSAGE_PARAMS: the IV and the tag stand apart from the data.
typedef struct {
    unsigned char *pIv;
    CK_ULONG ulIvLen;
    CK_ULONG ulIvFixedBits;
    CK_ULONG ivGenerator;
    unsigned char *pTag;
    CK_ULONG ulTagBits;
} claviger_gcm_message_params;

/// CKA_UNIQUE_ID: the token gives each object one, and never changes it (PKCS#11 3.0, section 4.4).
#define CLAVIGER_UNIQUE_ID 4UL

/// CKG_NO_GENERATE: the caller makes the IV.
#define CLAVIGER_NO_GENERATE 0UL
/// CKF_MESSAGE_ENCRYPT and CKF_MESSAGE_DECRYPT of CK_MECHANISM_INFO.flags.
#define CLAVIGER_MESSAGE_ENCRYPT 2UL
#define CLAVIGER_MESSAGE_DECRYPT 4UL

typedef CK_RV (*claviger_message_init)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE);
typedef CK_RV (*claviger_message)(
    CK_SESSION_HANDLE, void *parameter, CK_ULONG parameter_length, unsigned char *associated_data,
    CK_ULONG associated_data_length, unsigned char *input, CK_ULONG input_length, unsigned char *output,
    CK_ULONG *output_length);
typedef CK_RV (*claviger_message_final)(CK_SESSION_HANDLE);
typedef CK_RV (*claviger_not_called)(void);

/// CK_FUNCTION_LIST_3_0, as far as C_MessageDecryptFinal.
typedef struct {
    CK_FUNCTION_LIST base;
    claviger_not_called C_GetInterfaceList;
    claviger_not_called C_GetInterface;
    claviger_not_called C_LoginUser;
    claviger_not_called C_SessionCancel;
    claviger_message_init C_MessageEncryptInit;
    claviger_message C_EncryptMessage;
    claviger_not_called C_EncryptMessageBegin;
    claviger_not_called C_EncryptMessageNext;
    claviger_message_final C_MessageEncryptFinal;
    claviger_message_init C_MessageDecryptInit;
    claviger_message C_DecryptMessage;
    claviger_not_called C_DecryptMessageBegin;
    claviger_not_called C_DecryptMessageNext;
    claviger_message_final C_MessageDecryptFinal;
} claviger_function_list_3_0;

#endif
