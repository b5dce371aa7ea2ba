/* Frames that change something: what they could not do is told, and is the sender's to mend. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "helper.h"

static struct incoming file = {.parent = -1};
static struct operation file_operation;
static char file_path[PATH_MAX];
static int file_error; /* of the file under way; its remaining data is skipped */

static bool report(const struct operation *operation, const char *path, int error) {
    static uint8_t buffer[2 * PATH_MAX + 1024];
    char folder[PATH_MAX + 64];
    struct builder frame;
    if (!error)
        return true;
    const char *text = words_of(error);
    tree_describe_folder(&roots[operation->root], path, folder, sizeof folder);
    frame_begin(&frame, buffer, sizeof buffer, FAILED);
    put_u8(&frame, operation->root);
    put_u8(&frame, reason_of(error));
    put_string(&frame, operation->path, operation->path_size);
    put_string(&frame, text, strlen(text));
    put_string(&frame, folder, strlen(folder));
    return send_frame(&frame);
}

static struct target target_of(const struct operation *operation, const char *path) {
    return (struct target){
        .root = &roots[operation->root],
        .path = path,
        .mode = operation->mode & 0777,
        .exact = operation->flags & FLAG_EXACT_MODE,
        .guard = operation->flags & FLAG_GUARDED ? &operation->guard : NULL,
    };
}

static int change(uint8_t type, struct cursor *payload, const struct operation *operation, const char *path) {
    struct target target = target_of(operation, path);
    char other[PATH_MAX];
    uint16_t size = 0;
    const uint8_t *text = type == LINK || type == RENAME ? take_string(payload, &size) : NULL;
    const uint8_t *digest = type == RENAME ? take_bytes(payload, DIGEST_SIZE) : NULL;
    if (payload->broken)
        return 0;
    if (text && !copy_text(other, text, size))
        return E_OUTSIDE;
    switch (type) {
    case FOLDER: return change_folder(&target);
    case LINK: return change_link(&target, other);
    case DELETE: return change_delete(&target);
    case RENAME: return change_rename(&target, other, digest);
    default: return change_mode(&target);
    }
}

bool operate(uint8_t type, struct cursor *payload) {
    char path[PATH_MAX];
    struct operation operation = take_operation(payload);
    if (payload->broken || operation.root >= root_count)
        return fatal("broken frame: operation");
    bool valid = copy_text(path, operation.path, operation.path_size);
    int error = valid ? change(type, payload, &operation, path) : E_OUTSIDE;
    if (payload->broken)
        return fatal("broken frame: operation");
    return report(&operation, valid ? path : "", error);
}

bool file_begin(struct cursor *payload) {
    struct operation operation = take_operation(payload);
    if (payload->broken || operation.root >= root_count)
        return fatal("broken frame: file");
    file_abort();
    file_operation = operation;
    file_path[0] = 0;
    bool valid = copy_text(file_path, file_operation.path, file_operation.path_size);
    struct target target = target_of(&file_operation, file_path);
    file_error = valid ? incoming_begin(&file, &target) : E_OUTSIDE;
    return true;
}

bool file_data(struct cursor *payload) {
    size_t size = (size_t)(payload->end - payload->at);
    if (file.parent < 0)
        return true;
    file_error = incoming_data(&file, payload->at, size);
    if (file_error)
        incoming_abort(&file);
    return true;
}

bool file_end(struct cursor *payload) {
    const uint8_t *digest = take_bytes(payload, DIGEST_SIZE);
    if (payload->broken)
        return fatal("broken frame: end of file");
    int error = file.parent >= 0 ? incoming_end(&file, digest) : file_error;
    /* the frame that named the path is gone from the buffer, its copy is not */
    file_operation.path = (const uint8_t *)file_path;
    file_operation.path_size = (uint16_t)strlen(file_path);
    return report(&file_operation, file_path, error);
}

void file_abort(void) {
    incoming_abort(&file);
    file_error = 0;
}
