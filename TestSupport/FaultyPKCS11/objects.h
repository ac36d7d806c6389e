// SPDX-License-Identifier: Apache-2.0
// Objects with handles of this library's own, so that the handle of a lost or swapped key is dead for good.
#ifndef FAULTY_OBJECTS_H
#define FAULTY_OBJECTS_H

#include "rules.h"
#include "tokens.h"

/// The session through which objects are seen.
struct object_view {
    struct token *token;
    /// Its handle here, and in the wrapped library.
    CK_SESSION_HANDLE session, real;
};

/// An object as the wrapped library knows it.
struct object_target {
    /// Whose label and CKA_ID it has.
    CK_OBJECT_HANDLE named;
    /// Whose value and other attributes it has; differs from `named` while the key is swapped.
    CK_OBJECT_HANDLE value;
};

/// This library's handle for an object of the wrapped library that the session sees; 0 when a rule hides
/// it. The session must have no search under way in the wrapped library.
LOCAL CK_OBJECT_HANDLE object_shown(struct object_view view, CK_OBJECT_HANDLE real);

/// What a handle of this library stands for; false when it is dead or none.
LOCAL bool object_resolve(struct object_view view, CK_OBJECT_HANDLE handle, struct object_target *target);

/// The object's label may have changed.
LOCAL void object_relabel(struct object_view view, CK_OBJECT_HANDLE handle);

/// The object is destroyed.
LOCAL void object_forget(CK_OBJECT_HANDLE handle);

/// Ends the handles of the keys of that label, on the tokens of that label (empty: all).
LOCAL void objects_kill(const char *token, const char *key);

/// The objects that lived in a session are gone.
LOCAL void objects_session_closed(CK_SESSION_HANDLE session);

/// Private objects of a slot cannot be seen any longer.
LOCAL void objects_logged_out(CK_SLOT_ID slot);

/// After C_Finalize: no handle is left.
LOCAL void objects_finalized(void);

#endif
