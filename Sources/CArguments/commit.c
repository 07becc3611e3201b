// SPDX-License-Identifier: Apache-2.0

// The commit is a definition of this small target, so that another commit compiles this file again and nothing else.
#include "CArguments.h"

#ifndef PARLEY_COMMIT
#define PARLEY_COMMIT "unknown"
#endif

const char *parley_commit(void) { return PARLEY_COMMIT; }
