/* Vectors of logits, and integers that sort like them. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined __AVX512F__ && defined __AVX512DQ__ && defined __AVX512BW__
#include <immintrin.h>
#define WIDE 1
#define LANES 16
#else
#define WIDE 0
#define LANES 8 /* compilers split wider vectors lane by lane */
#endif
#if !WIDE && defined __AVX2__ && defined __FMA__
#include <immintrin.h>
#define FUSED 1
#else
#define FUSED 0
#endif

#define INLINE static inline __attribute__((always_inline))

enum { BOTH = 2 * LANES }; /* numbers of a pair of vectors */

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint32_t vu __attribute__((vector_size(LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(LANES * 2)));
typedef int16_t vn __attribute__((vector_size(LANES * 2)));
typedef int16_t vs __attribute__((vector_size(LANES * 4)));

/* One row's logits. */
typedef struct {
    const void *at;
    int64_t half, size;
} Row;

static const vi numbers = {0, 1, 2, 3, 4, 5, 6, 7,
#if WIDE
                           8, 9, 10, 11, 12, 13, 14, 15
#endif
};

INLINE vf widen(vh halves) { return (vf)(__builtin_convertvector(halves, vu) << 16); }

/* A bit for each lane of a mask. */
INLINE uint32_t bits_of(vi mask) {
#if WIDE
    return _mm512_movepi32_mask((__m512i)mask);
#elif FUSED
    return _mm256_movemask_ps((__m256)mask);
#else
    uint32_t bits = 0;
    for (int lane = 0; lane < LANES; lane++) bits |= (uint32_t)(mask[lane] & 1) << lane;
    return bits;
#endif
}

INLINE vi choose(vi mask, vi yes, vi no) { return (mask & yes) | (~mask & no); }

/* The larger of two numbers that are not NaN. */
INLINE vf larger(vf a, vf b) {
#if WIDE
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif FUSED
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return (vf)choose(a > b, (vi)a, (vi)b);
#endif
}

INLINE vi higher(vi a, vi b) {
#if WIDE
    return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif FUSED
    return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
    return choose(a > b, a, b);
#endif
}

INLINE vi lower(vi a, vi b) {
#if WIDE
    return (vi)_mm512_min_epi32((__m512i)a, (__m512i)b);
#elif FUSED
    return (vi)_mm256_min_epi32((__m256i)a, (__m256i)b);
#else
    return choose(a < b, a, b);
#endif
}

INLINE vs higher_halves(vs a, vs b) {
#if WIDE
    return (vs)_mm512_max_epi16((__m512i)a, (__m512i)b);
#elif FUSED
    return (vs)_mm256_max_epi16((__m256i)a, (__m256i)b);
#else
    vs mask = a > b;
    return (mask & a) | (~mask & b);
#endif
}

INLINE vs lower_halves(vs a, vs b) {
#if WIDE
    return (vs)_mm512_min_epi16((__m512i)a, (__m512i)b);
#elif FUSED
    return (vs)_mm256_min_epi16((__m256i)a, (__m256i)b);
#else
    vs mask = a < b;
    return (mask & a) | (~mask & b);
#endif
}

/* Elements from..from+LANES; zeros past the end. */
INLINE vf get(const Row *row, int64_t from) {
    int64_t left = row->size - from, count = left < LANES ? left : LANES;
    if (row->half) {
        vh halves = {};
        if (count == LANES) memcpy(&halves, (const uint16_t *)row->at + from, sizeof halves);
        else memcpy(&halves, (const uint16_t *)row->at + from, count * sizeof(uint16_t));
        return widen(halves);
    }
    vf value = {};
    if (count == LANES) memcpy(&value, (const float *)row->at + from, sizeof value);
    else memcpy(&value, (const float *)row->at + from, count * sizeof(float));
    return value;
}

INLINE float get_one(const Row *row, int64_t at) {
    if (!row->half) return ((const float *)row->at)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)row->at)[at] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Orders are a number's bits as an integer that sorts like it; both zeros are 0. */
INLINE vi ordered(vf value) {
    vi bits = (vi)(value + 0.f); /* adding zero makes both zeros equal */
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
}

INLINE int32_t ordered_one(float value) {
    int32_t bits;
    value += 0.f;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
}

INLINE float unordered(int32_t order) {
    int32_t bits = order ^ (order >> 31 & 0x7FFFFFFF);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The same in 16 bits, but minus zero is -1. */
INLINE vs ordered_halves(vs bits) { return bits ^ (bits >> 15 & 0x7FFF); }

/* From orders in 16 bits to those of the same numbers in 32. */
INLINE vi whole_orders(vn orders) {
    vi bits = __builtin_convertvector(orders, vi) * 65536;
    bits |= bits >> 31 & 0xFFFF;
    return bits & (bits != -1);
}

INLINE Row row_at(const void *logits, int64_t half, int64_t size, int64_t step, int64_t place) {
    return (Row){(const char *)logits + place * step * (half ? 2 : 4), half, size};
}

static int is_finite(int32_t order) {
    return order > ordered_one(-INFINITY) && order < ordered_one(INFINITY);
}
