// SPDX-License-Identifier: Apache-2.0
// AES-GCM as different vendors have it.
#ifndef FAULTY_VENDOR_H
#define FAULTY_VENDOR_H

#include "sessions.h"

/// What stands in for the mechanism in the wrapped library, for C_EncryptInit or C_DecryptInit. Remembers in the
/// session what the rest of the operation needs. What is not CKR_OK refuses the call.
LOCAL CK_RV vendor_begin(struct session *session, bool encrypts, const CK_MECHANISM *wanted, CK_MECHANISM *given);

/// The IV of an HSM that makes it itself, as the rules about IVs have it.
LOCAL bool vendor_make_iv(struct token *token, CK_BYTE *iv, CK_ULONG length);

/// Fills the bytes with what a broken generator gives; false when no rule says that it is broken.
LOCAL bool vendor_broken_random(struct token *token, CK_BYTE *bytes, CK_ULONG length);

/// The code of a decryption, with the vendor's own for a wrong tag.
LOCAL CK_RV vendor_decryption_code(struct token *token, CK_RV code);

#endif
