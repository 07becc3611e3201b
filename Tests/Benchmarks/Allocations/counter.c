// SPDX-License-Identifier: Apache-2.0

// Counts the allocations of a process by call stack. Loaded with LD_PRELOAD.
//
// ALLOCATION_COUNTS names a file that is mapped into the process and contains all results. Another process maps it, too, to start and stop
// counting (`recording`) and to read the results, which needs no signal, dump or socket and doesn't disturb the counted process. The layout
// is `struct counts` below; report.py parses it.
//
// build: cc -O2 -fPIC -shared -o counter.so counter.c -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEPTH = 40, SLOTS = 8192, SKIPPED = 2 };  // frames per stack; stacks; frames of this library, which are skipped

// A call stack that allocates, and its allocations.
struct stack {
    _Atomic uint64_t hash;  // 0: the slot is free
    _Atomic uint64_t calls;
    _Atomic uint64_t bytes;
    uint64_t depth;
    uint64_t frames[DEPTH];
};

struct counts {
    uint64_t magic;
    _Atomic uint64_t recording;  // 1: count; set from outside
    _Atomic uint64_t calls, bytes, frees;
    _Atomic uint64_t lost;  // calls without a free slot: counted in `calls`, but not attributed
    uint64_t slots, depth;
    struct stack stacks[SLOTS];
};

static struct counts *counts;
static _Thread_local int inside;  // set during backtrace(), whose own allocations aren't counted

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static int (*next_posix_memalign)(void **, size_t, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static void *(*next_memalign)(size_t, size_t);
static void (*next_free)(void *);

// dlsym() allocates before next_calloc is resolved: it gets this memory.
static char early[4096];
static size_t early_used;

static void *early_allocate(size_t size) {
    size_t from = (early_used + 15) & ~(size_t)15;
    if (from + size > sizeof early) return NULL;
    early_used = from + size;
    return early + from;
}

static int is_early(const void *block) { return (const char *)block >= early && (const char *)block < early + sizeof early; }

static void resolve(void) {
    next_calloc = dlsym(RTLD_NEXT, "calloc");
    next_realloc = dlsym(RTLD_NEXT, "realloc");
    next_posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    next_aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    next_memalign = dlsym(RTLD_NEXT, "memalign");
    next_free = dlsym(RTLD_NEXT, "free");
    next_malloc = dlsym(RTLD_NEXT, "malloc");
}

__attribute__((constructor)) static void start(void) {
    if (!next_malloc) resolve();
    const char *path = getenv("ALLOCATION_COUNTS");
    if (!path) return;
    // The first backtrace() loads the unwinder.
    void *frames[4];
    backtrace(frames, 4);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct counts)) != 0) return;
    void *map = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return;
    struct counts *shared = map;
    shared->magic = 0x31434f4c4c41;  // "ALLOC1"
    shared->slots = SLOTS;
    shared->depth = DEPTH;
    counts = shared;
}

static __attribute__((noinline)) void record(size_t size) {
    if (!counts || !counts->recording || inside) return;
    inside = 1;
    int saved_errno = errno;
    counts->calls++;
    counts->bytes += size;
    void *frames[DEPTH + SKIPPED];
    int depth = backtrace(frames, DEPTH + SKIPPED) - SKIPPED;
    if (depth < 0) depth = 0;
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < depth; i++) hash = (hash ^ (uint64_t)frames[SKIPPED + i]) * 1099511628211u;
    if (hash == 0) hash = 1;
    int found = 0;
    for (unsigned probe = 0; probe < 64 && !found; probe++) {
        struct stack *stack = &counts->stacks[(hash + probe) % SLOTS];
        uint64_t empty = 0;
        if (__atomic_compare_exchange_n((uint64_t *)&stack->hash, &empty, hash, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            stack->depth = (uint64_t)depth;
            for (int i = 0; i < depth; i++) stack->frames[i] = (uint64_t)frames[SKIPPED + i];
        } else if (empty != hash) {
            continue;
        }
        stack->calls++;
        stack->bytes += size;
        found = 1;
    }
    if (!found) counts->lost++;
    errno = saved_errno;
    inside = 0;
}

void *malloc(size_t size) {
    if (!next_malloc) {
        resolve();
        if (!next_malloc) return early_allocate(size);
    }
    record(size);
    return next_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (!next_calloc) return early_allocate(count * size);
    record(count * size);
    return next_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    if (!next_realloc) resolve();
    if (is_early(block)) {
        void *moved = next_malloc(size);
        // The block's size is unknown, except that it lies within `early`.
        size_t held = (size_t)(early + sizeof early - (char *)block);
        if (moved) memcpy(moved, block, held < size ? held : size);
        return moved;
    }
    record(size);
    return next_realloc(block, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (!next_posix_memalign) resolve();
    record(size);
    return next_posix_memalign(block, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    if (!next_aligned_alloc) resolve();
    record(size);
    return next_aligned_alloc(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    if (!next_memalign) resolve();
    record(size);
    return next_memalign(alignment, size);
}

void free(void *block) {
    if (!block || is_early(block)) return;
    if (counts && counts->recording) counts->frees++;
    if (next_free) next_free(block);
}
