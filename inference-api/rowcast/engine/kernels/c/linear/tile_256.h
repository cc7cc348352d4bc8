/* Tiles in vectors of 256 bits, two for a panel.
 *
 * bf16 is multiplied as fp32: a product is exact, and each output adds the second input of a pair
 * first, as the 512-bit instruction does. Inputs are laid out as fp32, weights are widened here.
 * int8 is multiplied in halves of 16 bits, two at a time: every sum is exact. */
#pragma once
#include "layer.h"

#if FUSED
enum { VECTOR = 32, MOST_ROWS = 6, MOST_VECTORS = 4 };

/* Half a line, widened. `second`: of each pair of inputs. */
INLINE __m256 weights_of(const int kind, const int second, const char *from) {
    __m256 line = _mm256_load_ps((const float *)from);
    if (kind == HALVES)
        line = second ? _mm256_and_ps(line, (__m256)_mm256_set1_epi32(-0x10000))
                      : (__m256)_mm256_slli_epi32((__m256i)line, 16);
    if (kind == BYTES) {
        const __m256i high = second ? (__m256i)line : _mm256_slli_epi16((__m256i)line, 8);
        line = (__m256)_mm256_srai_epi16(high, 8);
    }
    __asm__("" : "+x"(line)); /* read once, not once for each token */
    return line;
}

/* What a line's weights are multiplied by. */
INLINE __m256 input_of(const int kind, const int second, const char *from) {
    const __m256 all = _mm256_broadcast_ss((const float *)from + (kind == HALVES && second));
    if (kind != BYTES) return all;
    return (__m256)(second ? _mm256_srli_epi16((__m256i)all, 8)
                           : _mm256_and_si256((__m256i)all, _mm256_set1_epi16(255)));
}

INLINE __m256 plus_product(const int kind, __m256 sum, __m256 input, __m256 line) {
    if (kind != BYTES) return _mm256_fmadd_ps(input, line, sum);
    const __m256i pairs = _mm256_madd_epi16((__m256i)input, (__m256i)line);
    return (__m256)_mm256_add_epi32((__m256i)sum, pairs);
}

/* Add one line's weights, times one input of each token. */
INLINE void add_input(const int kind, const int second, const int tall, const int vectors,
                      const char *const *inputs, const char *const *lines,
                      __m256 (*sum)[MOST_VECTORS]) {
    __m256 line[MOST_VECTORS], input[MOST_ROWS];
    /* Registers hold all inputs of three tokens and one vector of weights, or else one input. */
    const int held = tall <= 3 ? tall : 0, others = tall - held;
#pragma GCC unroll 3
    for (int row = 0; row < held; row++)
        input[row] = input_of(kind, second, inputs[row]);
#pragma GCC unroll 4
    for (int each = 0; each < vectors; each++) {
        line[each] = weights_of(kind, second, lines[each / 2] + each % 2 * VECTOR);
#pragma GCC unroll 3
        for (int row = 0; row < held; row++)
            sum[row][each] = plus_product(kind, sum[row][each], input[row], line[each]);
    }
#pragma GCC unroll 6
    for (int row = 0; row < others; row++) {
        const __m256 all = input_of(kind, second, inputs[row]);
#pragma GCC unroll 4
        for (int each = 0; each < vectors; each++)
            sum[row][each] = plus_product(kind, sum[row][each], all, line[each]);
    }
    __asm__ volatile("" ::: "memory"); /* more at a time would not fit the registers */
}

INLINE void tile_256(const int kind, const int tall, const int broad, const char *input,
                     int64_t step, const char *lines, int64_t panel, int64_t count, float *sums,
                     int64_t sums_step, const char *ahead, int64_t ahead_by) {
    const int vectors = 2 * broad, parts = kind == FLOATS ? 1 : 2;
    __m256 sum[MOST_ROWS][MOST_VECTORS];
    const char *inputs[MOST_ROWS], *panels[MOST_VECTORS / 2];
#pragma GCC unroll 2
    for (int each = 0; each < broad; each++) panels[each] = lines + each * panel;
#pragma GCC unroll 6
    for (int row = 0; row < tall; row++) {
        inputs[row] = input + row * step;
        __asm__("" : "+r"(inputs[row])); /* a pointer for each row */
#pragma GCC unroll 4
        for (int each = 0; each < vectors; each++)
            sum[row][each] = _mm256_load_ps(sums + row * sums_step + each * LANES / 2);
    }
    for (int64_t at = 0; at < count; at += CHUNK) {
        for (int64_t next = 0; next < ahead_by; next++, ahead += LINE)
            for (int each = 0; each < broad; each++)
                __builtin_prefetch(ahead + each * panel, 0, 2);
#pragma GCC unroll 2
        for (int one = 0; one < CHUNK; one++) {
#pragma GCC unroll 2
            for (int second = parts - 1; second >= 0; second--)
                add_input(kind, second, tall, vectors, inputs, panels, sum);
#pragma GCC unroll 6
            for (int row = 0; row < tall; row++) inputs[row] += kind == HALVES ? 8 : 4;
#pragma GCC unroll 2
            for (int each = 0; each < broad; each++) {
                __builtin_prefetch(panels[each] + CHUNK * LINE, 0, 3);
                panels[each] += LINE;
            }
        }
    }
#pragma GCC unroll 6
    for (int row = 0; row < tall; row++)
#pragma GCC unroll 4
        for (int each = 0; each < vectors; each++)
            _mm256_store_ps(sums + row * sums_step + each * LANES / 2, sum[row][each]);
}
#endif
