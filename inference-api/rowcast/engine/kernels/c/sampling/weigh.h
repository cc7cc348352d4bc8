/* Weights of tokens, and their sums over a whole row in columns.
 *
 * Token t is at line t / columns of column t % columns. A column's sum folds halves of its lines, added
 * line by line, until one is left: here the same sums are made depth first, a pair of vectors of
 * columns at a time. */
#pragma once
#include "values.h"

enum { LINES = 128, LEAVES = 8, LEVELS = 5 }; /* LINES == LEAVES << (LEVELS - 1) */
enum { AT_ONCE = WIDE ? 8 : FUSED ? 4 : 2 }; /* vectors that are weighed */
#if WIDE || FUSED
#define UNROLLED _Pragma("GCC unroll 8")
#else
#define UNROLLED _Pragma("GCC unroll 1") /* compiled soon: it is slow anyway */
#endif
#define EACH UNROLLED for (int each = 0; each < count; each++)
enum { UNDIVIDED, BY_PRODUCTS, DIVIDED }; /* how logits are divided by the temperature */

/* Which tokens count: weights from `least` on, and only those ranked before `token` if limited. */
typedef struct {
    float top, temperature, reciprocal, lowest, least;
    int how, deep, limited; /* deep: some weights are too small for a float */
    float own;
    int64_t token;
} Counted;

typedef struct {
    vf first, second;
} Pair;

/* What is counted at a temperature. A quotient by products needs a reciprocal that is rounded as
 * exactly as it can be, and a divisor that is not one ulp below a power of two. */
static Counted counted_at(float top, float low, float temperature) {
    uint32_t bits;
    memcpy(&bits, &temperature, sizeof bits);
    int how = temperature == 1 ? UNDIVIDED : DIVIDED;
#if WIDE || FUSED
    if (how == DIVIDED && ~bits & 0x7FFFFF && temperature < 0x1p60f) how = BY_PRODUCTS;
#endif
    return (Counted){.top = top, .temperature = temperature, .reciprocal = 1 / temperature,
                     .lowest = -200 * temperature, .how = how,
                     .deep = !((low - top) / temperature > -80)};
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
INLINE void divide(vf *x, const int count, const Counted *counted, const int deep) {
    const vf by = (vf){} + counted->temperature, reciprocal = (vf){} + counted->reciprocal;
    vf all[AT_ONCE];
    if (deep) EACH x[each] = larger(x[each], (vf){} + counted->lowest);
    EACH all[each] = x[each] * reciprocal;
    for (int twice = 0; twice < 2; twice++)
        EACH all[each] = fused(fused(-all[each], by, x[each]), reciprocal, all[each]);
    EACH x[each] = all[each];
}

/* Two to the power of each x, up to 0; 0 far below: as mass.power. */
INLINE void raise_two_to(vf *x, const int count, const int deep) {
    static const float terms[] = {1.535336174e-04f, 1.339887486e-03f, 9.618437362e-03f,
                                  5.550332470e-02f, 2.402264791e-01f, 6.931472029e-01f, 1.f};
    const vf magic = (vf){} + 0x1.8p23f; /* its bits vanish when they are shifted below */
    vf shifted[AT_ONCE], sum[AT_ONCE];
    if (deep) EACH x[each] = larger(x[each], (vf){} - 127.f);
    EACH shifted[each] = x[each] + magic;
    EACH x[each] = x[each] - (shifted[each] - magic);
    EACH sum[each] = (vf){} + terms[0];
    for (int term = 1; term < 7; term++)
        EACH sum[each] = sum[each] * x[each] + terms[term];
    EACH x[each] = sum[each] * (vf)(((vu)shifted[each] + 127) << 23);
}

/* Replace some vectors of logits by their weights, step by step: one alone would wait for each step. */
INLINE void weigh(vf *values, const int count, const Counted *counted, const int how,
                  const int deep) {
    EACH values[each] = values[each] - counted->top;
    if (how == BY_PRODUCTS) divide(values, count, counted, deep);
    if (how == DIVIDED) EACH values[each] = values[each] / counted->temperature;
    EACH values[each] = values[each] * 1.4426950408889634f;
    raise_two_to(values, count, deep);
}

INLINE int counts(const Counted *counted, int64_t token, float value, float weight) {
    const int behind = value < counted->own || (value == counted->own && token >= counted->token);
    return weight >= counted->least && !(counted->limited && behind);
}

/* One token's weight; 0 if it does not count. */
static float weight_of(const Row *row, const Counted *counted, int64_t token) {
    const float value = get_one(row, token);
    vf weight = (vf){} + value;
    weigh(&weight, 1, counted, DIVIDED, 1);
    return counts(counted, token, value, weight[0]) ? weight[0] : 0;
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

/* Weights where a row ends, or where the token that limits them is. */
static Pair few_weights(const Row *row, const Counted *counted, int64_t at, const int half) {
    const int64_t left = row->size - at, count = left < 0 ? 0 : left < BOTH ? left : BOTH;
    char numbers_here[BOTH * 4] = {0};
    memcpy(numbers_here, (const char *)row->at + at * (half ? 2 : 4), count * (half ? 2 : 4));
    const Pair value = pair_at(numbers_here, half);
    Pair weight = value;
    weigh(&weight.first, 1, counted, DIVIDED, 1);
    weigh(&weight.second, 1, counted, DIVIDED, 1);
    for (int lane = 0; lane < LANES; lane++) {
        int64_t first = place_in_pair(half, 0, lane), second = place_in_pair(half, 1, lane);
        if (first >= count || !counts(counted, at + first, value.first[lane], weight.first[lane]))
            weight.first[lane] = 0;
        if (second >= count || !counts(counted, at + second, value.second[lane], weight.second[lane]))
            weight.second[lane] = 0;
    }
    return weight;
}

INLINE vf those(vi mask, vf weight) {
#if WIDE
    return (vf)_mm512_maskz_mov_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)weight);
#else
    return (vf)(mask & (vi)weight);
#endif
}

