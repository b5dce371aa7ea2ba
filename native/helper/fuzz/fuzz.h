/* Fuzzing of the receiver: what comes from the sender must not crash it, nor lead it out of its roots. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* ---- target.c ---- */

/* One stream of frames into a receiver on two small folders of a temporary one. Ends the process with a message when
 * something is wrong. The name is that of LLVM's libFuzzer, which can drive it too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many frames of a type the receivers answered so far, and how much their containers' programs did. */
extern uint64_t answered[256], acted;

/* ---- streams.c ---- */

#define MAX_STREAM (600 * 1024)

/* The next stream of a sequence that the seed decides; returns its size. */
size_t make_stream(uint64_t *seed, uint8_t stream[MAX_STREAM]);

#endif
