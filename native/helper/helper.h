/* loop-helper: supervisor and sync receiver of a container that is developed.
 *
 * One static program without libraries, because nothing can be taken for granted in the container: no shell, no tar,
 * no libc, no root user, no writable file system beside the folders that are synced. docs/sync-protocol.md describes
 * what goes over the wire.
 */
#ifndef HELPER_H
#define HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- sha256.c: FIPS 180-4 ---- */

#define DIGEST_SIZE 32

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes taken so far */
    uint8_t block[64];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const uint8_t *data, size_t size);
void sha256_end(struct sha256 *hash, uint8_t digest[DIGEST_SIZE]);

/* ---- frame.c: frames, as functions over bytes ---- */

#define PROTOCOL_VERSION 1
#define MAGIC "loopsync"
#define MAGIC_SIZE 8
#define FRAME_HEADER 5
#define MAX_PAYLOAD (256 * 1024)

enum frame_type {
    HELLO = 0x01,
    CHECK = 0x02,
    FILE_BEGIN = 0x03,
    FILE_DATA = 0x04,
    FILE_END = 0x05,
    FILE_ABORT = 0x06,
    FOLDER = 0x07,
    LINK = 0x08,
    DELETE = 0x09,
    RENAME = 0x0a,
    MODE = 0x0b,
    COMMIT = 0x0c,
    RESTART = 0x0d,

    WELCOME = 0x81,
    CHECKED = 0x82,
    FAILED = 0x8b,
    COMMITTED = 0x8c,
    RESTARTED = 0x8d,
    STATE = 0x8e,
    FATAL = 0xff,
};

enum check_result { SAME = 0, MISSING = 1, CONTENT_DIFFERS = 2, KIND_DIFFERS = 3, MODE_DIFFERS = 4 };
enum restart_result { STARTED = 0, NOT_STARTED = 1, NO_SUPERVISOR = 2 };
enum process_state { RUNNING = 1, EXITED = 2, RESTARTING = 3 };

#define FLAG_EXACT_MODE 1

/* Reads fields from a payload; once one is missing, `broken` stays set and all further fields are empty. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool broken;
};

struct frame {
    uint8_t type;
    struct cursor payload;
};

/* Head of every operation on a path. The path points into a buffer of the cursor's owner, not ended by a zero. */
struct operation {
    uint8_t root;
    uint8_t flags;
    uint16_t mode;
    const uint8_t *path;
    uint16_t path_size;
};

/* Bytes that the first frame in the buffer takes, 0: more are needed, -1: no frame of this protocol. */
long frame_next(const uint8_t *data, size_t size, struct frame *frame);

uint8_t take_u8(struct cursor *cursor);
uint16_t take_u16(struct cursor *cursor);
uint32_t take_u32(struct cursor *cursor);
uint64_t take_u64(struct cursor *cursor);
const uint8_t *take_bytes(struct cursor *cursor, size_t size);
const uint8_t *take_string(struct cursor *cursor, uint16_t *size);
struct operation take_operation(struct cursor *cursor);

/* Builds one frame; what does not fit is cut off by the caller's choice of sizes, never written past the end. */
struct builder {
    uint8_t *data;
    size_t capacity;
    size_t size;
};

void frame_begin(struct builder *frame, uint8_t *data, size_t capacity, uint8_t type);
void put_u8(struct builder *frame, uint8_t value);
void put_u16(struct builder *frame, uint16_t value);
void put_u32(struct builder *frame, uint32_t value);
void put_string(struct builder *frame, const void *data, size_t size);
void frame_end(struct builder *frame);

/* ---- tree.c: paths below a root, never out of it ---- */

struct root {
    const char *path;
    int fd; /* -1: does not exist, as far as we know */
};

/* Errors beside errno's: */
#define E_OUTSIDE 10001 /* the path leads, or could lead, out of the root */
#define E_LINK 10002    /* a folder on the path is a symbolic link in the container */
#define E_CHANGED 10003 /* the source of a rename, or the bytes of a file, are not what they should be */

/* All of these return 0 or an error number. `path` is relative to the root, without a leading slash; the empty path is
 * the root itself. They create missing parents when they write. */
int tree_folder(struct root *root, const char *path, mode_t mode, bool exact);
int tree_link(struct root *root, const char *path, const char *target);
int tree_delete(struct root *root, const char *path);
int tree_rename(struct root *root, const char *path, const char *from, mode_t mode, bool exact, const uint8_t *digest);
int tree_mode(struct root *root, const char *path, mode_t mode, bool exact);
enum check_result tree_check(
    struct root *root, const char *path, char kind, uint64_t size, mode_t mode, bool exact, const uint8_t *digest);

/* A file on its way: written beside its place, renamed when complete. */
struct incoming {
    int parent; /* folder, -1: none under way */
    int fd;
    char temporary[48];
    char name[256];
    mode_t mode;
    bool exact;
    struct sha256 hash;
};

int incoming_begin(struct incoming *file, struct root *root, const char *path, mode_t mode, bool exact);
int incoming_data(struct incoming *file, const uint8_t *data, size_t size);
int incoming_end(struct incoming *file, const uint8_t *digest);
void incoming_abort(struct incoming *file);

/* Forget the folder kept open between operations: others may have replaced it meanwhile. */
void tree_forget(void);
/* Owner and mode of the nearest existing folder above a path, in words, for messages. */
void tree_describe_folder(struct root *root, const char *path, char *text, size_t size);

/* ---- control.c: the socket between supervisor and receivers ---- */

/* Listening socket, or -1. */
int control_listen(void);
/* Connection to this container's supervisor, or -1 when there is none. */
int control_connect(void);
/* Next connection of a process that may ask for something, or -1. */
int control_accept(int listener);

/* ---- the modes ---- */

int run_supervisor(int grace_ms, char **command);
int run_receiver(int count, char **paths);
int run_restart(void);

#endif
