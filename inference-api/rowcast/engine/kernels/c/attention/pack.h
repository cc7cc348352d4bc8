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

/* Rows of LANES numbers of 4 bytes, `step` bytes apart, to columns. */
INLINE void transpose(const char *from, int64_t step, vf *to) {
#if VECTOR_BITS == 256
    for (int half = 0; half < 2; half++, from += 16, to += 4) { /* shuffles within 128 bits only */
        __m256 row[4];
        for (int i = 0; i < 4; i++) {
            const __m128 low = _mm_loadu_ps((const float *)(from + i * step));
            const __m128 high = _mm_loadu_ps((const float *)(from + (i + 4) * step));
            row[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
        }
        for (int i = 0; i < 4; i += 2) {
            const __m256 first = i ? _mm256_unpackhi_ps(row[0], row[1]) : _mm256_unpacklo_ps(row[0], row[1]);
            const __m256 second = i ? _mm256_unpackhi_ps(row[2], row[3]) : _mm256_unpacklo_ps(row[2], row[3]);
            to[i] = (vf)_mm256_unpacklo_pd((__m256d)first, (__m256d)second);
            to[i + 1] = (vf)_mm256_unpackhi_pd((__m256d)first, (__m256d)second);
        }
    }
#else
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) to[i] = load(from + i * step);
    for (int round = 1; round < LANES; round *= 2) {
        vf zipped[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            zipped[2 * i] = zip_low(to[i], to[i + LANES / 2]);
            zipped[2 * i + 1] = zip_high(to[i], to[i + LANES / 2]);
        }
        memcpy(to, zipped, sizeof zipped);
    }
#endif
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

/* Numbers at..at+LANES (fp32), or twice as many (bf16), of the keys first..first+LANES, by columns;
   zeros for keys outside low..high, and past a key's end. */
INLINE void columns_of(const Call *call, const char *keys, int64_t low, int64_t high, int64_t first,
                       int64_t at, vf *to, const int kind) {
    const int64_t size = kind == FLOATS ? 4 : 2, step = call->key_at * size;
    const char *from = keys + first * step + at * size;
    const int64_t bytes = least((call->key_size - at) * size, sizeof(vf));
    if (first >= low && first + LANES <= high && bytes == sizeof(vf)) {
        transpose(from, step, to);
        return;
    }
    char edge[LANES][sizeof(vf)] = {0};
    for (int64_t i = most(0, low - first); i < least(LANES, high - first); i++)
        memcpy(edge[i], from + i * step, (size_t)bytes);
    transpose(edge[0], sizeof(vf), to);
}

/* Keys low..high of the block that begins at `keys`: to[unit][key], whole vectors. */
INLINE void pack_keys(const Call *call, const char *keys, int64_t low, int64_t high, float *to,
                      const int kind) {
    const int64_t full = kind == FLOATS ? LANES : 2 * LANES, units = up(call->key_size, LANES);
    for (int64_t first = low / LANES * LANES; first < high; first += LANES)
        for (int64_t at = 0; at < call->key_size; at += full) {
            vf column[LANES];
            columns_of(call, keys, low, high, first, at, column, kind);
            float *here = to + (kind == PAIRS ? at / 2 : at) * BLOCK + first;
            for (int i = 0; i < LANES; i++)
                if (kind != WIDENED) store(here + i * BLOCK, column[i]);
                else if (at + 2 * i < units) {
                    store(here + 2 * i * BLOCK, (vf)((vi)column[i] << 16));
                    store(here + (2 * i + 1) * BLOCK, (vf)((vi)column[i] & (int32_t)0xffff0000));
                }
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
