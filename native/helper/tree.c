/* Changing files below a root without ever leaving it.
 *
 * Every path is walked one folder at a time from the root's descriptor, and no step follows a symbolic link: neither a
 * wrong sender nor a link that the developed program makes meanwhile leads elsewhere. The root itself was named by the
 * user and may be, or lie behind, a link.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define NEW_FOLDER_MODE 0755

/* The folder of the last path: most operations of a batch share it with the one before. */
static struct {
    struct root *root;
    char path[PATH_MAX];
    int fd;
} recent = {.fd = -1};

void tree_forget(void) {
    if (recent.fd >= 0)
        close(recent.fd);
    recent.fd = -1;
}

static int make_folders(const char *path) {
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size >= sizeof part)
        return ENAMETOOLONG;
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, NEW_FOLDER_MODE) != 0 && errno != EEXIST)
            return errno;
    }
    return 0;
}

static int open_root(struct root *root, bool create) {
    if (root->fd >= 0)
        return 0;
    int error = create ? make_folders(root->path) : 0;
    if (error)
        return error;
    root->fd = open(root->path, FOLDER_FLAGS);
    return root->fd >= 0 ? 0 : errno;
}

static bool is_plain_name(const char *name, size_t size) {
    return size > 0 && size <= NAME_MAX && !(size == 1 && name[0] == '.')
        && !(size == 2 && name[0] == '.' && name[1] == '.');
}

/* One step down: never through a link. Returns a descriptor or -error. */
static int step(int folder, const char *name, bool create) {
    int next = openat(folder, name, FOLDER_FLAGS | O_NOFOLLOW);
    if (next < 0 && errno == ENOENT && create) {
        if (mkdirat(folder, name, NEW_FOLDER_MODE) != 0 && errno != EEXIST)
            return -errno;
        next = openat(folder, name, FOLDER_FLAGS | O_NOFOLLOW);
    }
    if (next >= 0)
        return next;
    int error = errno;
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(found.st_mode))
        return -E_LINK;
    return -error;
}

static int walk(struct root *root, const char *path, size_t size, bool create) {
    int folder = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
    if (folder < 0)
        return -errno;
    for (size_t at = 0; size > 0 && at <= size;) {
        char name[NAME_MAX + 1];
        const char *slash = memchr(path + at, '/', size - at);
        size_t length = slash ? (size_t)(slash - path) - at : size - at;
        if (!is_plain_name(path + at, length)) {
            close(folder);
            return -E_OUTSIDE;
        }
        memcpy(name, path + at, length);
        name[length] = 0;
        int next = step(folder, name, create);
        close(folder);
        if (next < 0)
            return next;
        folder = next;
        at += length + 1;
    }
    return folder;
}

/* The folder that holds `path` (kept open, not the caller's to close) and the last name in it; or -error. */
static int open_parent(struct root *root, const char *path, bool create, const char **name) {
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (path[0] == '/' || !is_plain_name(*name, strlen(*name)))
        return strlen(*name) > NAME_MAX ? -ENAMETOOLONG : -E_OUTSIDE;
    int error = open_root(root, create);
    if (error)
        return -error;
    if (recent.fd >= 0 && recent.root == root && strncmp(recent.path, path, size) == 0 && recent.path[size] == 0)
        return recent.fd;
    int folder = walk(root, path, size, create);
    if (folder < 0)
        return folder;
    tree_forget();
    recent.root = root;
    recent.fd = folder;
    memcpy(recent.path, path, size);
    recent.path[size] = 0;
    return folder;
}

/* What root makes belongs to whom the replaced file, or else the folder, belongs to: the program may run as another
 * user than this process. Failure is no error: the file arrives all the same. */
