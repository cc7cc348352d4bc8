/* Weights of tokens, and their sums over a whole row in columns.
 *
 * Token t is at line t / columns of column t % columns. A column's sum folds halves of its lines, added
 * line by line, until one is left: here the same sums are made depth first, a pair of vectors of
 * columns at a time. */
#pragma once
#include "values.h"

enum { LINES = 128, LEAVES = 8, LEVELS = 5 }; /* LINES == LEAVES << (LEVELS - 1) */
enum { UNDIVIDED, BY_PRODUCTS, DIVIDED }; /* how logits are divided by the temperature */

/* Which tokens count: weights from `least` on, and only those ranked before `token` if limited. */
typedef struct {
    float top, temperature, reciprocal, lowest, least;
    int how, limited;
    float own;
    int64_t token;
} Counted;

typedef struct {
    vf first, second;
} Pair;

/* What is counted at a temperature. A quotient by products needs a reciprocal that is rounded as
 * exactly as it can be, and a divisor that is not one ulp below a power of two. */
static Counted counted_at(float top, float temperature) {
    uint32_t bits;
    memcpy(&bits, &temperature, sizeof bits);
    int how = temperature == 1 ? UNDIVIDED : DIVIDED;
#if WIDE || FUSED
    if (how == DIVIDED && ~bits & 0x7FFFFF && temperature < 0x1p60f) how = BY_PRODUCTS;
#endif
    return (Counted){.top = top, .temperature = temperature, .reciprocal = 1 / temperature,
                     .lowest = -200 * temperature, .how = how};
}

INLINE vf fused(vf a, vf b, vf c) {
#if WIDE
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif FUSED
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c; /* not called */
#endif
}

/* x / temperature, rounded once, for all x from `lowest` on: below, the weight is zero anyway. The
 * first correction makes the quotient right within an ulp, the second one exact. */
INLINE vf quotient(vf x, const Counted *counted) {
    const vf by = (vf){} + counted->temperature, reciprocal = (vf){} + counted->reciprocal;
    x = larger(x, (vf){} + counted->lowest);
    vf result = x * reciprocal;
    result = fused(fused(-result, by, x), reciprocal, result);
    return fused(fused(-result, by, x), reciprocal, result);
}

/* Two to the power of x, up to 0; 0 far below: as mass.power. */
INLINE vf power(vf x) {
    static const float terms[] = {1.535336174e-04f, 1.339887486e-03f, 9.618437362e-03f,
                                  5.550332470e-02f, 2.402264791e-01f, 6.931472029e-01f, 1.f};
    const vf magic = (vf){} + 0x1.8p23f; /* its bits vanish when they are shifted below */
    x = larger(x, (vf){} - 127.f);
    vf shifted = x + magic;
    vf rest = x - (shifted - magic);
    vf sum = (vf){} + terms[0];
    for (int term = 1; term < 7; term++) sum = sum * rest + terms[term];
    return sum * (vf)(((vu)shifted + 127) << 23);
}

INLINE vf weigh(vf value, const Counted *counted, const int how) {
    vf x = value - counted->top;
    if (how == BY_PRODUCTS) x = quotient(x, counted);
    else if (how == DIVIDED) x = x / counted->temperature;
    return power(x * 1.4426950408889634f);
}

/* One token's weight, if it counts. */
static float weight_of(const Row *row, const Counted *counted, int64_t at) {
    const vf value = (vf){} + get_one(row, at);
    const float weight = (counted->how == UNDIVIDED     ? weigh(value, counted, UNDIVIDED)
                          : counted->how == BY_PRODUCTS ? weigh(value, counted, BY_PRODUCTS)
                                                        : weigh(value, counted, DIVIDED))[0];
    const int behind = value[0] < counted->own || (value[0] == counted->own && at >= counted->token);
    return weight < counted->least || (counted->limited && behind) ? 0 : weight;
}

/* The numbers that follow: of bf16 every second one, of fp32 one half and the other. */
INLINE Pair pair_at(const void *at, const int half) {
    Pair pair;
    if (half) {
        vu bits;
        memcpy(&bits, at, sizeof bits);
        return (Pair){(vf)(bits << 16), (vf)(bits & 0xFFFF0000u)};
    }
    memcpy(&pair.first, at, sizeof pair.first);
    memcpy(&pair.second, (const char *)at + sizeof pair.first, sizeof pair.second);
    return pair;
}

/* Which number of those that follow is in a lane. */
INLINE int place_in_pair(const int half, int which, int lane) {
    return half ? 2 * lane + which : which * LANES + lane;
}

INLINE Pair sum_of(Pair a, Pair b) { return (Pair){a.first + b.first, a.second + b.second}; }

