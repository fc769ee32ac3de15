/* Preloaded before the C library: what a program does to the files below one folder is written down, or fails.
 *
 * MILLRACE_SHIM_ROOT   the folder
 * MILLRACE_SHIM_TRACE  a file that gets a record of each write, truncation, creation, removal, renaming and sync, and
 *                      of what went to standard output, and of requests and tool calls that left, in one order
 * MILLRACE_SHIM_COUNT  a file of eight bytes that counts the calls which may fail
 * MILLRACE_SHIM_FAIL   "FIRST COUNT ERRNO": so many calls fail from that one on
 *
 * A record is: kind (1 byte), number of the file (4), a position (8), a length (8), then so many bytes. Integers are
 * of this machine. Children of the program are left alone: they find none of these variables. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
#define FILES 512
#define MARK (256 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[4096];
static size_t root_len;
static int trace = -1;
static volatile uint64_t *count;
static uint64_t first, failing;
static int with;
static uint64_t syncs;
/* 0: not of ours; else the number of its file and 1. */
static int fds[FDS];
static char *files[FILES];
static int known;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_read)(int, void *, size_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_mkdir)(const char *, mode_t);

static void find(void) {
    if (real_write) return;
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_send = dlsym(RTLD_NEXT, "send");
    real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    real_read = dlsym(RTLD_NEXT, "read");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
    real_write = dlsym(RTLD_NEXT, "write");
}

__attribute__((constructor)) static void begin(void) {
    find();
    const char *at = getenv("MILLRACE_SHIM_ROOT");
    if (!at) return;
    snprintf(root, sizeof root, "%s", at);
    root_len = strlen(root);
    const char *to = getenv("MILLRACE_SHIM_TRACE");
    if (to) trace = real_open(to, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    const char *counter = getenv("MILLRACE_SHIM_COUNT");
    if (counter) {
        int fd = real_open(counter, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0 && real_ftruncate(fd, 8) == 0) {
            void *page = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (page != MAP_FAILED) count = page;
        }
        if (fd >= 0) real_close(fd);
    }
    const char *fail = getenv("MILLRACE_SHIM_FAIL");
    unsigned long long from, many;
    if (fail && sscanf(fail, "%llu %llu %d", &from, &many, &with) == 3) {
        first = from;
        failing = many;
    }
    unsetenv("LD_PRELOAD");
    unsetenv("MILLRACE_SHIM_ROOT");
    unsetenv("MILLRACE_SHIM_TRACE");
    unsetenv("MILLRACE_SHIM_COUNT");
    unsetenv("MILLRACE_SHIM_FAIL");
}

static int ours(const char *path) {
    if (!root_len || !path || strncmp(path, root, root_len) != 0) return 0;
    return path[root_len] == 0 || path[root_len] == '/';
}

/* The folder itself is made in its own, which is watched for that alone. */
static int holds_root(const char *path) {
    size_t len = strlen(path);
    return root_len > len && strncmp(root, path, len) == 0 && root[len] == '/' && !strchr(root + len + 1, '/');
}

/* What is shared memory or a lock is nothing that a disk keeps. */
static int kept(const char *path) {
    size_t len = strlen(path);
    if (len < root_len) return 1;
    if (strstr(path + root_len, "-locks")) return 0;
    return !(len > 4 && strcmp(path + len - 4, "-shm") == 0);
}

/* Holds the lock. */
static int number(const char *path) {
    for (int i = 0; i < known; i++)
        if (strcmp(files[i], path) == 0) return i;
    if (known == FILES) abort();
    files[known] = strdup(path);
    return known++;
}

/* Holds the lock. */
static void put(char kind, uint32_t file, uint64_t at, const void *data, uint64_t len) {
    if (trace < 0) return;
    struct __attribute__((packed)) { char kind; uint32_t file; uint64_t at, len; } head = {kind, file, at, len};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, len}};
    if (real_writev(trace, parts, len ? 2 : 1) < 0) abort();
}

static void name(uint32_t file, const char *path) { put('N', file, 0, path, strlen(path)); }

/* Whether this call fails, with errno set. */
static int fails(void) {
    if (!count) return 0;
    uint64_t n = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    if (!first || n < first || n - first >= failing) return 0;
    errno = with;
    return 1;
}

static int watched(int fd) { return fd >= 0 && fd < FDS ? fds[fd] : 0; }

static int opened(int fd, const char *path, int made) {
    if (fd < 0 || fd >= FDS) return fd;
    pthread_mutex_lock(&lock);
    int before = known;
    int file = number(path);
    if (kept(path)) {
        if (known != before) name(file, path);
        if (made) put('c', file, 0, NULL, 0);
    }
    fds[fd] = file + 1;
    pthread_mutex_unlock(&lock);
    return fd;
}

