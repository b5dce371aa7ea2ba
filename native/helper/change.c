/* Changing files below a root. docs/sync-protocol.md, section "Changes", tells what these mean. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper.h"

#define EXCHANGE 2 /* RENAME_EXCHANGE */

static bool is_root(void) {
    static int known = -1;
    if (known < 0)
        known = geteuid() == 0;
    return known;
}

void give_to_owner(int folder, const char *name, const struct stat *made, const struct stat *former) {
    struct stat parent;
    if (!is_root() || (!former && fstat(folder, &parent) != 0))
        return;
    const struct stat *owner = former ? former : &parent;
    if (made->st_uid == owner->st_uid && made->st_gid == owner->st_gid)
        return;
    /* failure is no error: the file arrives all the same */
    if (fchownat(folder, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        return;
}

static void give_new_to_owner(int folder, const char *name) {
    struct stat made;
    if (is_root() && fstatat(folder, name, &made, AT_SYMLINK_NOFOLLOW) == 0)
        give_to_owner(folder, name, &made, NULL);
}

void tell_apart(int folder, const char *name, uint64_t size, const struct stat *former) {
    struct stat new;
    if (!former || !S_ISREG(former->st_mode) || (uint64_t)former->st_size != size)
        return;
    if (fstatat(folder, name, &new, AT_SYMLINK_NOFOLLOW) != 0 || new.st_mtim.tv_sec > former->st_mtim.tv_sec)
        return;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = former->st_mtim.tv_sec + 1}};
    if (utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        return;
}

/* Rename to where nothing is: the system sees to it that it stays so. Not every file system can. */
static int move_to_new(int from_folder, const char *from, int folder, const char *name) {
    if (syscall(SYS_renameat2, from_folder, from, folder, name, ONLY_NEW) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno == EEXIST ? E_CHANGED : errno;
    struct stat found;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0)
        return E_CHANGED;
    return renameat(from_folder, from, folder, name) == 0 ? 0 : errno;
}

static void name_by_number(char name[TEMPORARY_SIZE], const char *suffix) {
    static unsigned count;
    static long process;
    if (!process)
        process = (long)getpid();
    snprintf(name, TEMPORARY_SIZE, TEMPORARY_PREFIX "%ld-%u%s", process, ++count, suffix);
}

void temporary_name(char name[TEMPORARY_SIZE]) { name_by_number(name, TEMPORARY_SUFFIX); }

/* Whether a rename moved what was looked at. (It also sets the ctime, so that says nothing.) */
static bool is_what_was(const struct stat *was, int folder, const char *name) {
    struct stat found;
    return fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_dev == was->st_dev
        && found.st_ino == was->st_ino && found.st_mode == was->st_mode && found.st_size == was->st_size
        && found.st_mtim.tv_sec == was->st_mtim.tv_sec && found.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
}

/* The container may write between the look at a file and the change of it. So the file is moved out of its place in one
 * step, and goes back when it is not the one that was looked at. */
static int replace_what_was(int from_folder, const char *from, int folder, const char *name, const struct stat *was) {
    if (syscall(SYS_renameat2, from_folder, from, folder, name, EXCHANGE) != 0) {
        if (errno != EINVAL && errno != ENOSYS)
            return errno == ENOENT ? E_CHANGED : errno;
        return renameat(from_folder, from, folder, name) == 0 ? 0 : errno;
    }
    if (is_what_was(was, from_folder, from))
        return unlinkat(from_folder, from, 0) == 0 ? 0 : errno;
    return syscall(SYS_renameat2, from_folder, from, folder, name, EXCHANGE) == 0 ? E_CHANGED : errno;
}

static bool is_same_file(int folder, const char *name, const struct stat *file) {
    struct stat found;
    return fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_dev == file->st_dev
        && found.st_ino == file->st_ino;
}

/* What is exchanged with it is the container's for a moment, and not ours to lose if this process is killed then. */
static int replace_by_temporary(int folder, const char *temporary, const char *name, const struct stat *was) {
    struct stat ours;
    char aside[TEMPORARY_SIZE];
    name_by_number(aside, ASIDE_SUFFIX);
    if (fstatat(folder, temporary, &ours, AT_SYMLINK_NOFOLLOW) != 0 || renameat(folder, temporary, folder, aside) != 0)
        return errno;
    int error = replace_what_was(folder, aside, folder, name, was);
    if (error && is_same_file(folder, aside, &ours) && renameat(folder, aside, folder, temporary) != 0)
        return errno;
    return error;
}

static int remove_what_was(int folder, const char *name, const struct stat *was) {
    char aside[TEMPORARY_SIZE];
    name_by_number(aside, ASIDE_SUFFIX);
    int error = move_to_new(folder, name, folder, aside);
    if (error)
        return error == ENOENT ? E_CHANGED : error;
    if (is_what_was(was, folder, aside))
        return unlinkat(folder, aside, 0) == 0 ? 0 : errno;
    /* unless the name is taken again: then the container has what it wrote last, and what it wrote before stays aside */
    error = move_to_new(folder, aside, folder, name);
    return error ? error : E_CHANGED;
}

static int remove_empty_folder(int folder, const char *name) {
    if (unlinkat(folder, name, AT_REMOVEDIR) == 0)
        return 0;
    return errno == ENOTDIR || errno == ENOENT ? E_CHANGED : errno;
}

static int move_guarded(int from_folder, const char *from, int folder, const char *name, const struct guard *guard) {
    struct stat was;
    if (guard->kind == '-')
        return move_to_new(from_folder, from, folder, name);
    bool exists = fstatat(folder, name, &was, AT_SYMLINK_NOFOLLOW) == 0;
    int error = guard_error(folder, name, guard);
    if (!error && guard->kind == 'd')
        error = remove_empty_folder(folder, name);
    if (error)
        return error;
    if (guard->kind == 'd')
        return move_to_new(from_folder, from, folder, name);
    if (!exists)
        return E_CHANGED;
    return is_temporary(from) ? replace_by_temporary(folder, from, name, &was)
                              : replace_what_was(from_folder, from, folder, name, &was);
}

int move(int from_folder, const char *from, int folder, const char *name, const struct guard *guard) {
    if (guard)
        return move_guarded(from_folder, from, folder, name, guard);
    if (renameat(from_folder, from, folder, name) == 0)
        return 0;
    if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
        return errno;
    if (unlinkat(folder, name, AT_REMOVEDIR) != 0 || renameat(from_folder, from, folder, name) != 0)
        return errno;
    return 0;
}

int target_folder(const struct target *target, const char **name) {
    bool exists = target->guard && target->guard->kind != '-';
    int folder = tree_parent(target->root, target->path, !exists, name);
    return exists && folder < 0 && is_absent(-folder) ? -E_CHANGED : folder;
}

int change_folder(const struct target *target) {
    if (!*target->path)
        return tree_root(target->root, true);
    const char *name;
    int folder = target_folder(target, &name);
    if (folder < 0)
        return -folder;
    struct stat found;
    bool exists = fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
    int error = guard_error(folder, name, target->guard);
    if (error)
        return error;
    if (exists && S_ISDIR(found.st_mode))
        return target->exact && fchmodat(folder, name, target->mode, 0) != 0 ? errno : 0;
    if (exists && target->guard)
        error = remove_what_was(folder, name, &found);
    else if (exists && unlinkat(folder, name, 0) != 0)
        error = errno;
    if (error)
        return error;
    if (mkdirat(folder, name, target->mode) != 0)
        return errno == EEXIST && target->guard ? E_CHANGED : errno;
    give_new_to_owner(folder, name);
    return 0;
}

int change_link(const struct target *target, const char *to) {
    const char *name;
    char temporary[TEMPORARY_SIZE];
    int folder = target_folder(target, &name);
    if (folder < 0)
        return -folder;
    temporary_name(temporary);
    if (symlinkat(to, folder, temporary) != 0)
        return errno;
    give_new_to_owner(folder, temporary);
    int error = move(folder, temporary, folder, name, target->guard);
    if (error)
        unlinkat(folder, temporary, 0);
    return error;
}

static int delete_guarded(int folder, const char *name, const struct guard *guard) {
    struct stat was;
    bool exists = fstatat(folder, name, &was, AT_SYMLINK_NOFOLLOW) == 0;
    int error = guard_error(folder, name, guard);
    /* a guard that wants nothing there leaves nothing to do, and what came since alone */
    if (error || guard->kind == '-')
        return error;
    if (guard->kind == 'd')
        return remove_empty_folder(folder, name);
    return exists ? remove_what_was(folder, name, &was) : E_CHANGED;
}

int change_delete(const struct target *target) {
    const char *name;
    const struct guard *guard = target->guard;
    int folder = tree_parent(target->root, target->path, false, &name);
    /* below what is no folder of this tree there is nothing to delete */
    if (folder < 0 && is_absent(-folder))
        return guard && guard->kind != '-' ? E_CHANGED : 0;
    if (folder < 0)
        return -folder;
    if (guard)
        return delete_guarded(folder, name, guard);
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    int error = errno;
    /* unlink(2): EISDIR is Linux' own, POSIX says EPERM for a folder */
    if (error != EISDIR && error != EPERM)
        return error;
    if (unlinkat(folder, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno == ENOTEMPTY || errno == EEXIST) {
        leftovers_remove(folder, name);
        if (unlinkat(folder, name, AT_REMOVEDIR) == 0)
            return 0;
    }
    return errno == ENOTDIR ? error : errno;
}

/* The mode is set first: the file never appears in its place with another one. */
static int move_with_mode(
    int from_folder, const char *from, const struct stat *source, int folder, const char *name,
    const struct target *target) {
    struct stat former;
    int error = guard_error(folder, name, target->guard);
    if (error)
        return error;
    bool replaces = fstatat(folder, name, &former, AT_SYMLINK_NOFOLLOW) == 0;
    mode_t mode = target->exact ? target->mode : (source->st_mode & 07777) | (target->mode & 0111);
    if ((source->st_mode & 07777) != mode && fchmodat(from_folder, from, mode, 0) != 0)
        return errno;
    error = move(from_folder, from, folder, name, target->guard);
    if (!error && replaces)
        tell_apart(folder, name, (uint64_t)source->st_size, &former);
    return error;
}

int change_rename(const struct target *target, const char *from, const uint8_t *digest) {
    const char *name, *from_name;
    struct stat source;
    int shared = tree_parent(target->root, from, false, &from_name);
    if (shared < 0)
        return shared == -E_OUTSIDE ? E_OUTSIDE : E_CHANGED;
    int from_folder = fcntl(shared, F_DUPFD_CLOEXEC, 3);
    if (from_folder < 0)
        return errno;
    int error = fstatat(from_folder, from_name, &source, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(source.st_mode)
        ? content_error(from_folder, from_name, digest)
        : E_CHANGED;
    int folder = error ? -error : target_folder(target, &name);
    error = folder < 0 ? -folder : move_with_mode(from_folder, from_name, &source, folder, name, target);
    close(from_folder);
    return error;
}

int change_mode(const struct target *target) {
    const char *name;
    struct stat found;
    int folder = tree_parent(target->root, target->path, false, &name);
    if (folder < 0)
        return -folder;
    int error = guard_error(folder, name, target->guard);
    if (error)
        return error;
    if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (S_ISLNK(found.st_mode))
        return E_LINK;
    return fchmodat(folder, name, wanted_mode(&found, target->mode, target->exact), 0) != 0 ? errno : 0;
}
