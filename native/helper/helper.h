/* loop-helper: supervisor and sync receiver of a container that is developed.
 *
 * One static program without libraries, because nothing can be taken for granted in the container: no shell, no tar,
 * no libc, no root user, no writable file system beside the folders that are synced. docs/sync-protocol.md describes
 * what goes over the wire.
 */
#ifndef HELPER_H
#define HELPER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

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

extern const uint32_t SHA256_K[64];
void sha256_compress_by_hand(uint32_t state[8], const uint8_t *block);

/* ---- sha256_cpu.c: one block by instructions that not every processor has ---- */

bool sha256_cpu_can(void);
void sha256_cpu_compress(uint32_t state[8], const uint8_t *block);

/* ---- frame.c: frames, as functions over bytes ---- */

#define PROTOCOL_VERSION 2
#define MAGIC "loopsync"
#define MAGIC_SIZE 8
#define FRAME_HEADER 5
#define MAX_PAYLOAD (256 * 1024)
#define MAX_PATHS 4096       /* in one CHECK or LOOK frame */
#define MAX_PART (120 * 1024) /* bytes of a file in one CONTENT frame */

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
    LOOK = 0x0e,
    LIST = 0x0f,
    READ = 0x10,
    SIGNAL = 0x11,

    WELCOME = 0x81,
    CHECKED = 0x82,
    LOOKED = 0x83,
    LISTED = 0x84,
    CONTENT = 0x85,
    FAILED = 0x8b,
    COMMITTED = 0x8c,
    RESTARTED = 0x8d,
    STATE = 0x8e,
    CHANGED = 0x8f,
    ALIVE = 0x90,
    SIGNALLED = 0x91,
    FATAL = 0xff,
};

enum check_result { SAME = 0, MISSING = 1, CONTENT_DIFFERS = 2, KIND_DIFFERS = 3, MODE_DIFFERS = 4 };
enum restart_result { STARTED = 0, NOT_STARTED = 1, NO_SUPERVISOR = 2 };
enum signal_result { SIGNAL_SENT = 0, SIGNAL_NO_PROCESS = 1, SIGNAL_NO_SUPERVISOR = 2 };
enum listing { LISTING_END = 0, LISTING_MORE = 1, LISTING_FAILED = 2 };
enum change { CHANGE_NAME = 0, CHANGE_GONE = 1, CHANGE_LOST = 2 };
enum process_state { RUNNING = 1, EXITED = 2, RESTARTING = 3 };

#define FLAG_EXACT_MODE 1
#define FLAG_GUARDED 2
#define FLAG_WATCH 1 /* of LIST */

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

/* What a path has to be for an operation to be done. */
struct guard {
    char kind; /* of struct found */
    uint8_t digest[DIGEST_SIZE];
};

/* Head of every operation on a path. The path points into a buffer of the cursor's owner, not ended by a zero. */
struct operation {
    uint8_t root;
    uint8_t flags;
    uint16_t mode;
    const uint8_t *path;
    uint16_t path_size;
    struct guard guard; /* where the flags say so */
};

/* What is at a path: 'f' file, 'd' folder, 'l' symbolic link, 'o' other, '-' nothing, '!' cannot be read. */
struct found {
    char kind;
    uint16_t mode;
    uint64_t size;
    int64_t mtime; /* nanoseconds since the epoch */
};
#define FOUND_SIZE 19

/* Bytes that the first frame in the buffer takes, 0: more are needed, -1: no frame of this protocol. */
long frame_next(const uint8_t *data, size_t size, struct frame *frame);

uint8_t take_u8(struct cursor *cursor);
uint16_t take_u16(struct cursor *cursor);
uint32_t take_u32(struct cursor *cursor);
uint64_t take_u64(struct cursor *cursor);
const uint8_t *take_bytes(struct cursor *cursor, size_t size);
const uint8_t *take_string(struct cursor *cursor, uint16_t *size);
struct operation take_operation(struct cursor *cursor);
/* A path or link target as a C string; false when it cannot be one. */
bool copy_text(char text[PATH_MAX], const uint8_t *bytes, size_t size);

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
void put_u64(struct builder *frame, uint64_t value);
void put_bytes(struct builder *frame, const void *data, size_t size);
void put_found(struct builder *frame, const struct found *found);
void put_string(struct builder *frame, const void *data, size_t size);
void frame_end(struct builder *frame);