static int open_at(const char *path, int flags, mode_t mode) {
    find();
    if (!ours(path) && !(root_len && path && holds_root(path))) return real_open(path, flags, mode);
    if (fails()) return -1;
    struct stat was;
    int made = (flags & O_CREAT) && stat(path, &was) != 0;
    int fd = real_open(path, flags, mode);
    return opened(fd, path, made);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_at(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open_at(path, flags, mode);
}

int close(int fd) {
    find();
    if (fd >= 0 && fd < FDS) fds[fd] = 0;
    return real_close(fd);
}

static int keeps(int file) { return file && kept(files[file - 1]); }

/* What leaves the program, before it does. */
static void mark(int fd, const struct iovec *parts, int many) {
    if (trace < 0) return;
    char *data = malloc(MARK);
    size_t len = 0;
    for (int i = 0; i < many && len < MARK; i++) {
        size_t more = parts[i].iov_len < MARK - len ? parts[i].iov_len : MARK - len;
        memcpy(data + len, parts[i].iov_base, more);
        len += more;
    }
    char kind = fd == 1 ? 'O' : len > 5 && memcmp(data, "POST ", 5) == 0 ? 'R' : memmem(data, len, "\"tools/call\"", 12) ? 'C' : 0;
    if (kind) {
        pthread_mutex_lock(&lock);
        put(kind, 0, 0, data, len);
        pthread_mutex_unlock(&lock);
    }
    free(data);
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t at, int seeks) {
    int file = watched(fd);
    if (fails()) return -1;
    if (!keeps(file) || trace < 0) return seeks ? real_write(fd, data, len) : real_pwrite(fd, data, len, at);
    pthread_mutex_lock(&lock);
    if (seeks) at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = seeks ? real_write(fd, data, len) : real_pwrite(fd, data, len, at);
    int error = errno;
    if (done > 0) put('w', file - 1, at, data, done);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t len) {
    find();
    if (watched(fd)) return write_at(fd, data, len, 0, 1);
    struct iovec part = {(void *)data, len};
    mark(fd, &part, 1);
    return real_write(fd, data, len);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) {
    find();
    return watched(fd) ? write_at(fd, data, len, at, 0) : real_pwrite(fd, data, len, at);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return pwrite64(fd, data, len, at); }

ssize_t writev(int fd, const struct iovec *parts, int many) {
    find();
    if (watched(fd)) abort();
    mark(fd, parts, many);
    return real_writev(fd, parts, many);
}

ssize_t send(int fd, const void *data, size_t len, int flags) {
    find();
    struct iovec part = {(void *)data, len};
    mark(fd, &part, 1);
    return real_send(fd, data, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    find();
    mark(fd, message->msg_iov, message->msg_iovlen);
    return real_sendmsg(fd, message, flags);
}

/* Reads of a file that cannot be read are the disk's errors alone. */
ssize_t read(int fd, void *data, size_t len) {
    find();
    if (watched(fd) && with == EIO && fails()) return -1;
    return real_read(fd, data, len);
}

ssize_t pread64(int fd, void *data, size_t len, off_t at) {
    find();
    if (watched(fd) && with == EIO && fails()) return -1;
    return real_pread(fd, data, len, at);
}

ssize_t pread(int fd, void *data, size_t len, off_t at) { return pread64(fd, data, len, at); }

int ftruncate64(int fd, off_t len) {
    find();
    int file = watched(fd);
    if (!file) return real_ftruncate(fd, len);
    if (fails()) return -1;
    if (!keeps(file)) return real_ftruncate(fd, len);
    pthread_mutex_lock(&lock);
    int done = real_ftruncate(fd, len);
    int error = errno;
    if (done == 0) put('t', file - 1, len, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }

/* Covers what was written before it began, and counts once it has ended. One that fails covers nothing, ever. */
static int sync_with(int (*real)(int), int fd) {
    int file = watched(fd);
    if (!file) return real(fd);
    if (!keeps(file)) return fails() ? -1 : real(fd);
    pthread_mutex_lock(&lock);
    uint64_t id = ++syncs;
    put('b', file - 1, id, NULL, 0);
    pthread_mutex_unlock(&lock);
    int done = fails() ? -1 : real(fd);
    int error = errno;
    pthread_mutex_lock(&lock);
    put(done == 0 ? 's' : 'f', file - 1, id, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int fsync(int fd) {
    find();
    return sync_with(real_fsync, fd);
}

int fdatasync(int fd) {
    find();
    return sync_with(real_fdatasync, fd);
}

int unlink(const char *path) {
    find();
    if (!ours(path)) return real_unlink(path);
    if (fails()) return -1;
    if (!kept(path)) return real_unlink(path);
    pthread_mutex_lock(&lock);
    int done = real_unlink(path);
    int error = errno;
    if (done == 0) {
        int before = known;
        int file = number(path);
        if (known != before) name(file, path);
        put('u', file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

/* Copies made before an upgrade and salvaged files alone are renamed; a trace of those is not asked for. */
int rename(const char *from, const char *to) {
    find();
    if ((ours(from) || ours(to)) && fails()) return -1;
    return real_rename(from, to);
}

int mkdir(const char *path, mode_t mode) {
    find();
    if (!ours(path)) return real_mkdir(path, mode);
    if (fails()) return -1;
    if (!kept(path)) return real_mkdir(path, mode);
    pthread_mutex_lock(&lock);
    int done = real_mkdir(path, mode);
    int error = errno;
    if (done == 0) {
        int before = known;
        int file = number(path);
        if (known != before) name(file, path);
        put('c', file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
