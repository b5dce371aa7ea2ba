/* What is at a path, and what is in it. No link is followed, and nothing but regular files is opened: opening a FIFO
 * lets its writers go on, opening a device may do anything. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

static struct found found_of(const struct stat *stat) {
    char kind = S_ISREG(stat->st_mode) ? 'f' : S_ISDIR(stat->st_mode) ? 'd' : S_ISLNK(stat->st_mode) ? 'l' : 'o';
    return (struct found){kind, stat->st_mode & 0777, (uint64_t)stat->st_size, nanoseconds(stat->st_mtim)};
}

/* Nothing must be taken for removed because it cannot be reached. */
static struct found nothing(int error) {
    bool absent = is_absent(error) || error == E_OUTSIDE || error == ENAMETOOLONG;
    return (struct found){.kind = absent ? '-' : '!'};
}

/* A regular file that fstatat(2) found, or -error. Something else may have come to its place since. */
static int open_file(int folder, const char *name, struct stat *stat) {
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, stat) == 0 && S_ISREG(stat->st_mode))
        return fd;
    close(fd);
    return -E_CHANGED;
}

/* Of the first `size` bytes: a file may grow faster than it is read. */
static void hashing_begin(struct hashing *file, int fd, uint64_t size) {
    file->fd = fd;
    file->left = size;
    sha256_begin(&file->hash);
}