/* Weights where a row ends, or where the token that limits them is. */
static __attribute__((noinline)) Pair few_weights(const Row *row, const Counted *counted, int64_t at,
                                                  const int half) {
    Pair pair = {};
    for (int which = 0; which < 2; which++)
        for (int lane = 0; lane < LANES; lane++) {
            int64_t token = at + place_in_pair(half, which, lane);
            float weight = token < row->size ? weight_of(row, counted, token) : 0;
            if (which) pair.second[lane] = weight;
            else pair.first[lane] = weight;
        }
    return pair;
}

INLINE vf those(vi mask, vf weight) {
#if WIDE
    return (vf)_mm512_maskz_mov_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)weight);
#else
    return (vf)(mask & (vi)weight);
#endif
}

/* Weights of a pair of vectors; `above` is how high a value must be if they are limited. */
INLINE Pair weights(const Row *row, const Counted *counted, int64_t at, const int half,
                    const int how, const int limited) {
    if (at + BOTH > row->size || (limited && at < counted->token && at + BOTH > counted->token))
        return at < row->size ? few_weights(row, counted, at, half) : (Pair){};
    Pair value = pair_at((const char *)row->at + at * (half ? 2 : 4), half);
    Pair weight = {weigh(value.first, counted, how), weigh(value.second, counted, how)};
    if (!limited) {
        if (counted->least == 0) return weight;
        return (Pair){those(weight.first >= counted->least, weight.first),
                      those(weight.second >= counted->least, weight.second)};
    }
    vi first = value.first > counted->own, second = value.second > counted->own;
    if (at < counted->token) first |= value.first == counted->own, second |= value.second == counted->own;
    return (Pair){those(first & (weight.first >= counted->least), weight.first),
                  those(second & (weight.second >= counted->least), weight.second)};
}

/* Sum eight lines, 16 apart. */
INLINE Pair sum_of_leaves(const Row *row, const Counted *counted, int64_t at, int64_t columns,
                          const int half, const int how, const int limited) {
    Pair sums[3], sum;
    for (int leaf = 0; leaf < LEAVES; leaf++) {
        const int line = (leaf & 1) << 6 | (leaf & 2) << 4 | (leaf & 4) << 2;
        sum = weights(row, counted, at + line * columns, half, how, limited);
        int level = 0;
        for (; leaf >> level & 1; level++) sum = sum_of(sums[level], sum);
        if (level < 3) sums[level] = sum;
    }
    return sum;
}

INLINE Pair sum_of_lines(const Row *row, const Counted *counted, int64_t column, int64_t columns,
                         const int half, const int how, const int limited) {
    static const uint8_t reversed[] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    Pair sums[LEVELS];
    for (int64_t group = 0; group < LINES / LEAVES; group++) {
        Pair sum = sum_of_leaves(row, counted, reversed[group] * columns + column, columns, half, how,
                                 limited);
        int level = 0;
        for (; group >> level & 1; level++) sum = sum_of(sums[level], sum);
        sums[level] = sum;
    }
    return sums[LEVELS - 1];
}

INLINE int64_t units_of(float weight) { return (int64_t)((double)weight * 0x1p40); }

INLINE int64_t fold_in(const Row *row, const Counted *counted, int64_t columns, int64_t *sums,
                       const int half, const int how, const int limited) {
    int64_t all = 0;
    for (int64_t column = 0; column < columns; column += BOTH) {
        Pair pair = sum_of_lines(row, counted, column, columns, half, how, limited);
        float in_order[BOTH];
        for (int lane = 0; lane < LANES; lane++) {
            in_order[place_in_pair(half, 0, lane)] = pair.first[lane];
            in_order[place_in_pair(half, 1, lane)] = pair.second[lane];
        }
        int64_t count = columns - column < BOTH ? columns - column : BOTH;
        for (int64_t each = 0; each < count; each++)
            all += sums[column + each] = units_of(in_order[each]);
    }
    return all;
}

#define FOLD(half, how, limited)                                                              \
    static int64_t fold_##half##_##how##_##limited(const Row *row, const Counted *counted,    \
                                                   int64_t columns, int64_t *sums) {          \
        return fold_in(row, counted, columns, sums, half, how, limited);                      \
    }
#define FOLDS(half) FOLD(half, 0, 0) FOLD(half, 0, 1) FOLD(half, 1, 0) FOLD(half, 1, 1) \
    FOLD(half, 2, 0) FOLD(half, 2, 1)
#define NAMES(half)                                                                       \
    {{fold_##half##_0_0, fold_##half##_0_1}, {fold_##half##_1_0, fold_##half##_1_1},      \
     {fold_##half##_2_0, fold_##half##_2_1}}
FOLDS(0)
FOLDS(1)

/* Sum each column as integers; return the sum of all. */
static int64_t fold(const Row *row, const Counted *counted, int64_t columns, int64_t *sums) {
    static int64_t (*const folds[2][3][2])(const Row *, const Counted *, int64_t, int64_t *) = {
        NAMES(0), NAMES(1)};
    return folds[row->half][counted->how][counted->limited](row, counted, columns, sums);
}
