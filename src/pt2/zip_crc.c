/*
 * Carry-less products fold 64 bytes at a time; what remains is congruent to the message, and zlib finishes
 * it. Source: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel
 * 2009, for reflected bits.
 */
#include "pt2/zip_crc.h"

#include <zlib.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_CARRYLESS_PRODUCTS 1
#include <immintrin.h>
#else
#define HAS_CARRYLESS_PRODUCTS 0
#endif

static uint32_t crc_by_zlib(uint32_t crc, const uint8_t *data, uint64_t bytes)
{
    while (bytes > 0) {
        uInt chunk = (uInt)QVK__MIN(bytes, (uint64_t)1 << 30);
        crc = (uint32_t)crc32(crc, data, chunk);
        data += chunk;
        bytes -= chunk;
    }
    return crc;
}

#if HAS_CARRYLESS_PRODUCTS

enum { LANE_BYTES = 16, BLOCK_BYTES = 4 * LANE_BYTES };
#define FOR_PRODUCTS __attribute__((target("pclmul,sse2")))

FOR_PRODUCTS static inline __m128i load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

/* x moved ahead by the distance that the two factors stand for, and `next` added. */
FOR_PRODUCTS static inline __m128i fold(__m128i x, __m128i factors, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, factors, 0x00), high = _mm_clmulepi64_si128(x, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* At least one block, and whole lanes. */
FOR_PRODUCTS static uint32_t crc_by_products(uint32_t crc, const uint8_t *data, uint64_t bytes)
{
    /* x^(d+32) and x^(d-32) modulo the polynomial, bits reversed: a distance d of 512 and of 128 bits. */
    const __m128i block_factors = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
    const __m128i lane_factors = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    __m128i lanes[4], sum;
    uint8_t rest[LANE_BYTES];

    for (int i = 0; i < 4; i++)
        lanes[i] = load(data + (size_t)i * LANE_BYTES);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)~crc));
    data += BLOCK_BYTES;
    bytes -= BLOCK_BYTES;
    for (; bytes >= BLOCK_BYTES; data += BLOCK_BYTES, bytes -= BLOCK_BYTES) {
        lanes[0] = fold(lanes[0], block_factors, load(data));
        lanes[1] = fold(lanes[1], block_factors, load(data + LANE_BYTES));
        lanes[2] = fold(lanes[2], block_factors, load(data + 2 * (size_t)LANE_BYTES));
        lanes[3] = fold(lanes[3], block_factors, load(data + 3 * (size_t)LANE_BYTES));
    }
    sum = lanes[0];
    for (int i = 1; i < 4; i++)
        sum = fold(sum, lane_factors, lanes[i]);
    for (; bytes >= LANE_BYTES; data += LANE_BYTES, bytes -= LANE_BYTES)
        sum = fold(sum, lane_factors, load(data));
    _mm_storeu_si128((__m128i *)(void *)rest, sum);
    return crc_by_zlib(UINT32_MAX, rest,
                       sizeof rest); /* the bits of `crc` are in it already: begin with none */
}

#endif

uint32_t qvk__zip_crc(uint32_t crc, const void *data, uint64_t bytes)
{
    const uint8_t *from = data;

#if HAS_CARRYLESS_PRODUCTS
    const uint64_t whole = bytes / LANE_BYTES * LANE_BYTES;
    if (whole >= BLOCK_BYTES && __builtin_cpu_supports("pclmul")) {
        crc = crc_by_products(crc, from, whole);
        from += whole;
        bytes -= whole;
    }
#endif
    return crc_by_zlib(crc, from, bytes);
}

uint32_t qvk__zip_crc_join(uint32_t first, uint32_t second, uint64_t second_bytes)
{
    return (uint32_t)crc32_combine(first, second, (z_off_t)second_bytes);
}
