/* Files on their way: written beside their place and renamed when complete. Most are small and there are many of them, so
 * that each system call counts: nothing is set that is right already. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

/* What is where the file is to be, in `place`; NULL: nothing. */
static const struct stat *look_at_place(const struct incoming *file, struct stat *place) {
    return fstatat(file->parent, file->name, place, AT_SYMLINK_NOFOLLOW) == 0 ? place : NULL;
}

/* With the mode that it will have, as far as that is known: also half a file is for nobody else's eyes. */
static int make_temporary(struct incoming *file) {
    struct stat place;
    mode_t mode = wanted_mode(look_at_place(file, &place), file->mode, file->exact) & 0777;
    for (;;) {
        temporary_name(file->temporary);
        file->fd = openat(file->parent, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (file->fd < 0)
            return errno;
        bool ours = leftover_lock(file->fd);
        int error = fstat(file->fd, &file->made) != 0 ? errno : 0;
        /* whoever took it for a leftover removes it, or did already */
        if (!error && ours && file->made.st_nlink > 0)
            return 0;
        close(file->fd);
        if (error)
            return error;
    }
}

static void forget(struct incoming *file) {
    tree_give_back(file->parent);
    file->parent = -1;
}

int incoming_begin(struct incoming *file, const struct target *target) {
    const char *name;
    int folder = target_folder(target, &name);
    if (folder < 0)
        return -folder;
    file->parent = tree_take();
    file->mode = target->mode;
    file->exact = target->exact;
    file->guarded = target->guard != NULL;
    if (target->guard)
        file->guard = *target->guard;
    memcpy(file->name, name, strlen(name) + 1);
    int error = make_temporary(file);
    if (error)
        forget(file);
    sha256_begin(&file->hash);
    return error;
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

/* Gives the file the looks of what it replaces. */
static int fit(const struct incoming *file, uint64_t size) {
    struct stat place;
    const struct stat *former = look_at_place(file, &place);
    mode_t mode = wanted_mode(former, file->mode, file->exact);
    give_to_owner(file->parent, file->temporary, &file->made, former);
    /* after the owner, which takes a set-user-ID bit off */
    if ((file->made.st_mode & 07777) != mode && fchmod(file->fd, mode) != 0)
        return errno;
    tell_apart(file->parent, file->temporary, size, former);
    return 0;
}

int incoming_end(struct incoming *file, const uint8_t *digest) {
    uint8_t found[DIGEST_SIZE];
    uint64_t size = file->hash.length;
    sha256_end(&file->hash, found);
    int error = memcmp(found, digest, DIGEST_SIZE) == 0 ? fit(file, size) : E_CHANGED;
    /* some file systems tell about a full disk only here; later, it would be an event of the file's own name */
    if (close(file->fd) != 0 && !error)
        error = errno;
    if (!error)
        error = move(file->parent, file->temporary, file->parent, file->name, file->guarded ? &file->guard : NULL);
    if (error)
        unlinkat(file->parent, file->temporary, 0);
    forget(file);
    return error;
}

void incoming_abort(struct incoming *file) {
    if (file->parent < 0)
        return;
    unlinkat(file->parent, file->temporary, 0);
    close(file->fd);
    forget(file);
}
