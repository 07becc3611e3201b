// glibc's own part of malloc, which the Glibc module leaves out.
#ifndef PARLEY_CMALLOC_SHIMS_H
#define PARLEY_CMALLOC_SHIMS_H

#include <malloc.h>

#endif
