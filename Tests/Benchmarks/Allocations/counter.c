// Counts the allocations of a process, and who asked for them. Loaded with LD_PRELOAD.
//
// ALLOCATION_COUNTS names a file that is mapped into the process and holds everything: whoever else maps it starts and stops the counting
// (the word `recording`) and reads the result, so that no signal, dump or socket stands between the two and the counted process
// runs on undisturbed. The layout is `struct counts` below; report.py reads it.
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

enum { DEPTH = 40, SLOTS = 8192, SKIPPED = 2 };  // frames kept of a stack; stacks kept; frames that are this library's own

// One place in the program that allocates: a call stack, and what came from it.
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
    _Atomic uint64_t lost;  // calls that found no free slot: counted above, but not attributed
    uint64_t slots, depth;
    struct stack stacks[SLOTS];
};

static struct counts *counts;
static _Thread_local int inside;  // backtrace() allocates now and then: its own calls aren't the program's

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static int (*next_posix_memalign)(void **, size_t, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static void *(*next_memalign)(size_t, size_t);
static void (*next_free)(void *);

// dlsym() itself asks for memory before there is any function to give it: these bytes do.
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
    // The unwinder loads itself at its first use.
    void *frames[4];
    backtrace(frames, 4);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct counts)) != 0) return;
    void *map = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return;
    struct counts *fresh = map;
    fresh->magic = 0x31434f4c4c41;  // "ALLOC1"
    fresh->slots = SLOTS;
    fresh->depth = DEPTH;
    counts = fresh;
}

static __attribute__((noinline)) void note(size_t size) {
    if (!counts || !counts->recording || inside) return;
    inside = 1;
    int kept = errno;
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
    errno = kept;
    inside = 0;
}

void *malloc(size_t size) {
    if (!next_malloc) {
        resolve();
        if (!next_malloc) return early_allocate(size);
    }
    note(size);
    return next_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (!next_calloc) return early_allocate(count * size);
    note(count * size);
    return next_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    if (!next_realloc) resolve();
    if (is_early(block)) {
        void *moved = next_malloc(size);
        // How long the block was isn't known, only where the early ones end.
        size_t held = (size_t)(early + sizeof early - (char *)block);
        if (moved) memcpy(moved, block, held < size ? held : size);
        return moved;
    }
    note(size);
    return next_realloc(block, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (!next_posix_memalign) resolve();
    note(size);
    return next_posix_memalign(block, alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    if (!next_aligned_alloc) resolve();
    note(size);
    return next_aligned_alloc(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    if (!next_memalign) resolve();
    note(size);
    return next_memalign(alignment, size);
}

void free(void *block) {
    if (!block || is_early(block)) return;
    if (counts && counts->recording) counts->frees++;
    if (next_free) next_free(block);
}
