/* Frames of the sync protocol: little endian, `u32 size of the payload, u8 type, payload`. No I/O here. */
#define _GNU_SOURCE
#include <string.h>

#include "helper.h"

long frame_next(const uint8_t *data, size_t size, struct frame *frame) {
    if (size < FRAME_HEADER)
        return 0;
    struct cursor header = {data, data + FRAME_HEADER, false};
    uint32_t payload = take_u32(&header);
    if (payload > MAX_PAYLOAD)
        return -1;
    if (size - FRAME_HEADER < payload)
        return 0;
    frame->type = take_u8(&header);
    frame->payload = (struct cursor){data + FRAME_HEADER, data + FRAME_HEADER + payload, false};
    return (long)(FRAME_HEADER + payload);
}

const uint8_t *take_bytes(struct cursor *cursor, size_t size) {
    static const uint8_t nothing[DIGEST_SIZE];
    if (cursor->broken || (size_t)(cursor->end - cursor->at) < size) {
        cursor->broken = true;
        return nothing;
    }
    const uint8_t *bytes = cursor->at;
    cursor->at += size;
    return bytes;
}

static uint64_t take_number(struct cursor *cursor, size_t size) {
    const uint8_t *bytes = take_bytes(cursor, size);
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

uint8_t take_u8(struct cursor *cursor) { return (uint8_t)take_number(cursor, 1); }
uint16_t take_u16(struct cursor *cursor) { return (uint16_t)take_number(cursor, 2); }
uint32_t take_u32(struct cursor *cursor) { return (uint32_t)take_number(cursor, 4); }
uint64_t take_u64(struct cursor *cursor) { return take_number(cursor, 8); }

const uint8_t *take_string(struct cursor *cursor, uint16_t *size) {
    *size = take_u16(cursor);
    const uint8_t *bytes = take_bytes(cursor, *size);
    if (cursor->broken)
        *size = 0;
    return bytes;
}

struct operation take_operation(struct cursor *cursor) {
    struct operation operation;
    operation.root = take_u8(cursor);
    operation.flags = take_u8(cursor);
    operation.mode = take_u16(cursor);
    operation.path = take_string(cursor, &operation.path_size);
    operation.guard = (struct guard){0};
    if (operation.flags & FLAG_GUARDED) {
        operation.guard.kind = (char)take_u8(cursor);
        memcpy(operation.guard.digest, take_bytes(cursor, DIGEST_SIZE), DIGEST_SIZE);
    }
    return operation;
}

bool copy_text(char text[PATH_MAX], const uint8_t *bytes, size_t size) {
    if (size >= PATH_MAX || memchr(bytes, 0, size))
        return false;
    memcpy(text, bytes, size);
    text[size] = 0;
    return true;
}

void put_bytes(struct builder *frame, const void *data, size_t size) {
    if (frame->capacity - frame->size < size)
        return;
    memcpy(frame->data + frame->size, data, size);
    frame->size += size;
}

static void put_number(struct builder *frame, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    put_bytes(frame, bytes, size);
}

void frame_begin(struct builder *frame, uint8_t *data, size_t capacity, uint8_t type) {
    *frame = (struct builder){data, capacity, 0};
    put_u32(frame, 0);
    put_u8(frame, type);
}

void put_u8(struct builder *frame, uint8_t value) { put_number(frame, value, 1); }
void put_u16(struct builder *frame, uint16_t value) { put_number(frame, value, 2); }
void put_u32(struct builder *frame, uint32_t value) { put_number(frame, value, 4); }
void put_u64(struct builder *frame, uint64_t value) { put_number(frame, value, 8); }

void put_found(struct builder *frame, const struct found *found) {
    put_u8(frame, (uint8_t)found->kind);
    put_u16(frame, found->mode);
    put_u64(frame, found->size);
    put_u64(frame, (uint64_t)found->mtime);
}

void put_string(struct builder *frame, const void *data, size_t size) {
    if (frame->capacity - frame->size < size + 2)
        return;
    put_u16(frame, (uint16_t)size);
    put_bytes(frame, data, size);
}

void frame_end(struct builder *frame) {
    size_t whole = frame->size;
    frame->size = 0;
    put_u32(frame, (uint32_t)(whole - FRAME_HEADER));
    frame->size = whole;
}