/* ---- tree.c: folders below a root, never out of it ---- */

#define MAX_ROOTS 64

struct root {
    const char *path;
    int fd;    /* -1: not open */
    bool tidy; /* no leftovers are in the folder itself */
};

extern struct root roots[MAX_ROOTS];
extern int root_count;

/* Errors beside errno's: */
#define E_OUTSIDE 10001      /* the path leads, or could lead, out of the root */
#define E_LINK 10002         /* a folder on the path is a symbolic link in the container */
#define E_CHANGED 10003      /* what is there, or the bytes of a file, are not what they should be */
#define E_NO_WATCHES 10004   /* the system allows no more watches */
#define E_NO_INSTANCES 10005 /* the system allows nobody of this user to begin watching */

/* The error of opening a path says that there is nothing. */
bool is_absent(int error);
/* Make and open the root itself, or only see whether it is there; 0 or an error number. */
int tree_root(struct root *root, bool create);
/* The folder that holds `path` (kept open, not the caller's to close) and the last name in it; or -error. */
int tree_parent(struct root *root, const char *path, bool create, const char **name);
/* A folder, to be closed by the caller, good for stepping into it only (O_PATH); or -error. */
int tree_open(struct root *root, const char *path);
/* The folder of the last tree_parent() is the caller's from here on, and is given back in the end. */
int tree_take(void);
void tree_give_back(int folder);
/* Close the folders kept open between operations: others may replace them, and their end is told only when nobody holds
 * them. */
void tree_forget(void);
/* Owner and mode of the nearest existing folder above a path, in words, for messages. */
void tree_describe_folder(struct root *root, const char *path, char *text, size_t size);

/* ---- look.c: what is there ---- */

/* What is under a name. With `digest`, also the SHA-256 of a file's content or a link's target, else zeros. */
struct found look_at(int folder, const char *name, uint8_t *digest);
/* 0 when what is under a name is what the guard says, or there is no guard. */
int guard_error(int folder, const char *name, const struct guard *guard);
/* 0 when a file has this content. */
int content_error(int folder, const char *name, const uint8_t *digest);
/* Part of a file or link's target; returns its size. `found` is the whole as it was after that. */
size_t look_into(struct root *root, const char *path, uint64_t offset, uint8_t *part, size_t size, struct found *found);

/* What an operation is about. `path` is relative to the root; the empty path is the root itself. */
struct target {
    struct root *root;
    const char *path;
    mode_t mode;
    bool exact;                /* this very mode, also of what is there already */
    const struct guard *guard; /* NULL: none */
};

/* Bytes that are hashed in a millisecond or so. */
#define SLICE (256 * 1024)

/* A file that is hashed slice by slice. */
struct hashing {
    int fd; /* -1: none */
    uint64_t left;
    struct sha256 hash;
};

/* As look_up(), but a file of more than one slice is left to hashing_go_on(). */
struct found look_begin(struct root *root, const char *path, uint8_t digest[DIGEST_SIZE], struct hashing *file);
/* Of a file of more than one slice, what the result is if it has the content. */
enum check_result compare_begin(
    const struct target *target, char kind, uint64_t size, const uint8_t *digest, struct hashing *file);
/* One slice; true when the digest is complete, or there is an error. */
bool hashing_go_on(struct hashing *file, uint8_t digest[DIGEST_SIZE], int *error);
void hashing_end(struct hashing *file);
mode_t wanted_mode(const struct stat *former, mode_t mode, bool exact);

/* ---- change.c: operations ---- */

/* All of these return 0 or an error number. They create missing parents when they write. */
int change_folder(const struct target *target);
int change_link(const struct target *target, const char *to);
int change_delete(const struct target *target);
int change_rename(const struct target *target, const char *from, const uint8_t *digest);
int change_mode(const struct target *target);

/* For what writes, too: */

