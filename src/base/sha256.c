/*
 * SHA-256 (FIPS 180-4), for the names of constants: gigabytes pass through it when a model is written, so
 * processors with SHA instructions use them.
 */
#include "base/base.h"

#include <stdio.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_SHA_INSTRUCTIONS 1
#include <cpuid.h>
#include <immintrin.h>
#else
#define HAS_SHA_INSTRUCTIONS 0
#endif

enum { BLOCK_BYTES = 64 };

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* ---- plain C ------------------------------------------------------------------------------------------- */

static inline uint32_t rotate_right(uint32_t x, unsigned n)
{
    return (x >> n) | (x << (32 - n));
}

static inline uint32_t load_big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One round. The eight variables keep their places; it is their roles that move on, so the caller rotates the
 * names. */
static inline void round_once(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f,
                              uint32_t g, uint32_t *h, uint32_t input)
{
    uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
    uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
    uint32_t t1 = *h + s1 + ((e & f) ^ (~e & g)) + input;

    *d += t1;
    *h = t1 + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

static void compress_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    uint32_t w[64];

    for (int i = 0; i < 16; i++)
        w[i] = load_big_endian(block + (size_t)4 * (size_t)i);
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate_right(x, 7) ^ rotate_right(x, 18) ^ (x >> 3)) +
               (rotate_right(y, 17) ^ rotate_right(y, 19) ^ (y >> 10));
    }
    for (int i = 0; i < 64; i += 8) {
        const uint32_t *k = round_constants + i, *v = w + i;
        round_once(a, b, c, &d, e, f, g, &h, k[0] + v[0]);
        round_once(h, a, b, &c, d, e, f, &g, k[1] + v[1]);
        round_once(g, h, a, &b, c, d, e, &f, k[2] + v[2]);
        round_once(f, g, h, &a, b, c, d, &e, k[3] + v[3]);
        round_once(e, f, g, &h, a, b, c, &d, k[4] + v[4]);
        round_once(d, e, f, &g, h, a, b, &c, k[5] + v[5]);
        round_once(c, d, e, &f, g, h, a, &b, k[6] + v[6]);
        round_once(b, c, d, &e, f, g, h, &a, k[7] + v[7]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

/* ---- x86 SHA instructions ------------------------------------------------------------------------------ */

#if HAS_SHA_INSTRUCTIONS

/* SHA, SSSE3 and SSE4.1. */
static bool has_sha_instructions(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

/* Four rounds. The instructions keep the state as {a, b, e, f} and {c, d, g, h}. */
__attribute__((target("sha,sse4.1"))) static inline void four_rounds(__m128i *abef, __m128i *cdgh,
                                                                     __m128i words, int first)
{
    __m128i input =
        _mm_add_epi32(words, _mm_loadu_si128((const __m128i *)(const void *)(round_constants + first)));

    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, input);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(input, 0x0e));
}

/* Words t+16 to t+19 of the schedule from the sixteen before them. */
__attribute__((target("sha,sse4.1"))) static inline __m128i next_words(__m128i w0, __m128i w4, __m128i w8,
                                                                       __m128i w12)
{
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8(w12, w8, 4)),
                                w12);
}

__attribute__((target("sha,sse4.1"))) static inline __m128i load_words(const uint8_t *from)
{
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)from), big_endian);
}

__attribute__((target("sha,sse4.1"))) static void
compress_with_instructions(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    /* {a, b, c, d} and {e, f, g, h} in memory become {a, b, e, f} and {c, d, g, h}, highest lane first. */
    __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(abcd, efgh, 8), cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);

    for (; blocks > 0; blocks--, data += BLOCK_BYTES) {
        __m128i before_abef = abef, before_cdgh = cdgh;
        __m128i w0 = load_words(data), w4 = load_words(data + 16);
        __m128i w8 = load_words(data + 32), w12 = load_words(data + 48);

        for (int first = 0;; first += 16) {
            four_rounds(&abef, &cdgh, w0, first);
            four_rounds(&abef, &cdgh, w4, first + 4);
            four_rounds(&abef, &cdgh, w8, first + 8);
            four_rounds(&abef, &cdgh, w12, first + 12);
            if (first == 48)
                break;
            w0 = next_words(w0, w4, w8, w12);
            w4 = next_words(w4, w8, w12, w0);
            w8 = next_words(w8, w12, w0, w4);
            w12 = next_words(w12, w0, w4, w8);
        }
        abef = _mm_add_epi32(abef, before_abef);
        cdgh = _mm_add_epi32(cdgh, before_cdgh);
    }
    abcd = _mm_shuffle_epi32(abef, 0x1b);
    efgh = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(abcd, efgh, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(efgh, abcd, 8));
}

#else

static bool has_sha_instructions(void)
{
    return false;
}

#endif

/* ---- the digest ---------------------------------------------------------------------------------------- */

static void compress(qvk__sha256 *sha, const uint8_t *data, size_t blocks)
{
#if HAS_SHA_INSTRUCTIONS
    if (sha->has_instructions) {
        compress_with_instructions(sha->state, data, blocks);
        return;
    }
#endif
    for (size_t i = 0; i < blocks; i++)
        compress_block(sha->state, data + i * BLOCK_BYTES);
}

void qvk__sha256_begin(qvk__sha256 *sha)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(sha, 0, sizeof *sha);
    memcpy(sha->state, initial, sizeof initial);
    sha->has_instructions = has_sha_instructions();
}

void qvk__sha256_add(qvk__sha256 *sha, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    size_t filled = (size_t)(sha->bytes % BLOCK_BYTES), take;

    if (bytes == 0)
        return;
    sha->bytes += bytes;
    if (filled > 0) {
        take = QVK__MIN(bytes, BLOCK_BYTES - filled);
        memcpy(sha->block + filled, p, take);
        p += take;
        bytes -= take;
        if (filled + take < BLOCK_BYTES)
            return;
        compress(sha, sha->block, 1);
    }
    compress(sha, p, bytes / BLOCK_BYTES);
    memcpy(sha->block, p + bytes / BLOCK_BYTES * BLOCK_BYTES, bytes % BLOCK_BYTES);
}

void qvk__sha256_end(qvk__sha256 *sha, char hex[65])
{
    static const uint8_t padding[BLOCK_BYTES] = {0x80};
    uint64_t bits = sha->bytes * 8;
    uint8_t length[8];

    qvk__sha256_add(sha, padding, (size_t)((119 - sha->bytes % BLOCK_BYTES) % BLOCK_BYTES + 1));
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    qvk__sha256_add(sha, length, sizeof length);
    for (int i = 0; i < 8; i++)
        snprintf(hex + (size_t)8 * (size_t)i, 9, "%08x", sha->state[i]);
}
