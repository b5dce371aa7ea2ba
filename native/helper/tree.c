/* Finding folders below a root without ever leaving it.
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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define NEW_FOLDER_MODE 0755

struct root roots[MAX_ROOTS];
int root_count;

/* The folder of the last path: most operations of a batch share it with the one before. */
static struct {
    struct root *root;
    char path[PATH_MAX];
    int fd;
    bool taken; /* and not forgotten since */
} recent = {.fd = -1};

static void forget_recent(void) {
    if (recent.fd >= 0)
        close(recent.fd);
    recent.fd = -1;
    recent.taken = false;
}

void tree_forget(void) {
    forget_recent();
    for (struct root *root = roots; root < roots + root_count; root++) {
        if (root->fd >= 0)
            close(root->fd);
        root->fd = -1;
    }
}

bool is_absent(int error) { return error == ENOENT || error == ENOTDIR || error == E_LINK; }

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

int tree_root(struct root *root, bool create) {
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
            return length > NAME_MAX ? -ENAMETOOLONG : -E_OUTSIDE;
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

int tree_open(struct root *root, const char *path) {
    int error = tree_root(root, false);
    return error ? -error : walk(root, path, strlen(path), false);
}

int tree_parent(struct root *root, const char *path, bool create, const char **name) {
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (path[0] == '/' || !is_plain_name(*name, strlen(*name)))
        return strlen(*name) > NAME_MAX ? -ENAMETOOLONG : -E_OUTSIDE;
    if (recent.fd >= 0 && recent.root == root && strncmp(recent.path, path, size) == 0 && recent.path[size] == 0)
        return recent.fd;
    int error = tree_root(root, create);
    if (error)
        return -error;
    int folder = walk(root, path, size, create);
    if (folder < 0)
        return folder;
    forget_recent();
    recent.root = root;
    recent.fd = folder;
    memcpy(recent.path, path, size);
    recent.path[size] = 0;
    return folder;
}

int tree_take(void) {
    int folder = recent.fd;
    recent.fd = -1;
    recent.taken = true;
    return folder;
}

void tree_give_back(int folder) {
    if (recent.taken)
        recent.fd = folder;
    else
        close(folder);
    recent.taken = false;
}

void tree_describe_folder(struct root *root, const char *path, char *text, size_t size) {
    char place[2 * PATH_MAX];
    struct stat found;
    snprintf(place, sizeof place, "%s/%s", root->path, path);
    *text = 0;
    for (char *slash; (slash = strrchr(place, '/'));) {
        slash[slash == place] = 0;
        if (lstat(place, &found) == 0 && S_ISDIR(found.st_mode)) {
            snprintf(text, size, "%s belongs to %u:%u, mode %04o", place, found.st_uid, found.st_gid,
                     found.st_mode & 07777);
            return;
        }
        if (slash == place)
            return;
    }
}