INLINE Pair sum_of(Pair a, Pair b) { return (Pair){a.first + b.first, a.second + b.second}; }

/* The weights of a pair that count, if it is wholly before or behind a token that limits them. */
INLINE Pair those_of(Pair weight, const Pair value, const Counted *counted, int64_t at,
                     const int limited) {
    if (limited) {
        vi first = value.first > counted->own, second = value.second > counted->own;
        if (at < counted->token)
            first |= value.first == counted->own, second |= value.second == counted->own;
        weight = (Pair){those(first, weight.first), those(second, weight.second)};
    }
    if (counted->least == 0) return weight;
    return (Pair){those(weight.first >= counted->least, weight.first),
                  those(weight.second >= counted->least, weight.second)};
}

/* Sum eight lines, 16 apart. */
INLINE Pair sum_of_leaves(const Row *row, const Counted *counted, int64_t at, int64_t columns,
                          const int half, const int how, const int deep, const int limited) {
    static const int64_t lines[] = {0, 64, 32, 96, 16, 80, 48, 112};
    Pair sums[4];
    UNROLLED
    for (int first = 0; first < LEAVES; first += AT_ONCE / 2) {
        vf weights[AT_ONCE];
        Pair values[AT_ONCE / 2];
        UNROLLED
        for (int each = 0; each < AT_ONCE / 2; each++) {
            const int64_t from = at + lines[first + each] * columns;
            values[each] = pair_at((const char *)row->at + from * (half ? 2 : 4), half);
            weights[2 * each] = values[each].first, weights[2 * each + 1] = values[each].second;
        }
        weigh(weights, AT_ONCE, counted, how, deep);
        UNROLLED
        for (int each = 0; each < AT_ONCE / 2; each++) {
            const int leaf = first + each;
            Pair sum = {weights[2 * each], weights[2 * each + 1]};
            sum = those_of(sum, values[each], counted, at + lines[leaf] * columns, limited);
            if (leaf & 1) sum = sum_of(sums[0], sum);
            if ((leaf & 3) == 3) sum = sum_of(sums[1], sum);
            if (leaf == 7) sum = sum_of(sums[2], sum);
            sums[leaf == 7 ? 3 : (leaf & 3) == 3 ? 2 : leaf & 1] = sum;
        }
    }
    return sums[3];
}

/* As `sum_of_leaves`, where a row ends or a limit is in a pair of vectors. */
static __attribute__((noinline)) Pair sum_of_some(const Row *row, const Counted *counted, int64_t at,
                                                  int64_t columns, const int half) {
    Pair sums[LEAVES];
    for (int leaf = 0; leaf < LEAVES; leaf++)
        sums[leaf] = few_weights(row, counted, at + 16 * leaf * columns, half);
    for (int apart = LEAVES / 2; apart; apart /= 2)
        for (int leaf = 0; leaf < apart; leaf++) sums[leaf] = sum_of(sums[leaf], sums[leaf + apart]);
    return sums[0];
}

/* True if a pair of vectors that begins at `at + 16 * n * columns` has the row's end or the limit in it. */
INLINE int has_some(const Row *row, const Counted *counted, int64_t at, int64_t columns,
                    const int limited) {
    if (at + 112 * columns + BOTH > row->size) return 1;
    const int64_t until = counted->token - at; /* of the pairs from the first on */
    return limited && until > 0 && until < 112 * columns + BOTH && (until - 1) % (16 * columns) < BOTH;
}

INLINE Pair sum_of_lines(const Row *row, const Counted *counted, int64_t column, int64_t columns,
                         const int half, const int how, const int limited) {
    static const uint8_t reversed[] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    Pair sums[LEVELS];
    for (int64_t group = 0; group < LINES / LEAVES; group++) {
        const int64_t at = reversed[group] * columns + column;
        Pair sum;
        if (has_some(row, counted, at, columns, limited))
            sum = sum_of_some(row, counted, at, columns, half);
        else if (counted->deep || !(WIDE || FUSED))
            sum = sum_of_leaves(row, counted, at, columns, half, how, 1, limited);
        else sum = sum_of_leaves(row, counted, at, columns, half, how, 0, limited);
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
