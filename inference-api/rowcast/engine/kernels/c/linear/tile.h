/* A tile: a few tokens by a few panels, summed in registers. One function for each size. */
#pragma once
#include "tile_256.h"

enum { TALL = 8 };
#if WIDE
enum { BROAD = 3, HEIGHT = 8 };  /* of the largest tile whose sums registers hold */
#elif FUSED
enum { BROAD = 2, HEIGHT = 6 };
#elif defined __aarch64__
enum { BROAD = 1, HEIGHT = 6 };
#else
enum { BROAD = 1, HEIGHT = 3 };
#endif

/* Panels of a tile for so many tokens. */
INLINE int64_t broad_of(int64_t tokens) { return !FUSED || tokens <= 2 ? BROAD : 1; }

/* Tokens of the largest tile: registers widen bf16 and int8, too. */
INLINE int64_t height_of(int64_t kind) { return FUSED && kind != FLOATS ? HEIGHT - 1 : HEIGHT; }

/* Add one line of weights, times 4 bytes of a token's input, to 16 sums. */
INLINE vf product(const int kind, vf sum, vi line, int32_t input) {
    if (kind == FLOATS) {
        float value;
        memcpy(&value, &input, sizeof value);
        return multiply_add(splat(value), (vf)line, sum);
    }
    vi all = (vi){} + input;
    if (kind == HALVES) {
#if PAIRED
        return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)all, (__m512bh)line);
#else
        vu high = (vu){} + 0xFFFF0000u;
        sum = multiply_add((vf)((vu)all & high), (vf)((vu)line & high), sum);
        return multiply_add((vf)((vu)all << 16), (vf)((vu)line << 16), sum);
#endif
    }
#if QUADS
    return (vf)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)all, (__m512i)line);
#elif WIDE
    const __m512i bytes = (__m512i)all, even = _mm512_slli_epi16((__m512i)line, 8);
    const __m512i first = _mm512_madd_epi16(_mm512_and_si512(bytes, _mm512_set1_epi16(255)),
                                            _mm512_srai_epi16(even, 8));
    const __m512i second = _mm512_madd_epi16(_mm512_srli_epi16(bytes, 8),
                                             _mm512_srai_epi16((__m512i)line, 8));
    return (vf)_mm512_add_epi32((__m512i)sum, _mm512_add_epi32(first, second));
#else
    vi whole = (vi)sum;
    for (int byte = 0; byte < 4; byte++)
        whole += (vi)((vu)all >> 8 * byte & 255) * ((vi)((vu)line << (24 - 8 * byte)) >> 24);
    return (vf)whole;
#endif
}

typedef void Tile(const char *input, int64_t step, const char *lines, int64_t panel, int64_t count,
                  vf *sums, const char *ahead, int64_t ahead_by);

/* `ahead`: lines of each panel prefetched to L2 meanwhile, `ahead_by` of them per chunk. */
INLINE void tile(const int kind, const int tall, const int broad, const char *input, int64_t step,
                 const char *lines, int64_t panel, int64_t count, vf *sums, const char *ahead,
                 int64_t ahead_by) {
#if FUSED
    tile_256(kind, tall, broad, input, step, lines, panel, count, (float *)sums, BROAD * LANES,
             ahead, ahead_by);
#else
    vf sum[TALL][BROAD];
#pragma GCC unroll 8
    for (int row = 0; row < tall; row++)
#pragma GCC unroll 3
        for (int each = 0; each < broad; each++) sum[row][each] = sums[row * BROAD + each];
    for (int64_t at = 0; at < count; at += CHUNK) {
        for (int64_t next = 0; next < ahead_by; next++, ahead += LINE)
            for (int each = 0; each < broad; each++)
                __builtin_prefetch(ahead + each * panel, 0, 2);
        for (int64_t one = 0; one < CHUNK; one++, input += 4, lines += LINE) {
            vi line[BROAD];
#pragma GCC unroll 3
            for (int each = 0; each < broad; each++) {
                __builtin_prefetch(lines + each * panel + CHUNK * LINE, 0, 3);
                memcpy(&line[each], lines + each * panel, LINE);
            }
#pragma GCC unroll 8
            for (int row = 0; row < tall; row++) {
                int32_t quad;
                memcpy(&quad, input + row * step, sizeof quad);
#pragma GCC unroll 3
                for (int each = 0; each < broad; each++)
                    sum[row][each] = product(kind, sum[row][each], line[each], quad);
            }
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < tall; row++)
#pragma GCC unroll 3
        for (int each = 0; each < broad; each++) sums[row * BROAD + each] = sum[row][each];
#endif
}

#define TILE(kind, tall, broad)                                                                 \
    static void tile_##kind##_##tall##_##broad(                                                 \
        const char *input, int64_t step, const char *lines, int64_t panel, int64_t count,       \
        vf *sums, const char *ahead, int64_t ahead_by) {                                        \
        tile(kind, tall, broad, input, step, lines, panel, count, sums, ahead, ahead_by);       \
    }
#define TILES_OF(kind, broad)                                                                   \
    TILE(kind, 1, broad) TILE(kind, 2, broad) TILE(kind, 3, broad) TILE(kind, 4, broad)         \
    TILE(kind, 5, broad) TILE(kind, 6, broad) TALLER(kind, broad)
#define NAMES_OF(kind, broad)                                                                   \
    {tile_##kind##_1_##broad, tile_##kind##_2_##broad, tile_##kind##_3_##broad,                 \
     tile_##kind##_4_##broad, tile_##kind##_5_##broad, tile_##kind##_6_##broad,                 \
     TALLER_NAMES(kind, broad)}
#if WIDE
#define TALLER(kind, broad) TILE(kind, 7, broad) TILE(kind, 8, broad)
#define TALLER_NAMES(kind, broad) tile_##kind##_7_##broad, tile_##kind##_8_##broad
#define TILES(kind) TILES_OF(kind, 1) TILES_OF(kind, 2) TILES_OF(kind, 3)
#define NAMES(kind) {NAMES_OF(kind, 1), NAMES_OF(kind, 2), NAMES_OF(kind, 3)}
#else
#define TALLER(kind, broad)
#define TALLER_NAMES(kind, broad)
#if FUSED
#define TILES(kind) TILES_OF(kind, 1) TILE(kind, 1, 2) TILE(kind, 2, 2)
#define NAMES(kind) {NAMES_OF(kind, 1), {tile_##kind##_1_2, tile_##kind##_2_2}}
#else
#define TILES(kind) TILES_OF(kind, 1)
#define NAMES(kind) {NAMES_OF(kind, 1)}
#endif
#endif
TILES(FLOATS)
TILES(HALVES)
TILES(BYTES)
static Tile *const tiles[3][BROAD][TALL] = {NAMES(FLOATS), NAMES(HALVES), NAMES(BYTES)};