void hashing_end(struct hashing *file) {
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

bool hashing_go_on(struct hashing *file, uint8_t digest[DIGEST_SIZE], int *error) {
    static uint8_t part[64 * 1024];
    *error = 0;
    for (size_t done = 0; file->left > 0;) {
        if (done >= SLICE)
            return false;
        ssize_t count = read(file->fd, part, file->left < sizeof part ? (size_t)file->left : sizeof part);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            *error = errno;
        if (count <= 0)
            break;
        sha256_add(&file->hash, part, (size_t)count);
        file->left -= (uint64_t)count;
        done += (size_t)count;
    }
    if (!*error)
        sha256_end(&file->hash, digest);
    return true;
}

static int digest_of(int fd, uint64_t size, uint8_t digest[DIGEST_SIZE]) {
    struct hashing file;
    int error;
    hashing_begin(&file, fd, size);
    while (!hashing_go_on(&file, digest, &error))
        continue;
    return error;
}

static struct found look_at_file(
    int folder, const char *name, const struct found *listed, uint8_t *digest, struct hashing *later) {
    struct stat stat;
    int fd = open_file(folder, name, &stat);
    if (fd < 0) {
        struct found found = nothing(-fd);
        return found.kind == '-' ? found : (struct found){'!', listed->mode, listed->size, listed->mtime};
    }
    struct found found = found_of(&stat);
    if (later && found.size > SLICE) {
        hashing_begin(later, fd, found.size);
        return found;
    }
    if (digest_of(fd, found.size, digest) != 0) {
        memset(digest, 0, DIGEST_SIZE);
        found.kind = '!';
    }
    close(fd);
    return found;
}

/* The size of a link's target, which stat(2) does not tell on every file system, or -1. */
static ssize_t read_link(int folder, const char *name, char target[PATH_MAX]) {
    return readlinkat(folder, name, target, PATH_MAX);
}

static void look_at_link(int folder, const char *name, struct found *found, uint8_t *digest) {
    char target[PATH_MAX];
    struct sha256 hash;
    ssize_t size = read_link(folder, name, target);
    if (size < 0) {
        found->kind = nothing(errno).kind;
        return;
    }
    found->size = (uint64_t)size;
    if (!digest)
        return;
    sha256_begin(&hash);
    sha256_add(&hash, (const uint8_t *)target, (size_t)size);
    sha256_end(&hash, digest);
}

static struct found look(int folder, const char *name, uint8_t *digest, struct hashing *later) {
    struct stat stat;
    if (digest)
        memset(digest, 0, DIGEST_SIZE);
    if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
        return nothing(errno);
    struct found found = found_of(&stat);
    if (found.kind == 'l')
        look_at_link(folder, name, &found, digest);
    if (found.kind == 'f' && digest)
        found = look_at_file(folder, name, &found, digest, later);
    return found;
}

struct found look_at(int folder, const char *name, uint8_t *digest) { return look(folder, name, digest, NULL); }

static struct found look_at_root(struct root *root) {
    struct stat stat;
    int error = tree_root(root, false);
    if (!error && fstat(root->fd, &stat) != 0)
        error = errno;
    return error ? nothing(error) : found_of(&stat);
}

struct found look_begin(struct root *root, const char *path, uint8_t digest[DIGEST_SIZE], struct hashing *file) {
    const char *name;
    memset(digest, 0, DIGEST_SIZE);
    if (!*path)
        return look_at_root(root);
    int folder = tree_parent(root, path, false, &name);
    return folder < 0 ? nothing(-folder) : look(folder, name, digest, file);
}

/* Whether nothing touched a path between two looks: every change of a file sets its ctime. */
static bool is_same(const struct stat *one, const struct stat *other) {
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino && one->st_size == other->st_size
        && nanoseconds(one->st_ctim) == nanoseconds(other->st_ctim);
}

int guard_error(int folder, const char *name, const struct guard *guard) {
    struct stat before, after;
    uint8_t digest[DIGEST_SIZE];
    if (!guard)
        return 0;
    bool was = fstatat(folder, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
    struct found found = look_at(folder, name, digest);
    if (found.kind != guard->kind || memcmp(digest, guard->digest, DIGEST_SIZE) != 0)
        return E_CHANGED;
    /* hashing takes a while */
    bool is = fstatat(folder, name, &after, AT_SYMLINK_NOFOLLOW) == 0;
    return was == is && (!is || is_same(&before, &after)) ? 0 : E_CHANGED;
}

int content_error(int folder, const char *name, const uint8_t *digest) {
    uint8_t found[DIGEST_SIZE];
    struct stat stat;
    int fd = open_file(folder, name, &stat);
    if (fd < 0)
        return -fd;
    int error = digest_of(fd, (uint64_t)stat.st_size, found);
    close(fd);
    return error ? error : memcmp(found, digest, DIGEST_SIZE) == 0 ? 0 : E_CHANGED;
}

mode_t wanted_mode(const struct stat *former, mode_t mode, bool exact) {
    bool keep = former && S_ISREG(former->st_mode) && !exact;
    return keep ? (former->st_mode & 07777) | (mode & 0111) : mode;
}

/* Of the root, a sender may compare single files only: then it never asks about the folder. */
static void tidy_root(struct root *root, int folder) {
    if (!root->tidy)
        leftovers_remove(folder, ".");
    root->tidy = true;
}

static enum check_result compare_root(struct root *root) {
    if (tree_root(root, false) != 0)
        return MISSING;
    tidy_root(root, root->fd);
    return SAME;
}

static enum check_result compare_file(
    int folder, const char *name, const struct target *target, const uint8_t *digest, struct hashing *later) {
    struct stat found;
    uint8_t found_digest[DIGEST_SIZE];
    int fd = open_file(folder, name, &found);
    if (fd < 0)
        return CONTENT_DIFFERS;
    mode_t wanted = wanted_mode(&found, target->mode, target->exact);
    enum check_result result = (found.st_mode & 07777) == wanted ? SAME : MODE_DIFFERS;
    if ((uint64_t)found.st_size > SLICE) {
        hashing_begin(later, fd, (uint64_t)found.st_size);
        return result;
    }
    int error = digest_of(fd, (uint64_t)found.st_size, found_digest);
    close(fd);
    return !error && memcmp(found_digest, digest, DIGEST_SIZE) == 0 ? result : CONTENT_DIFFERS;
}

enum check_result compare_begin(
    const struct target *target, char kind, uint64_t size, const uint8_t *digest, struct hashing *file) {
    const char *name;
    uint8_t found_digest[DIGEST_SIZE];
    struct stat found;
    if (!*target->path)
        return compare_root(target->root);
    int folder = tree_parent(target->root, target->path, false, &name);
    if (folder >= 0 && name == target->path)
        tidy_root(target->root, folder);
    if (folder < 0 || fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return MISSING;
    if (kind == 'd' && S_ISDIR(found.st_mode)) {
        leftovers_remove(folder, name);
        return target->exact && (found.st_mode & 0777) != target->mode ? MODE_DIFFERS : SAME;
    }
    if (kind == 'l' && S_ISLNK(found.st_mode)) {
        look_at(folder, name, found_digest);
        return memcmp(found_digest, digest, DIGEST_SIZE) == 0 ? SAME : CONTENT_DIFFERS;
    }
    if (kind != 'f' || !S_ISREG(found.st_mode))
        return KIND_DIFFERS;
    return (uint64_t)found.st_size == size ? compare_file(folder, name, target, digest, file) : CONTENT_DIFFERS;
}

static size_t read_part(int fd, uint64_t offset, uint8_t *part, size_t size, int *error) {
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, part + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            *error = errno;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

static size_t read_file(int folder, const char *name, uint64_t offset, uint8_t *part, size_t size, struct found *found) {
    struct stat stat;
    int error = 0;
    int fd = open_file(folder, name, &stat);
    if (fd < 0) {
        found->kind = nothing(-fd).kind;
        return 0;
    }
    uint64_t rest = offset < (uint64_t)stat.st_size ? (uint64_t)stat.st_size - offset : 0;
    size_t done = read_part(fd, offset, part, rest < size ? (size_t)rest : size, &error);
    /* after the bytes: what was written meanwhile shows */
    if (!error && fstat(fd, &stat) != 0)
        error = errno;
    close(fd);
    *found = found_of(&stat);
    if (error)
        found->kind = '!';
    return error ? 0 : done;
}

size_t look_into(struct root *root, const char *path, uint64_t offset, uint8_t *part, size_t size, struct found *found) {
    const char *name;
    int folder = *path ? tree_parent(root, path, false, &name) : -E_OUTSIDE;
    if (folder < 0) {
        *found = *path ? nothing(-folder) : look_at_root(root);
        return 0;
    }
    *found = look_at(folder, name, NULL);
    if (found->kind == 'f')
        return read_file(folder, name, offset, part, size, found);
    char target[PATH_MAX];
    ssize_t length = found->kind == 'l' ? read_link(folder, name, target) : 0;
    if (length < 0 || (uint64_t)length <= offset)
        return 0;
    size_t rest = (size_t)length - (size_t)offset;
    size_t done = rest < size ? rest : size;
    memcpy(part, target + offset, done);
    return done;
}
