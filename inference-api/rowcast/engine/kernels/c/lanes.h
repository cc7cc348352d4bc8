/* Vectors of 16 floats, and rows of fp32 or bf16 numbers: what every part of a kernel uses.
 *
 * Each operation rounds as written here, on every machine with the same instructions. */
#pragma once
#include <stdint.h>
#include <string.h>
#if defined __AVX512F__ && defined __AVX512BW__ && defined __AVX512DQ__
#include <immintrin.h>
#define WIDE 1
#else
#define WIDE 0
#endif
#if WIDE && defined __AVX512BF16__
#define PAIRED 1
#else
#define PAIRED 0
#endif
#if WIDE && defined __AVX512VNNI__
#define QUADS 1
#else
#define QUADS 0
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, LINE = 64 };
enum { OK = 0, NO_MEMORY = 1 };

INLINE int64_t up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

typedef float vf __attribute__((vector_size(LINE)));
typedef int32_t vi __attribute__((vector_size(LINE)));
typedef uint32_t vu __attribute__((vector_size(LINE)));
typedef uint16_t vh __attribute__((vector_size(LINE / 2)));

/* With narrower vectors the same code is correct but slow: linear_kernel.py then declines it. */
INLINE vf multiply_add(vf a, vf b, vf c) {
#if WIDE
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return a * b + c;
#endif
}

INLINE vf splat(float value) { return (vf){} + value; }

INLINE vf choose(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }

INLINE vf widen(vh halves) { return (vf)(__builtin_convertvector(halves, vu) << 16); }

/* To bf16, half to even; a NaN stays NaN. The instruction treats denormals as zero. */
INLINE vh narrow(vf value) {
#if PAIRED
    return (vh)_mm512_cvtneps_pbh((__m512)value);
#else
    vu bits = (vu)value;
    vu rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    vu none = (vu)(value != value);
    return __builtin_convertvector((none & (bits >> 16 | 64)) | (~none & rounded), vh);
#endif
}

INLINE vf as_kept(vf value, int half) { return half ? widen(narrow(value)) : value; }

INLINE float total(vf value) {
    for (int width = LANES / 2; width; width /= 2)
        for (int lane = 0; lane < width; lane++) value[lane] += value[lane + width];
    return value[0];
}

/* Elements at..at+LANES of a row; zeros past its end. */
INLINE vf get(const void *row, int half, int64_t at, int64_t size) {
    int64_t count = size - at < LANES ? size - at : LANES;
    if (half) {
        vh halves = {};
        if (count == LANES) memcpy(&halves, (const uint16_t *)row + at, sizeof halves);
        else memcpy(&halves, (const uint16_t *)row + at, count * sizeof(uint16_t));
        return widen(halves);
    }
    vf value = {};
    if (count == LANES) memcpy(&value, (const float *)row + at, sizeof value);
    else memcpy(&value, (const float *)row + at, count * sizeof(float));
    return value;
}

INLINE void put(void *row, int half, int64_t at, int64_t size, vf value) {
    int64_t count = size - at < LANES ? size - at : LANES;
    if (half) {
        vh halves = narrow(value);
        if (count == LANES) memcpy((uint16_t *)row + at, &halves, sizeof halves);
        else memcpy((uint16_t *)row + at, &halves, count * sizeof(uint16_t));
    } else if (count == LANES) memcpy((float *)row + at, &value, sizeof value);
    else memcpy((float *)row + at, &value, count * sizeof(float));
}

INLINE char *row_of(const void *rows, int half, int64_t step, int64_t row) {
    return (char *)rows + row * step * (half ? 2 : 4);
}
