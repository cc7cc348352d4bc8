/* Packing: keys so that a vector holds one number of many keys, values padded to whole vectors. */
#pragma once
#include "call.h"

#if defined __clang__
#define ZIP(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ZIP(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

INLINE vf zip_low(vf a, vf b) {
#if VECTOR_BITS == 512
    return ZIP(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif VECTOR_BITS == 256
    return ZIP(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    return ZIP(a, b, 0, 4, 1, 5);
#endif
}

INLINE vf zip_high(vf a, vf b) {
#if VECTOR_BITS == 512
    return ZIP(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif VECTOR_BITS == 256
    return ZIP(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    return ZIP(a, b, 2, 6, 3, 7);
#endif
}

INLINE void transpose(vf *matrix) {
    for (int round = 1; round < LANES; round *= 2) {
        vf zipped[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            zipped[2 * i] = zip_low(matrix[i], matrix[i + LANES / 2]);
            zipped[2 * i + 1] = zip_high(matrix[i], matrix[i + LANES / 2]);
        }
        memcpy(matrix, zipped, sizeof zipped);
    }
}

/* LANES numbers of two values, alternating, from number `first` on: a's, b's, a's next, ... */
#if PAIRED
INLINE vi zipped(int32_t first) { return lanes(first) | lanes(first + 32) << 16; }
INLINE vf pairs(vf a, vf b, int32_t first) {
    return (vf)_mm512_permutex2var_epi16((__m512i)a, (__m512i)zipped(first), (__m512i)b);
}
#else
INLINE vf pairs(vf a, vf b, int32_t first) { return (void)b, (void)first, a; } /* never called */
#endif

/* Keys low..high of the block that begins at `keys`: to[unit][key], whole vectors. */
INLINE void pack_keys(const Call *call, const char *keys, int64_t low, int64_t high, float *to,
                      const int kind) {
    const int64_t size = kind == FLOATS ? 4 : 2, full = kind == PAIRS ? 2 * LANES : LANES;
    for (int64_t first = low / LANES * LANES; first < high; first += LANES)
        for (int64_t at = 0, unit = 0; at < call->key_size; at += full, unit += LANES) {
            const int64_t step = call->key_at * size, here = first * step + at * size;
            vf matrix[LANES];
            if (first >= low && first + LANES <= high && at + full <= call->key_size)
#pragma GCC unroll 16
                for (int i = 0; i < LANES; i++) matrix[i] = take(keys + here + i * step, full, kind);
            else
                for (int i = 0; i < LANES; i++) {
                    const int seen = first + i >= low && first + i < high;
                    matrix[i] = seen ? take(keys + here + i * step, call->key_size - at, kind) : splat(0);
                }
            transpose(matrix);
            for (int i = 0; i < LANES; i++) store(to + (unit + i) * BLOCK + first, matrix[i]);
        }
}

/* Values low..high of the block that begins at `values`: to[key][number], or to[pair][number]. */
INLINE void pack_values(const Call *call, const char *values, int64_t low, int64_t high, float *to,
                        int64_t width, const int kind) {
    const int64_t size = kind == FLOATS ? 4 : 2, full = kind == PAIRS ? 2 * LANES : LANES;
    const int64_t step = call->value_at * size;
    for (int64_t at = 0; at < call->value_size; at += full) {
        const char *from = values + at * size;
        const int64_t count = call->value_size - at;
        if (kind != PAIRS)
            for (int64_t key = low; key < high; key++) {
                store(to + key * width + at, take(from + key * step, count, kind));
            }
        else
            for (int64_t key = low & ~1; key < high; key += 2) {
                const vf even = key < low ? splat(0) : take(from + key * step, count, PAIRS);
                const vf odd = key + 1 < high ? take(from + (key + 1) * step, count, PAIRS) : splat(0);
                store(to + key / 2 * width + at, pairs(even, odd, 0));
                if (count > LANES) store(to + key / 2 * width + at + LANES, pairs(even, odd, LANES));
            }
    }
}
