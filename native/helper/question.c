/* LOOK and CHECK: what is at many paths.
 *
 * Hashing a file of gigabytes takes seconds, and a save must not wait for it. So a large file is hashed in slices, between
 * which the receiver takes what the sender has to say; the question with it is answered when it is through. One such
 * question is under way at a time: the next one waits for it.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>

#include "helper.h"

#define ANSWER_SIZE (FRAME_HEADER + 4 + MAX_PATHS * (FOUND_SIZE + DIGEST_SIZE))

struct question {
    uint8_t type; /* 0: none */
    struct cursor left;
    struct builder answer;
    struct hashing file; /* of the entry that was taken last */
    struct found found;  /* of LOOK: what is there */
    const uint8_t *digest; /* of CHECK: which one is wanted; the result, where it is that one */
    enum check_result result;
    uint8_t *buffer;
    uint8_t *payload; /* what is left, when it has to be kept */
};

static uint8_t buffers[2][ANSWER_SIZE], payloads[2][MAX_PAYLOAD];
static struct question questions[2] = {
    {.file.fd = -1, .buffer = buffers[0], .payload = payloads[0]},
    {.file.fd = -1, .buffer = buffers[1], .payload = payloads[1]},
};
static struct question *slow = &questions[0], *quick = &questions[1];

static void put_entry(struct question *question, const uint8_t digest[DIGEST_SIZE]) {
    if (question->type == LOOK) {
        put_found(&question->answer, &question->found);
        put_bytes(&question->answer, digest, DIGEST_SIZE);
    } else {
        put_u8(&question->answer, (uint8_t)question->result);
    }
}

static void look(struct question *question, const struct operation *operation) {
    char path[PATH_MAX];
    uint8_t digest[DIGEST_SIZE] = {0};
    question->found = (struct found){.kind = '-'};
    if (copy_text(path, operation->path, operation->path_size))
        question->found = look_begin(&roots[operation->root], path, digest, &question->file);
    if (question->file.fd < 0)
        put_entry(question, digest);
}

static void compare(struct question *question, const struct operation *operation, char kind, uint64_t size) {
    char path[PATH_MAX];
    bool valid = copy_text(path, operation->path, operation->path_size);
    bool exact = operation->flags & FLAG_EXACT_MODE;
    struct target target = {&roots[operation->root], path, operation->mode & 0777, exact, NULL};
    question->result = valid ? compare_begin(&target, kind, size, question->digest, &question->file) : MISSING;
    if (question->file.fd < 0)
        put_entry(question, NULL);
}

/* The next path; false: the frame is broken. */
static bool take_entry(struct question *question) {
    struct cursor *left = &question->left;
    bool checks = question->type == CHECK;
    struct operation operation = take_operation(left);
    char kind = checks ? (char)take_u8(left) : 0;
    uint64_t size = checks ? take_u64(left) : 0;
    question->digest = checks ? take_bytes(left, DIGEST_SIZE) : NULL;
    if (left->broken || operation.root >= root_count)
        return false;
    if (checks)
        compare(question, &operation, kind, size);
    else
        look(question, &operation);
    return true;
}

static bool refuse(struct question *question) {
    bool checks = question->type == CHECK;
    question->type = 0;
    return fatal(checks ? "broken frame: check" : "broken frame: look");
}

/* Have the quick question answered later. */
static bool postpone(void) {
    while (slow->type)
        if (!question_go_on())
            return false;
    /* the digest that is wanted stands before what is left */
    size_t before = quick->type == CHECK ? DIGEST_SIZE : 0;
    size_t size = (size_t)(quick->left.end - quick->left.at);
    memcpy(quick->payload, quick->left.at - before, before + size);
    quick->digest = quick->payload;
    quick->left = (struct cursor){quick->payload + before, quick->payload + before + size, false};
    struct question *free = slow;
    slow = quick;
    quick = free;
    return true;
}

static bool answer(struct question *question) {
    while (question->left.at < question->left.end && question->answer.size < question->answer.capacity) {
        if (!take_entry(question))
            return refuse(question);
        if (question->file.fd >= 0)
            return question == slow || postpone();
    }
    if (question->left.broken || question->left.at < question->left.end)
        return refuse(question);
    question->type = 0;
    tree_forget();
    return send_frame(&question->answer);
}

bool question_begin(uint8_t type, struct cursor *payload) {
    size_t capacity = FRAME_HEADER + 4 + MAX_PATHS * (type == LOOK ? FOUND_SIZE + DIGEST_SIZE : 1);
    uint32_t id = take_u32(payload);
    quick->type = type;
    quick->left = *payload;
    frame_begin(&quick->answer, quick->buffer, capacity, type == LOOK ? LOOKED : CHECKED);
    put_u32(&quick->answer, id);
    return answer(quick);
}

bool question_is_going(void) { return slow->type; }

bool question_go_on(void) {
    uint8_t digest[DIGEST_SIZE] = {0};
    int error;
    if (!hashing_go_on(&slow->file, digest, &error))
        return true;
    hashing_end(&slow->file);
    if (error)
        slow->found.kind = '!';
    if (slow->type == CHECK && (error || memcmp(digest, slow->digest, DIGEST_SIZE) != 0))
        slow->result = CONTENT_DIFFERS;
    put_entry(slow, digest);
    return answer(slow);
}

void question_end(void) {
    for (struct question *question = questions; question < questions + 2; question++) {
        hashing_end(&question->file);
        question->type = 0;
    }
}
