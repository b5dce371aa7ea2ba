/* SHA-256 by the processor's own instructions, where it has them: five times as fast, and a helper hashes all that is
 * compared or received. x86: Intel SHA Extensions; arm64: the cryptographic extension. Rounds go by four, with the last
 * sixteen words of the message schedule (FIPS 180-4, section 6.2.2) in four vectors that are used in turn. */
#define _GNU_SOURCE
#include "helper.h"

#if defined __x86_64__

#include <cpuid.h>
#include <immintrin.h>

bool sha256_cpu_can(void) {
    unsigned a, b, c, d;
    bool vectors = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1);
    return vectors && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

__attribute__((target("sha,ssse3,sse4.1"))) void sha256_cpu_compress(uint32_t state[8], const uint8_t *block) {
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    const __m128i *words = (const __m128i *)block;
    __m128i w[4];
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    const __m128i abef_before = abef, cdgh_before = cdgh;
    for (int i = 0; i < 16; i++) {
        __m128i *now = &w[i % 4], one = w[(i + 1) % 4], two = w[(i + 2) % 4], three = w[(i + 3) % 4];
        if (i < 4)
            *now = _mm_shuffle_epi8(_mm_loadu_si128(words + i), swap);
        else
            *now = _mm_sha256msg2_epu32(
                _mm_add_epi32(_mm_sha256msg1_epu32(*now, one), _mm_alignr_epi8(three, two, 4)), three);
        __m128i sum = _mm_add_epi32(*now, _mm_loadu_si128((const __m128i *)(SHA256_K + 4 * i)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
    state[0] = (uint32_t)_mm_extract_epi32(abef, 3), state[1] = (uint32_t)_mm_extract_epi32(abef, 2);
    state[4] = (uint32_t)_mm_extract_epi32(abef, 1), state[5] = (uint32_t)_mm_extract_epi32(abef, 0);
    state[2] = (uint32_t)_mm_extract_epi32(cdgh, 3), state[3] = (uint32_t)_mm_extract_epi32(cdgh, 2);
    state[6] = (uint32_t)_mm_extract_epi32(cdgh, 1), state[7] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}

#elif defined __aarch64__

#include <arm_neon.h>
#include <sys/auxv.h>

#ifndef HWCAP_SHA2
#define HWCAP_SHA2 (1 << 6)
#endif

bool sha256_cpu_can(void) { return getauxval(AT_HWCAP) & HWCAP_SHA2; }

__attribute__((target("sha2"))) void sha256_cpu_compress(uint32_t state[8], const uint8_t *block) {
    uint32x4_t w[4];
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
    const uint32x4_t abcd_before = abcd, efgh_before = efgh;
    for (int i = 0; i < 16; i++) {
        uint32x4_t *now = &w[i % 4], one = w[(i + 1) % 4], two = w[(i + 2) % 4], three = w[(i + 3) % 4];
        if (i < 4)
            *now = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
        else
            *now = vsha256su1q_u32(vsha256su0q_u32(*now, one), two, three);
        uint32x4_t sum = vaddq_u32(*now, vld1q_u32(SHA256_K + 4 * i)), former = abcd;
        abcd = vsha256hq_u32(abcd, efgh, sum);
        efgh = vsha256h2q_u32(efgh, former, sum);
    }
    vst1q_u32(state, vaddq_u32(abcd, abcd_before));
    vst1q_u32(state + 4, vaddq_u32(efgh, efgh_before));
}

#else

bool sha256_cpu_can(void) { return false; }

void sha256_cpu_compress(uint32_t state[8], const uint8_t *block) { (void)state, (void)block; }

#endif
