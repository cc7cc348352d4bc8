/* Matrix products, in tiles of a few rows by a few vectors whose sums stay in registers. */
#pragma once
#include "call.h"

/* Of a tile: as many as registers hold. Few rows by more vectors, so that enough sums are under way. */
#if VECTOR_BITS == 512 || defined __aarch64__
enum { ROWS = 6 };
#define COLUMNS(rows) 4
#elif VECTOR_BITS == 256
enum { ROWS = 6 };
#define COLUMNS(rows) ((rows) == 1 ? 8 : (rows) < 4 ? 4 : (rows) == 4 ? 3 : 2)
#else
enum { ROWS = 6 };
#define COLUMNS(rows) 2
#endif

/* Data needed next: tiles prefetch it, a little at each step, so that memory never waits for
   them. */
typedef struct {
    const char *at, *end;
} Ahead;

/* A block's bytes, if they are contiguous. */
INLINE Ahead asking(const char *at, int64_t step, int64_t numbers, int64_t size) {
    return (Ahead){at, step == numbers ? at + BLOCK * step * size : at};
}

/* LANES numbers of b: as they are, or widened from bf16. */
INLINE vf column_at(const char *b, int64_t at, const int kind) {
    return kind == HALVES ? take(b + at * 2, LANES, WIDENED) : load(b + at * 4);
}

/* c[rows][vectors] (+)= a[rows][depth] b[depth][vectors]. Steps count floats; that of b counts bytes. */
typedef struct {
    const float *a;
    const char *b;
    float *c;
    int64_t a_step, b_step, c_step, rows, vectors, depth, add;
    Ahead ahead;
} Product;

/* The first rows by some vectors, from vector `at` on. */
INLINE void tile(Product *of, int64_t at, const int rows, const int columns, const int kind) {
    const float *a = of->a;
    const char *b = of->b + at * LANES * (kind == HALVES ? 2 : 4), *next = of->ahead.at;
    float *c = of->c + at * LANES;
    const int64_t a_step = of->a_step, b_step = of->b_step, c_step = of->c_step, depth = of->depth;
    const int64_t step = next < of->ahead.end ? 128 : 0;
    of->ahead.at += step * depth;
    vf sum[ROWS][COLUMNS(1)];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++) sum[i][j] = of->add ? load(c + i * c_step + j * LANES) : splat(0);
    for (int64_t d = 0; d < depth; d++, b += b_step, next += step) {
        vf row[ROWS], column[COLUMNS(1)];
        __builtin_prefetch(next);
        __builtin_prefetch(next + 64);
        if (rows > columns) { /* the smaller side stays in registers */
#pragma GCC unroll 8
            for (int j = 0; j < columns; j++) column[j] = column_at(b, j * LANES, kind);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                row[i] = splat(a[i * a_step + d]);
#pragma GCC unroll 8
                for (int j = 0; j < columns; j++) sum[i][j] = dot(sum[i][j], row[i], column[j], kind);
            }
        } else {
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) row[i] = splat(a[i * a_step + d]);
#pragma GCC unroll 8
            for (int j = 0; j < columns; j++) {
                column[j] = column_at(b, j * LANES, kind);
#pragma GCC unroll 8
                for (int i = 0; i < rows; i++) sum[i][j] = dot(sum[i][j], row[i], column[j], kind);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++) store(c + i * c_step + j * LANES, sum[i][j]);
}

/* The first rows by all vectors. */
INLINE void strip(Product *of, const int rows, const int kind) {
    int64_t at = 0;
    for (; at + COLUMNS(rows) <= of->vectors; at += COLUMNS(rows)) tile(of, at, rows, COLUMNS(rows), kind);
    for (; COLUMNS(rows) > 2 && at + 2 <= of->vectors; at += 2) tile(of, at, rows, 2, kind);
    for (; at < of->vectors; at++) tile(of, at, rows, 1, kind);
}

/* A function each, so that each tile has the registers to itself. */
#define STRIPS(kind)                                                                             \
    __attribute__((noinline)) static void strip_1_##kind(Product *of) { strip(of, 1, kind); }    \
    __attribute__((noinline)) static void strip_2_##kind(Product *of) { strip(of, 2, kind); }    \
    __attribute__((noinline)) static void strip_3_##kind(Product *of) { strip(of, 3, kind); }    \
    __attribute__((noinline)) static void strip_4_##kind(Product *of) { strip(of, 4, kind); }    \
    __attribute__((noinline)) static void strip_5_##kind(Product *of) { strip(of, 5, kind); }    \
    __attribute__((noinline)) static void strip_6_##kind(Product *of) { strip(of, 6, kind); }
#define NAMES(kind)                                                                             \
    [kind] = {0, strip_1_##kind, strip_2_##kind, strip_3_##kind, strip_4_##kind, strip_5_##kind, \
              strip_6_##kind}

STRIPS(FLOATS)
#if PAIRED
STRIPS(PAIRS)
#else
STRIPS(HALVES)
#endif

/* Each number is one chain over the depth, whatever the rows and vectors beside it. */
static void product(Product of, const int kind) {
    static void (*const strips[][7])(Product *) = {
        NAMES(FLOATS),
#if PAIRED
        NAMES(PAIRS),
#else
        NAMES(HALVES),
#endif
    };
    for (int64_t left = (of.rows + ROWS - 1) / ROWS; left; left--) {
        const int64_t some = (of.rows + left - 1) / left;
        strips[kind == WIDENED ? FLOATS : kind][some](&of);
        of.rows -= some;
        of.a += some * of.a_step;
        of.c += some * of.c_step;
    }
}
