/* Frames that ask what is there. Nothing is kept between them, and no more of a file or folder than fits a frame. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"

#define LISTING_SIZE (64 * 1024)
#define LISTING_KIND (FRAME_HEADER + 4) /* where a listed frame says whether it is the last */

static void begin_listing(struct builder *frame, uint32_t id, uint8_t kind) {
    static uint8_t buffer[LISTING_SIZE];
    frame_begin(frame, buffer, sizeof buffer, LISTED);
    put_u32(frame, id);
    put_u8(frame, kind);
}

static bool send_not_listed(uint32_t id, int error) {
    struct builder frame;
    /* what is no folder any more is gone as a folder */
    uint8_t reason = reason_of(error == ENOTDIR ? ENOENT : error);
    begin_listing(&frame, id, LISTING_FAILED);
    put_u8(&frame, reason);
    put_string(&frame, words_of(error), strlen(words_of(error)));
    return send_frame(&frame);
}

/* Adds an entry to the frame, which is sent first when it is full. */
static bool add_entry(struct builder *frame, uint32_t id, int folder, const char *name) {
    size_t size = strlen(name);
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    if (dots)
        return true;
    if (is_temporary(name)) {
        leftover_remove(folder, name);
        return true;
    }
    struct found found = look_at(folder, name, NULL);
    if (found.kind == '-')
        return true;
    if (frame->capacity - frame->size < FOUND_SIZE + 2 + size) {
        if (!send_frame(frame))
            return false;
        begin_listing(frame, id, LISTING_MORE);
    }
    put_found(frame, &found);
    put_string(frame, name, size);
    return true;
}

static bool send_entries(uint32_t id, DIR *entries) {
    struct builder frame;
    const struct dirent *entry;
    begin_listing(&frame, id, LISTING_MORE);
    while ((errno = 0, entry = readdir(entries)))
        if (!add_entry(&frame, id, dirfd(entries), entry->d_name))
            return false;
    if (errno)
        return send_not_listed(id, errno);
    frame.data[LISTING_KIND] = LISTING_END;
    return send_frame(&frame);
}

/* The watch comes first, so that what happens while the folder is read is told. */
static bool list(uint32_t id, uint8_t root, const char *path, int folder, bool watch) {
    int error = watch ? watch_add(root, path, folder) : 0;
    if (error)
        return send_not_listed(id, error);
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    if (entries) {
        bool sent = send_entries(id, entries);
        closedir(entries);
        return sent;
    }
    error = errno;
    if (fd >= 0)
        close(fd);
    return send_not_listed(id, error);
}

bool answer_list(struct cursor *payload) {
    char path[PATH_MAX];
    uint32_t id = take_u32(payload);
    uint8_t flags = take_u8(payload);
    struct operation operation = take_operation(payload);
    if (payload->broken || operation.root >= root_count)
        return fatal("broken frame: list");
    if (!copy_text(path, operation.path, operation.path_size))
        return send_not_listed(id, E_OUTSIDE);
    int folder = tree_open(&roots[operation.root], path);
    if (folder < 0)
        return send_not_listed(id, -folder);
    bool sent = list(id, operation.root, path, folder, flags & FLAG_WATCH);
    close(folder);
    return sent;
}

bool answer_read(struct cursor *payload) {
    static uint8_t buffer[FRAME_HEADER + 4 + FOUND_SIZE + MAX_PART];
    static uint8_t part[MAX_PART];
    char path[PATH_MAX];
    struct builder frame;
    struct found found = {.kind = '-'};
    uint32_t id = take_u32(payload);
    struct operation operation = take_operation(payload);
    uint64_t offset = take_u64(payload);
    uint32_t size = take_u32(payload);
    if (payload->broken || operation.root >= root_count || size > MAX_PART)
        return fatal("broken frame: read");
    bool valid = copy_text(path, operation.path, operation.path_size);
    size_t done = valid ? look_into(&roots[operation.root], path, offset, part, size, &found) : 0;
    tree_forget();
    frame_begin(&frame, buffer, sizeof buffer, CONTENT);
    put_u32(&frame, id);
    put_found(&frame, &found);
    put_bytes(&frame, part, done);
    return send_frame(&frame);
}
