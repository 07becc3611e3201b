// SPDX-License-Identifier: Apache-2.0

// The arguments of the process, as passed by the kernel.
#ifndef PARLEY_CARGUMENTS_H
#define PARLEY_CARGUMENTS_H

// Returns the number of arguments, including the program's name; 0 if unknown.
int parley_argument_count(void);

// Returns the argument at `index`, valid for the lifetime of the process; NULL if out of range.
const char *parley_argument(int index);

#endif
