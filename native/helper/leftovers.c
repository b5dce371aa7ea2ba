/* What receivers that were killed left behind.
 *
 * A file on its way is locked, and the kernel forgets the lock when its writer dies: also in another container that
 * shares the volume. So a temporary file without a lock is nobody's, unless it is just being moved to its place.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

#define MOMENT_NS (10 * 1000000000LL)

bool is_temporary(const char *name) {
    const char digits[] = "0123456789";
    if (strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0)
        return false;
    name += strlen(TEMPORARY_PREFIX);
    size_t process = strspn(name, digits);
    if (process == 0 || name[process] != '-')
        return false;
    name += process + 1;
    size_t count = strspn(name, digits);
    return count > 0 && (strcmp(name + count, TEMPORARY_SUFFIX) == 0 || strcmp(name + count, ASIDE_SUFFIX) == 0);
}

/* A file system may know no locks: what is left there stays. */
bool leftover_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

static bool lives(pid_t process) {
    int fd = (int)syscall(SYS_pidfd_open, process, 0);
    if (fd < 0)
        return errno != ESRCH && (kill(process, 0) == 0 || errno == EPERM);
    /* what ended may not have been waited for yet */
    struct pollfd end = {fd, POLLIN, 0};
    bool ended = ppoll(&end, 1, &(struct timespec){0}, NULL) == 1;
    close(fd);
    return !ended;
}

/* For a moment before it gets its own name, a file is not locked any more, and a link never is. Its writer tells then, as
 * far as it is in this container; but the number may be another process' by now. */
static bool may_be_about_to_move(const char *name, const struct stat *found) {
    pid_t writer = (pid_t)atol(name + strlen(TEMPORARY_PREFIX));
    bool is_new = wall_clock_ns() - nanoseconds(found->st_ctim) < MOMENT_NS;
    return is_new && writer != getpid() && lives(writer);
}

void leftover_remove(int folder, const char *name) {
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0 || may_be_about_to_move(name, &found))
        return;
    size_t size = strlen(name);
    if (size > strlen(ASIDE_SUFFIX) && strcmp(name + size - strlen(ASIDE_SUFFIX), ASIDE_SUFFIX) == 0) {
        /* without its dot: so it is listed, and nobody's */
        syscall(SYS_renameat2, folder, name, folder, name + 1, ONLY_NEW);
        return;
    }
    int fd = S_ISREG(found.st_mode) ? openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (S_ISLNK(found.st_mode) || (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0))
        unlinkat(folder, name, 0);
    if (fd >= 0)
        close(fd);
}

void leftovers_remove(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    if (!entries) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries));)
        if (is_temporary(entry->d_name))
            leftover_remove(fd, entry->d_name);
    closedir(entries);
}