static void give_to_owner(int folder, const char *name, const struct stat *former) {
    struct stat parent;
    if (geteuid() != 0 || (!former && fstat(folder, &parent) != 0))
        return;
    const struct stat *owner = former ? former : &parent;
    if (fchownat(folder, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        return;
}

static mode_t wanted_mode(const struct stat *former, mode_t mode, bool exact) {
    bool keep = former && S_ISREG(former->st_mode) && !exact;
    return keep ? (former->st_mode & 07777) | (mode & 0111) : mode;
}

/* Python's .pyc files, HTTP caches and make compare whole seconds and the size: two edits of equal size within one
 * second must not look the same to them. */
static void tell_apart(int folder, const char *name, const struct stat *former) {
    struct stat new;
    if (!former || !S_ISREG(former->st_mode) || fstatat(folder, name, &new, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (new.st_size != former->st_size || new.st_mtim.tv_sec > former->st_mtim.tv_sec)
        return;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = former->st_mtim.tv_sec + 1}};
    if (utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        return;
}

/* Rename that also replaces an empty folder. */
static int move(int from_folder, const char *from, int folder, const char *name) {
    if (renameat(from_folder, from, folder, name) == 0)
        return 0;
    if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
        return errno;
    if (unlinkat(folder, name, AT_REMOVEDIR) != 0 || renameat(from_folder, from, folder, name) != 0)
        return errno;
    return 0;
}

static void temporary_name(char *name, size_t size) {
    static unsigned count;
    snprintf(name, size, ".loop-%ld-%u.tmp", (long)getpid(), ++count);
}

int tree_folder(struct root *root, const char *path, mode_t mode, bool exact) {
    if (!*path)
        return open_root(root, true);
    const char *name;
    int folder = open_parent(root, path, true, &name);
    if (folder < 0)
        return -folder;
    struct stat found;
    bool exists = fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists && S_ISDIR(found.st_mode))
        return exact && fchmodat(folder, name, mode, 0) != 0 ? errno : 0;
    if (exists && unlinkat(folder, name, 0) != 0)
        return errno;
    if (mkdirat(folder, name, 0700) != 0)
        return errno;
    give_to_owner(folder, name, NULL);
    return fchmodat(folder, name, mode, 0) != 0 ? errno : 0;
}

int tree_link(struct root *root, const char *path, const char *target) {
    const char *name;
    char temporary[48];
    int folder = open_parent(root, path, true, &name);
    if (folder < 0)
        return -folder;
    temporary_name(temporary, sizeof temporary);
    if (symlinkat(target, folder, temporary) != 0)
        return errno;
    give_to_owner(folder, temporary, NULL);
    int error = move(folder, temporary, folder, name);
    if (error)
        unlinkat(folder, temporary, 0);
    return error;
}

int tree_delete(struct root *root, const char *path) {
    const char *name;
    int folder = open_parent(root, path, false, &name);
    /* below what is no folder of this tree there is nothing to delete */
    if (folder == -ENOENT || folder == -ENOTDIR || folder == -E_LINK)
        return 0;
    if (folder < 0)
        return -folder;
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    int error = errno;
    /* unlink(2): EISDIR is Linux' own, POSIX says EPERM for a folder */
    if (error != EISDIR && error != EPERM)
        return error;
    if (unlinkat(folder, name, AT_REMOVEDIR) == 0)
        return 0;
    return errno == ENOTDIR ? error : errno;
}

static int digest_of(int fd, uint8_t digest[DIGEST_SIZE]) {
    static uint8_t part[64 * 1024];
    struct sha256 hash;
    sha256_begin(&hash);
    for (;;) {
        ssize_t size = read(fd, part, sizeof part);
        if (size < 0 && errno != EINTR)
            return errno;
        if (size == 0)
            break;
        if (size > 0)
            sha256_add(&hash, part, (size_t)size);
    }
    sha256_end(&hash, digest);
    return 0;
}

static int content_is(int folder, const char *name, const uint8_t *digest) {
    uint8_t found[DIGEST_SIZE];
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = digest_of(fd, found);
    close(fd);
    return error ? error : memcmp(found, digest, DIGEST_SIZE) == 0 ? 0 : E_CHANGED;
}

int tree_rename(struct root *root, const char *path, const char *from, mode_t mode, bool exact, const uint8_t *digest) {
    const char *name, *from_name;
    struct stat source, former;
    int shared = open_parent(root, from, false, &from_name);
    if (shared < 0)
        return shared == -E_OUTSIDE ? E_OUTSIDE : E_CHANGED;
    int from_folder = fcntl(shared, F_DUPFD_CLOEXEC, 3);
    if (from_folder < 0)
        return errno;
    int error = fstatat(from_folder, from_name, &source, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(source.st_mode)
        ? content_is(from_folder, from_name, digest)
        : E_CHANGED;
    int folder = error ? -1 : open_parent(root, path, true, &name);
    if (!error && folder < 0)
        error = -folder;
    if (!error) {
        bool replaces = fstatat(folder, name, &former, AT_SYMLINK_NOFOLLOW) == 0;
        mode_t new = exact ? mode : (source.st_mode & 07777) | (mode & 0111);
        if ((source.st_mode & 07777) != new && fchmodat(from_folder, from_name, new, 0) != 0)
            error = errno;
        if (!error)
            error = move(from_folder, from_name, folder, name);
        if (!error && replaces)
            tell_apart(folder, name, &former);
    }
    close(from_folder);
    return error;
}

int tree_mode(struct root *root, const char *path, mode_t mode, bool exact) {
    const char *name;
    struct stat found;
    int folder = open_parent(root, path, false, &name);
    if (folder < 0)
        return -folder;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (S_ISLNK(found.st_mode))
        return E_LINK;
    return fchmodat(folder, name, wanted_mode(&found, mode, exact), 0) != 0 ? errno : 0;
}

static bool link_is(int folder, const char *name, const uint8_t *digest) {
    char target[PATH_MAX];
    uint8_t found[DIGEST_SIZE];
    struct sha256 hash;
    ssize_t size = readlinkat(folder, name, target, sizeof target);
    sha256_begin(&hash);
    if (size > 0)
        sha256_add(&hash, (const uint8_t *)target, (size_t)size);
    sha256_end(&hash, found);
    return size >= 0 && memcmp(found, digest, DIGEST_SIZE) == 0;
}

enum check_result tree_check(
    struct root *root, const char *path, char kind, uint64_t size, mode_t mode, bool exact, const uint8_t *digest) {
    const char *name;
    struct stat found;
    if (!*path)
        return open_root(root, false) == 0 ? SAME : MISSING;
    int folder = open_parent(root, path, false, &name);
    if (folder < 0 || fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return MISSING;
    if (kind == 'd' && S_ISDIR(found.st_mode))
        return exact && (found.st_mode & 0777) != mode ? MODE_DIFFERS : SAME;
    if (kind == 'l')
        return !S_ISLNK(found.st_mode) ? KIND_DIFFERS : link_is(folder, name, digest) ? SAME : CONTENT_DIFFERS;
    if (kind != 'f' || !S_ISREG(found.st_mode))
        return KIND_DIFFERS;
    if ((uint64_t)found.st_size != size || content_is(folder, name, digest) != 0)
        return CONTENT_DIFFERS;
    return (found.st_mode & 07777) == wanted_mode(&found, mode, exact) ? SAME : MODE_DIFFERS;
}

int incoming_begin(struct incoming *file, struct root *root, const char *path, mode_t mode, bool exact) {
    const char *name;
    int shared = open_parent(root, path, true, &name);
    if (shared < 0)
        return -shared;
    int parent = fcntl(shared, F_DUPFD_CLOEXEC, 3);
    if (parent < 0)
        return errno;
    temporary_name(file->temporary, sizeof file->temporary);
    file->fd = openat(parent, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        int error = errno;
        close(parent);
        return error;
    }
    file->parent = parent;
    file->mode = mode;
    file->exact = exact;
    memcpy(file->name, name, strlen(name) + 1);
    sha256_begin(&file->hash);
    return 0;
}

int incoming_data(struct incoming *file, const uint8_t *data, size_t size) {
    sha256_add(&file->hash, data, size);
    while (size > 0) {
        ssize_t written = write(file->fd, data, size);
        if (written < 0 && errno != EINTR)
            return errno;
        if (written > 0)
            data += written, size -= (size_t)written;
    }
    return 0;
}

int incoming_end(struct incoming *file, const uint8_t *digest) {
    uint8_t found[DIGEST_SIZE];
    struct stat stat;
    sha256_end(&file->hash, found);
    bool exists = fstatat(file->parent, file->name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
    const struct stat *former = exists ? &stat : NULL;
    int error = memcmp(found, digest, DIGEST_SIZE) == 0 ? 0 : E_CHANGED;
    if (!error) {
        give_to_owner(file->parent, file->temporary, former);
        if (fchmod(file->fd, wanted_mode(former, file->mode, file->exact)) != 0)
            error = errno;
        tell_apart(file->parent, file->temporary, former);
    }
    /* some file systems tell about a full disk only here */
    if (close(file->fd) != 0 && !error)
        error = errno;
    if (!error)
        error = move(file->parent, file->temporary, file->parent, file->name);
    if (error)
        unlinkat(file->parent, file->temporary, 0);
    close(file->parent);
    file->parent = -1;
    return error;
}

void incoming_abort(struct incoming *file) {
    if (file->parent < 0)
        return;
    unlinkat(file->parent, file->temporary, 0);
    close(file->fd);
    close(file->parent);
    file->parent = -1;
}

void tree_describe_folder(struct root *root, const char *path, char *text, size_t size) {
    char place[2 * PATH_MAX];
    struct stat found;
    snprintf(place, sizeof place, "%s/%s", root->path, path);
    char *slash;
    *text = 0;
    while ((slash = strrchr(place, '/')) && slash != place) {
        *slash = 0;
        if (lstat(place, &found) == 0 && S_ISDIR(found.st_mode)) {
            snprintf(text, size, "%s belongs to %u:%u, mode %04o", place, found.st_uid, found.st_gid,
                     found.st_mode & 07777);
            return;
        }
    }
}
