/* Streams of frames: what a sender says, in any order, and what no sender says. */
#define _GNU_SOURCE
#include <string.h>

#include "../helper.h"
#include "fuzz.h"

#define MAX_FRAMES 40

static uint64_t *state;

/* xorshift64*, G. Marsaglia: Xorshift RNGs, 2003; S. Vigna, 2014. Never 0. */
static uint64_t next(void) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t limit) { return next() % limit; }
static bool one_in(uint64_t count) { return below(count) == 0; }

static const char *const places[] = {
    "", "a", "a", "dir", "dir", "dir/b", "dir/c", "dir/sub", "dir/sub/d", "new", "new/e", "link", "link/precious", "loop",
    "loop/x", "pipe", "second", "..", "../outside", "../outside/precious", "dir/../../outside/precious", "/outside",
    "./a", "a//b", "dir/", ".loop-1-1.tmp", "\xff\n", "root",
};
static const char *const contents[] = {"", "a", "b", "ours", "../outside", "loop"};
static const uint8_t kinds[] = "fdlo-!";

static void put_digest(struct builder *frame) {
    uint8_t digest[DIGEST_SIZE] = {0};
    struct sha256 hash;
    if (!one_in(3)) {
        const char *content = contents[below(sizeof contents / sizeof *contents)];
        sha256_begin(&hash);
        sha256_add(&hash, (const uint8_t *)content, strlen(content));
        sha256_end(&hash, digest);
    }
    put_bytes(frame, digest, DIGEST_SIZE);
}

static void put_path(struct builder *frame) {
    static uint8_t long_path[PATH_MAX + 10];
    const char *path = places[below(sizeof places / sizeof *places)];
    if (!one_in(50)) {
        put_string(frame, path, strlen(path));
        return;
    }
    memset(long_path, one_in(2) ? 'n' : '/', sizeof long_path);
    for (size_t i = 0; one_in(2) && i < sizeof long_path; i += 2)
        long_path[i] = 'n';
    put_string(frame, long_path, below(sizeof long_path));
}

static void put_head(struct builder *frame) {
    uint8_t flags = one_in(3) ? FLAG_GUARDED : 0;
    flags |= one_in(4) ? FLAG_EXACT_MODE : 0;
    put_u8(frame, one_in(4) ? 1 : one_in(1000) ? (uint8_t)next() : 0);
    put_u8(frame, flags);
    put_u16(frame, one_in(8) ? (uint16_t)next() : 0755);
    put_path(frame);
    if (flags & FLAG_GUARDED) {
        put_u8(frame, kinds[below(sizeof kinds - 1)]);
        put_digest(frame);
    }
}

static void put_question(struct builder *frame, uint8_t type) {
    put_u32(frame, (uint32_t)next());
    if (type == SIGNAL)
        put_u8(frame, (uint8_t)next());
    if (type == LIST)
        put_u8(frame, one_in(4) ? 0 : FLAG_WATCH);
    if (type == LIST || type == READ)
        put_head(frame);
    if (type == READ) {
        put_u64(frame, one_in(2) ? below(4) : next());
        put_u32(frame, one_in(200) ? (uint32_t)next() : (uint32_t)below(MAX_PART + 1));
    }
    size_t paths = type == LOOK || type == CHECK ? (one_in(400) ? below(5000) : below(6)) : 0;
    for (size_t i = 0; i < paths; i++) {
        put_head(frame);
        if (type == CHECK) {
            put_u8(frame, kinds[below(sizeof kinds - 1)]);
            put_u64(frame, one_in(2) ? 1 : one_in(4) ? SLICE + 100000 : below(300));
            put_digest(frame);
        }
    }
}

static void put_change(struct builder *frame, uint8_t type) {
    if (type != FILE_DATA && type != FILE_END && type != FILE_ABORT)
        put_head(frame);
    if (type == LINK || type == RENAME)
        put_path(frame);
    if (type == RENAME || type == FILE_END)
        put_digest(frame);
    if (type == FILE_DATA && one_in(100))
        put_bytes(frame, (const uint8_t[100000]){0}, below(100000));
    else if (type == FILE_DATA) {
        const char *content = contents[below(sizeof contents / sizeof *contents)];
        put_bytes(frame, content, strlen(content));
    }
}

/* Adds one frame; false when there is no place for it. */
static bool add_frame(uint8_t *stream, size_t *size, uint8_t type) {
    static uint8_t data[FRAME_HEADER + MAX_PAYLOAD];
    struct builder frame;
    frame_begin(&frame, data, sizeof data, type);
    if (type == CHECK || (type >= COMMIT && type <= SIGNAL))
        put_question(&frame, type);
    else if (type != HELLO)
        put_change(&frame, type);
    if (type == HELLO) {
        put_bytes(&frame, MAGIC, MAGIC_SIZE);
        put_u16(&frame, one_in(100) ? (uint16_t)next() : PROTOCOL_VERSION);
    }
    frame_end(&frame);
    if (MAX_STREAM - *size < frame.size)
        return false;
    memcpy(stream + *size, data, frame.size);
    *size += frame.size;
    return true;
}

static void add_file(uint8_t *stream, size_t *size) {
    add_frame(stream, size, FILE_BEGIN);
    for (uint64_t parts = below(3); parts > 0; parts--)
        add_frame(stream, size, FILE_DATA);
    add_frame(stream, size, one_in(10) ? FILE_ABORT : FILE_END);
}

/* As noise on the way, or a sender of another mind: bytes set, parts left out or repeated. */
static void damage(uint8_t *stream, size_t *size) {
    for (uint64_t times = 1 + below(8); times > 0 && *size > 1; times--) {
        size_t at = below(*size), length = below(*size - at < 40 ? *size - at : 40);
        switch (below(4)) {
        case 0: stream[at] = (uint8_t)next(); break;
        case 1: stream[at] = (uint8_t)(one_in(2) ? 0xff : stream[at] ^ 1 << below(8)); break;
        case 2:
            memmove(stream + at, stream + at + length, *size - at - length);
            *size -= length;
            break;
        default:
            if (MAX_STREAM - *size < length)
                break;
            memmove(stream + at + length, stream + at, *size - at);
            *size += length;
        }
    }
}

size_t make_stream(uint64_t *seed, uint8_t stream[MAX_STREAM]) {
    size_t size = 0;
    state = seed;
    if (!one_in(50))
        add_frame(stream, &size, HELLO);
    for (uint64_t frames = below(MAX_FRAMES); frames > 0; frames--) {
        if (one_in(4))
            add_file(stream, &size);
        else if (one_in(4))
            add_frame(stream, &size, LIST);
        else
            add_frame(stream, &size, (uint8_t)(CHECK + below(SIGNAL - CHECK + 1)));
    }
    if (one_in(3))
        damage(stream, &size);
    return size;
}
