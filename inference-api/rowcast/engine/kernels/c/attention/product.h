/* Matrix products, in tiles of a few rows by a few vectors whose sums stay in registers. */
#pragma once
#include "call.h"

/* Of a tile: as many as registers hold. */
#if VECTOR_BITS == 512 || defined __aarch64__
enum { ROWS = 6, COLUMNS = 4 };
#elif VECTOR_BITS == 256
enum { ROWS = 6, COLUMNS = 2 };
#else
enum { ROWS = 5, COLUMNS = 2 };
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

INLINE void tile(const float *a, int64_t a_step, const float *b, int64_t b_step, float *c, int64_t c_step,
                 int64_t depth, int add, Ahead *ahead, const int rows, const int columns, const int kind) {
    vf sum[ROWS][COLUMNS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) sum[i][j] = add ? load(c + i * c_step + j * LANES) : splat(0);
    const char *next = ahead->at;
    const int64_t step = next < ahead->end ? 128 : 0;
    ahead->at += step * depth;
    for (int64_t d = 0; d < depth; d++) {
        vf column[COLUMNS];
        __builtin_prefetch(next);
        __builtin_prefetch(next + 64);
        next += step;
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) column[j] = load(b + d * b_step + j * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            const vf each = splat(a[i * a_step + d]);
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++) sum[i][j] = dot(sum[i][j], each, column[j], kind);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++) store(c + i * c_step + j * LANES, sum[i][j]);
}

#define TILE(rows) \
    case rows: tile(a, a_step, b, b_step, c, c_step, depth, add, ahead, rows, columns, kind); break;

INLINE void panel(const float *a, int64_t a_step, const float *b, int64_t b_step, float *c, int64_t c_step,
                  int64_t rows, int64_t depth, int add, Ahead *ahead, const int columns, const int kind) {
    for (int64_t tiles = (rows + ROWS - 1) / ROWS; tiles; tiles--) {
        const int64_t some = (rows + tiles - 1) / tiles;
        switch (some) {
            TILE(1) TILE(2) TILE(3) TILE(4) TILE(5)
#if VECTOR_BITS > 128 || defined __aarch64__
            TILE(6)
#endif
        }
        rows -= some;
        a += some * a_step;
        c += some * c_step;
    }
}

/* c[rows][vectors] (+)= a[rows][depth] b[depth][vectors]; each number one chain over the depth. */
INLINE void product(const float *a, int64_t a_step, const float *b, int64_t b_step, float *c, int64_t c_step,
                    int64_t rows, int64_t vectors, int64_t depth, int add, Ahead ahead, const int kind) {
    while (vectors) {
        const int columns = vectors >= COLUMNS ? COLUMNS : vectors >= 2 ? 2 : 1;
        if (columns == COLUMNS) panel(a, a_step, b, b_step, c, c_step, rows, depth, add, &ahead, COLUMNS, kind);
        else if (columns == 2) panel(a, a_step, b, b_step, c, c_step, rows, depth, add, &ahead, 2, kind);
        else panel(a, a_step, b, b_step, c, c_step, rows, depth, add, &ahead, 1, kind);
        vectors -= columns;
        b += columns * LANES;
        c += columns * LANES;
    }
}
