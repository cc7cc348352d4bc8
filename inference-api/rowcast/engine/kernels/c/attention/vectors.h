/* Vectors of as many floats as a register holds, and what softmax needs of them.
 *
 * Each operation rounds as written here, on every machine with the same instructions. The number
 * of lanes is part of the bits, by the order of sums; so these are not the 16 lanes of ../lanes.h. */
#pragma once
#include <stdint.h>
#include <string.h>

#if defined __AVX512F__ || defined __AVX2__
#include <immintrin.h>
#endif

#if defined __AVX512F__ && defined __AVX512BW__
#define VECTOR_BITS 512
#define ISA_FLOATS "avx512"
#elif defined __AVX2__ && defined __FMA__
#define VECTOR_BITS 256
#define ISA_FLOATS "avx2"
#else
#define VECTOR_BITS 128
#if defined __aarch64__
#define ISA_FLOATS "neon"
#else
#define ISA_FLOATS "plain"
#endif
#endif
#if VECTOR_BITS == 512 && defined __AVX512BF16__
#define PAIRED 1
#define ISA "avx512bf16"
#else
#define PAIRED 0
#define ISA ISA_FLOATS
#endif

#define INLINE static inline __attribute__((always_inline))
#define LOG2E 1.44269504088896341f

enum { LANES = VECTOR_BITS / 32 };
/* fp32; bf16 multiplied in pairs; bf16 made fp32 on packing; bf16 made fp32 on loading */
enum { FLOATS, PAIRS, WIDENED, HALVES };
#define HALF (PAIRED ? PAIRS : WIDENED)

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(LANES * 2)));

INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

INLINE vf load(const void *from) {
    vf value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store(void *to, vf value) { memcpy(to, &value, sizeof value); }

INLINE vf bits(int32_t value) { return (vf)(value + (vi){0}); }

INLINE vf splat(float value) {
    int32_t raw;
    memcpy(&raw, &value, 4);
    return bits(raw);
}

INLINE vf choose(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }

INLINE vi lanes(int32_t first) {
    vi index;
    for (int i = 0; i < LANES; i++) index[i] = first + i;
    return index;
}

INLINE vf fused(vf a, vf b, vf c) {
#if VECTOR_BITS == 512
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VECTOR_BITS == 256
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined __FP_FAST_FMAF
    for (int i = 0; i < LANES; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}

/* A step of a dot product: one float, or one pair of bf16, per lane. */
INLINE vf dot(vf sum, vf a, vf b, const int kind) {
#if PAIRED
    if (kind == PAIRS) return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
    (void)kind;
    return fused(a, b, sum);
}

INLINE vf larger(vf a, vf b) {
#if VECTOR_BITS == 512
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif VECTOR_BITS == 256
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return choose(a > b, a, b);
#endif
}

/* 2^x for x <= 127: 0 below -126; a NaN stays NaN. */
INLINE vf power(vf x) {
    const vf magic = splat(12582912.0f); /* leaves the rounded number in the lowest bits */
    vf shifted = larger(splat(-127.0f), x) + magic;
    vf rest = x - (shifted - magic);
    vf result = splat(1.535336174e-4f);
    result = fused(result, rest, splat(1.339887486e-3f));
    result = fused(result, rest, splat(9.618437362e-3f));
    result = fused(result, rest, splat(5.550332470e-2f));
    result = fused(result, rest, splat(2.402264791e-1f));
    result = fused(result, rest, splat(6.931472029e-1f));
    result = fused(result, rest, splat(1.0f));
    result *= (vf)(((vi)shifted << 23) + 0x3f800000);
    return (vf)(~(x < splat(-126.0f)) & (vi)result);
}

INLINE float power_of(float x) { return power(splat(x))[0]; }

INLINE vf hyperbolic_tangent(vf x) {
    vf inside = choose(x > splat(15.0f), splat(15.0f), x);
    inside = choose(inside < splat(-15.0f), splat(-15.0f), inside);
    vf grown = power(inside * splat(2.0f * LOG2E));
    return splat(1.0f) - splat(2.0f) / (grown + splat(1.0f));
}

/* Each lane next to the one `half` away. */
INLINE vf turned(vf value, int32_t half) {
#if defined __clang__
    vf result;
    for (int i = 0; i < LANES; i++) result[i] = value[i ^ half];
    return result;
#else
    return __builtin_shuffle(value, lanes(0) ^ half);
#endif
}

INLINE float sum_of(vf value) {
    for (int32_t half = LANES / 2; half; half /= 2) value += turned(value, half);
    return value[0];
}

INLINE float largest_of(vf value) {
    for (int32_t half = LANES / 2; half; half /= 2) value = larger(turned(value, half), value);
    return value[0];
}

/* The first `count` elements at `from`, followed by zeros. */
INLINE vf take(const char *from, int64_t count, const int kind) {
    const int64_t size = kind == FLOATS ? 4 : 2, full = kind == PAIRS ? 2 * LANES : LANES;
    if (count > full) count = full;
    if (kind == WIDENED) {
        vh narrow = {0};
        if (count == full) memcpy(&narrow, from, sizeof narrow);
        else memcpy(&narrow, from, (size_t)(count * 2));
        return (vf)(__builtin_convertvector(narrow, vi) << 16);
    }
    if (count == full) return load(from);
#if VECTOR_BITS == 512
    return (vf)_mm512_maskz_loadu_epi8((1ull << (count * size)) - 1, from);
#else
    vf value = {0};
    memcpy(&value, from, (size_t)(count * size));
    return value;
#endif
}
