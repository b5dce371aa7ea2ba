/* What receivers that were killed left behind.
 *
 * A file on its way is locked, and the kernel forgets the lock when its writer dies: also in another container that
 * shares the volume. So a temporary file without a lock is nobody's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

bool leftover_lock(int fd) {
    struct stat stat;
    /* whoever has the lock takes the new file for a leftover, or did already. A file system may know no locks: what is
     * left there stays. */
    bool taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    return !taken && (fstat(fd, &stat) != 0 || stat.st_nlink > 0);
}

static void remove_leftover(int folder, const char *name) {
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return;
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
            remove_leftover(fd, entry->d_name);
    closedir(entries);
}