#define ONLY_NEW 1 /* RENAME_NOREPLACE, renameat2(2) */
#define TEMPORARY_SIZE 48
#define TEMPORARY_PREFIX ".loop-"
#define TEMPORARY_SUFFIX ".tmp"
#define ASIDE_SUFFIX ".old" /* what was in the way of a guarded operation, until it is looked at once more */
void temporary_name(char name[TEMPORARY_SIZE]);
/* The folder of a target, made if need be; but not where the guard wants something to be in it already. Or -error. */
int target_folder(const struct target *target, const char **name);
/* What root makes belongs to whom the replaced file, or else the folder, belongs to: the program may run as another
 * user than this process. */
void give_to_owner(int folder, const char *name, const struct stat *made, const struct stat *former);
/* Python's .pyc files, HTTP caches and make compare whole seconds and the size: two edits of equal size within one
 * second must not look the same to them. */
void tell_apart(int folder, const char *name, uint64_t size, const struct stat *former);
/* Rename that also replaces an empty folder. 0 or an error number. */
int move(int from_folder, const char *from, int folder, const char *name, const struct guard *guard);

/* ---- incoming.c ---- */

/* A file on its way. */
struct incoming {
    int parent; /* folder, -1: none under way */
    int fd;
    struct stat made; /* the file as it was made */
    char temporary[TEMPORARY_SIZE];
    char name[256];
    mode_t mode;
    bool exact, guarded;
    struct guard guard;
    struct sha256 hash;
};

int incoming_begin(struct incoming *file, const struct target *target);
int incoming_data(struct incoming *file, const uint8_t *data, size_t size);
int incoming_end(struct incoming *file, const uint8_t *digest);
void incoming_abort(struct incoming *file);

/* ---- leftovers.c ---- */

/* A name that files on their way, or out of the way, have. */
bool is_temporary(const char *name);
/* Mark a new file as somebody's, as long as it is open; false: somebody takes it for a leftover. */
bool leftover_lock(int fd);
/* Remove a temporary file unless it is somebody's. What was only put aside comes to light instead. */
void leftover_remove(int folder, const char *name);
/* Remove temporary files that are nobody's from a folder; "." is the parent itself. */
void leftovers_remove(int parent, const char *name);

/* ---- watch.c: folders that are watched ---- */

/* Watch an open folder; 0 or an error number. */
int watch_add(uint8_t root, const char *path, int folder);
/* Descriptor to poll, -1: nothing is watched. */
int watch_descriptor(void);
/* Milliseconds until something has to be told without a further event, -1: nothing has. */
int watch_timeout(void);
/* Tell what happened; false when the output is closed. */
bool watch_take(void);
/* Watch nothing any more. */
void watch_end(void);

/* ---- output.c: frames to the sender ---- */

/* The sender says something at least every 15 s. When its connection broke, container runtimes do not always close our
 * input; without an end of our own, receivers would pile up. */
#define IDLE_TIMEOUT_MS 60000

/* These return false when the output is closed, or nobody takes anything from it any more. */
bool send_bytes(const uint8_t *data, size_t size);
bool send_frame(struct builder *frame);
/* While true, `alive` frames are sent every now and then, whatever this process is doing. */
void send_alive(bool going);
/* The last frame of all; returns false. */
bool fatal(const char *message);
uint8_t reason_of(int error);
const char *words_of(int error);

/* ---- operate.c and answer.c: further frames from the sender; false ends the receiver ---- */

bool operate(uint8_t type, struct cursor *payload);
bool file_begin(struct cursor *payload);
bool file_data(struct cursor *payload);
bool file_end(struct cursor *payload);
void file_abort(void);

bool answer_list(struct cursor *payload);
bool answer_read(struct cursor *payload);

/* ---- question.c: LOOK and CHECK, which may take long; false ends the receiver ---- */

bool question_begin(uint8_t type, struct cursor *payload);
/* Whether one is not answered yet. */
bool question_is_going(void);
/* Hash another part for it. */
bool question_go_on(void);
/* It is not to be answered any more. */
void question_end(void);

/* ---- clock.c ---- */

int64_t monotonic_ms(void);
/* Nanoseconds since the epoch. */
int64_t wall_clock_ns(void);
int64_t nanoseconds(struct timespec time);

/* ---- succession.c ---- */

/* Have a folder for oneself, as long as this process lives; false: another receiver does not end. */
bool succeed(const char *path);

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
