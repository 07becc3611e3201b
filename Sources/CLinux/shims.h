// SPDX-License-Identifier: Apache-2.0

// Declarations that Swift's Glibc module lacks: glibc's malloc extensions, and system calls without a wrapper.
#ifndef PARLEY_CLINUX_SHIMS_H
#define PARLEY_CLINUX_SHIMS_H

#include <sys/stat.h>
#include <time.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// The first version of sched_setattr(2)'s `struct sched_attr`, which every kernel supports.
struct parley_scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    // Nanoseconds. For SCHED_OTHER, the time slice, from Linux 6.12 on.
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

#define PARLEY_SCHEDULING_RESET_ON_FORK 1

// Reads the attributes of a thread, 0 for the calling one. Returns 0 or -1 as the system call does.
static inline long parley_get_scheduling(pid_t thread, struct parley_scheduling *scheduling) {
    return syscall(SYS_sched_getattr, thread, scheduling, sizeof *scheduling, 0);
}

// Sets the attributes of the calling thread. Returns 0 or -1 as the system call does.
static inline long parley_set_scheduling(struct parley_scheduling *scheduling) {
    scheduling->size = sizeof *scheduling;
    return syscall(SYS_sched_setattr, 0, scheduling, 0);
}

// Returns the soft limit of file descriptors; INT64_MAX if there is none or it can't be read.
static inline int64_t parley_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT64_MAX) return INT64_MAX;
    return (int64_t)limit.rlim_cur;
}

/// Returns the `st_mode` of a file; -1 with `errno` set on failure. In C, because `struct stat` belongs to a different module for each way
/// of linking, and Swift can access its fields only if that module is imported.
static inline int parley_file_mode(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (int)status.st_mode : -1;
}

/// Returns the size of a page of memory in bytes.
static inline int64_t parley_page_size(void) { return sysconf(_SC_PAGESIZE); }

/// Returns the time of a clock in nanoseconds; 0 if it can't be read. In C for the same reason as `parley_file_mode`.
static inline int64_t parley_clock_nanoseconds(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) != 0) return 0;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/// The fields of `struct stat` that the gateway reads; see `parley_file_mode` for the reason.
struct parley_file_status {
    int64_t size;
    uint64_t inode;
    uint64_t device;
    uint32_t mode;
};

static inline int parley_copy_status(const struct stat *status, struct parley_file_status *copy) {
    copy->size = status->st_size;
    copy->inode = status->st_ino;
    copy->device = status->st_dev;
    copy->mode = status->st_mode;
    return 0;
}

/// Reads the status of the file at a path. Returns 0, or -1 with `errno` set.
static inline int parley_path_status(const char *path, struct parley_file_status *copy) {
    struct stat status;
    return stat(path, &status) == 0 ? parley_copy_status(&status, copy) : -1;
}

/// Reads the status of an open file. Returns 0, or -1 with `errno` set.
static inline int parley_descriptor_status(int descriptor, struct parley_file_status *copy) {
    struct stat status;
    return fstat(descriptor, &status) == 0 ? parley_copy_status(&status, copy) : -1;
}

#endif
