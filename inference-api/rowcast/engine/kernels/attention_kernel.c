/* Attention of a step's tokens over the KV caches of their rows.
 *
 *     order     tokens sorted by (row, position); slots without a token get zeros
 *     groups    a few tokens of one row, one KV head, all query heads that share it
 *     items     a group, or one span of it; threads take them, the costliest first
 *     span      512 keys: scores (q.k), weights (softmax), mix (weights.values)
 *     fold      a token's spans, in ascending order, into its result
 *
 * The bits of a result depend on the token's query, its row up to its position and the
 * constants: spans and blocks begin at fixed positions, each (token, head) is a separate chain
 * of operations, written out here (no contraction, no reassociation), and hidden keys and values
 * never enter it. Knows no tensors: attention.py checks shapes and passes addresses.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined __AVX512F__ || defined __AVX2__
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define LOG2E 1.44269504088896341f

/* LANES floats per vector; a tile is ROWS queries by COLUMNS vectors, as many as registers hold. */
#if defined __AVX512F__ && defined __AVX512BW__
enum { LANES = 16, ROWS = 6, COLUMNS = 4 };
#elif defined __AVX2__ && defined __FMA__
enum { LANES = 8, ROWS = 6, COLUMNS = 2 };
#elif defined __aarch64__
enum { LANES = 4, ROWS = 6, COLUMNS = 4 };
#else
enum { LANES = 4, ROWS = 5, COLUMNS = 2 };
#endif

#if defined __AVX512BF16__ && defined __AVX512BW__ && defined __AVX512F__
#define HALF PAIRS
#define ISA "avx512bf16"
#else
#define HALF WIDENED
#if defined __AVX512F__ && defined __AVX512BW__
#define ISA "avx512"
#elif defined __AVX2__ && defined __FMA__
#define ISA "avx2"
#elif defined __aarch64__
#define ISA "neon"
#else
#define ISA "plain"
#endif
#endif

enum { BLOCK = 64, SPAN = 512, GROUP = 112 };
enum { SMALL = 1 << 13 };          /* query-key pairs that are not worth waking a thread for */
enum { PARTIALS = 1 << 24 };       /* floats that split groups may use */
enum { OK = 0, OUT_OF_RANGE = 1, NO_MEMORY = 2 };
enum { FLOATS, PAIRS, WIDENED };   /* fp32; bf16 multiplied in pairs; bf16 made fp32 on packing */

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(LANES * 2)));

/* The arguments that attention.py packs; strides count elements. */
#define CACHES_AND_PLACES                                      \
    char *keys, *values;                                       \
    int64_t rows, kv_heads, context;                           \
    int64_t key_size, key_row, key_head, key_at;               \
    int64_t value_size, value_row, value_head, value_at;       \
    int64_t is_half, tokens;                                   \
    const int32_t *row, *position;

typedef struct {
    CACHES_AND_PLACES
    const char *key, *value;
    int64_t key_token, key_part, value_token, value_part;
} Stored;

typedef struct {
    CACHES_AND_PLACES
    const char *query;
    char *out;
    int64_t heads, query_token, query_head;
    const float *sinks, *bias;
    int64_t bias_head, window, threads;
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    void (*share)(void *, void (*)(const void *, int64_t, int64_t), const void *, int64_t, int64_t);
    void *crew; /* the threads of `share`; without `share`, `parallel` opens threads */
    double scale, softcap;
} Call;

/* One layer's part of a plan; the number of tokens is set when it runs. */
typedef struct {
    Stored stored;
    Call call;
    int64_t *fault; /* of the first layer that had one */
} Planned;

typedef struct {
    int64_t first, count, kv_head, row; /* tokens order[first .. first + count) */
    int64_t low, high;                  /* keys that any of them sees */
    float *partials;                    /* results by span, if the group is split */
    atomic_int left;                    /* spans that are not done */
} Group;

typedef struct {
    uint64_t cost;
    Group *group;
    int64_t low, high; /* of the group's keys: whole, or one span */
} Item;

typedef struct {
    const Call *call;
    const uint64_t *order;
    const Item *items;
    int64_t count, share, units, width, state;
    atomic_long next, done;
} Plan;

typedef struct {
    float *query, *scores, *mixed, *total, *keys, *values;
} Scratch;

INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

/* ---- vectors: every operation rounds as written, on every machine of one ISA ---- */

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
#if defined __AVX512F__ && defined __AVX512BW__
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined __AVX2__ && defined __FMA__
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
#if defined __AVX512BF16__ && defined __AVX512BW__ && defined __AVX512F__
    if (kind == PAIRS) return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
    (void)kind;
    return fused(a, b, sum);
}

INLINE vf larger(vf a, vf b) {
#if defined __AVX512F__ && defined __AVX512BW__
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined __AVX2__ && defined __FMA__
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

/* ---- packing: keys so that a vector holds one number of many keys, values padded ---- */

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
#if defined __AVX512F__ && defined __AVX512BW__
    return (vf)_mm512_maskz_loadu_epi8((1ull << (count * size)) - 1, from);
#else
    vf value = {0};
    memcpy(&value, from, (size_t)(count * size));
    return value;
#endif
}

#if defined __clang__
#define ZIP(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ZIP(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

INLINE vf zip_low(vf a, vf b) {
#if defined __AVX512F__ && defined __AVX512BW__
    return ZIP(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif defined __AVX2__ && defined __FMA__
    return ZIP(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    return ZIP(a, b, 0, 4, 1, 5);
#endif
}

INLINE vf zip_high(vf a, vf b) {
#if defined __AVX512F__ && defined __AVX512BW__
    return ZIP(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif defined __AVX2__ && defined __FMA__
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
#if defined __AVX512BF16__ && defined __AVX512BW__ && defined __AVX512F__
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

/* ---- arithmetic ---- */

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
#if defined __AVX512F__ || defined __AVX2__ || defined __aarch64__
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

/* Scores as powers of two: scaled, capped, biased; the lanes outside low..high lowest of all. */
INLINE vf scaled(const Call *call, const float *scores, const float *bias, int64_t at, int64_t low,
                 int64_t high) {
    vf score = load(scores + at);
    if (call->softcap > 0) {
        score = hyperbolic_tangent(score * splat((float)(call->scale / call->softcap)));
        score *= splat((float)(call->softcap * LOG2E));
    } else {
        score *= splat((float)(call->scale * LOG2E));
    }
    if (bias) score = fused(take((const char *)(bias + at), high - at, FLOATS), splat(LOG2E), score);
    if (at >= low && at + LANES <= high) return score;
    const vi index = lanes((int32_t)at);
    return choose((index >= (int32_t)low) & (index < (int32_t)high), score, splat(-__builtin_inff()));
}

/* Turn one query's scores in a span into weights, in place; write their top and sum to `state`. */
INLINE void weigh(const Call *call, float *scores, const float *bias, int64_t low, int64_t high,
                  float *state, const int kind) {
    (void)kind;
    vf top = splat(-__builtin_inff()), sum = splat(0);
    for (int64_t at = low / LANES * LANES; at < high; at += LANES) {
        const vf score = scaled(call, scores, bias, at, low, high);
        store(scores + at, score);
        top = larger(score, top);
    }
    state[0] = largest_of(top);
    top = splat(state[0]);
    for (int64_t at = low / LANES * LANES; at < high; at += LANES) {
        const vf weight = power(load(scores + at) - top);
        sum += weight;
#if defined __AVX512BF16__ && defined __AVX512BW__ && defined __AVX512F__
        if (kind == PAIRS) {
            const __m256bh narrow = _mm512_cvtneps_pbh((__m512)weight);
            memcpy((char *)scores + at * 2, &narrow, sizeof narrow);
            continue;
        }
#endif
        store(scores + at, weight);
    }
    state[1] = sum_of(sum);
}

/* Fold a token's next span into its result so far. */
INLINE void fold(float *total, const float *part, int64_t width) {
    const float top = total[width] < part[width] ? part[width] : total[width];
    const float keep = power_of(total[width] - top), take_in = power_of(part[width] - top);
    for (int64_t at = 0; at < width; at += LANES)
        store(total + at, fused(load(part + at), splat(take_in), load(total + at) * splat(keep)));
    total[width] = top;
    total[width + 1] = total[width + 1] * keep + part[width + 1] * take_in;
}

/* The first `count` numbers as fp32, or as bf16 rounded to nearest even. */
INLINE void give(char *to, vf value, int64_t count, int64_t is_half) {
    const vi raw = (vi)value, odd = raw >> 16 & 1;
    const vi rounded = (vi)choose(value == value, (vf)((raw + 0x7fff + odd) >> 16), bits(0x7fc0));
    const vh narrow = __builtin_convertvector(rounded, vh);
    const size_t bytes = (size_t)(least(count, LANES) * (is_half ? 2 : 4));
    if (count < LANES) memcpy(to, is_half ? (const void *)&narrow : (const void *)&value, bytes);
    else if (is_half) memcpy(to, &narrow, sizeof narrow);
    else store(to, value);
}

/* Write the result of one (token, head), divided by its sum. */
INLINE void finish(const Call *call, const float *total, int64_t width, int64_t head, char *out) {
    float rest = 1, sum = total[width + 1];
    if (call->sinks) {
        const float sink = call->sinks[head] * LOG2E;
        const float top = total[width] < sink ? sink : total[width];
        rest = power_of(total[width] - top);
        sum = sum * rest + power_of(sink - top);
    }
    rest /= sum;
    const int64_t size = call->is_half ? 2 : 4;
    for (int64_t at = 0; at < call->value_size; at += LANES)
        give(out + at * size, load(total + at) * splat(rest), call->value_size - at, call->is_half);
}

/* ---- tokens, groups, items ---- */

INLINE int64_t token_of(uint64_t place) { return (int64_t)(place & 0xfffff); }
INLINE int64_t position_of(uint64_t place) { return (int64_t)(place >> 20 & 0xffffff); }
INLINE int64_t row_of(uint64_t place) { return (int64_t)(place >> 44); }
INLINE int64_t end_of(uint64_t place) { return position_of(place) + 1; }
INLINE int64_t start_of(const Call *call, uint64_t place) {
    const int64_t end = end_of(place);
    return call->window > 0 && call->window < end ? end - call->window : 0;
}

/* Of tokens in order of position, find those that see any key of low..high: [*from, *to). */
INLINE void seers(const Call *call, const uint64_t *places, int64_t count, int64_t low, int64_t high,
                  int64_t *from, int64_t *to) {
    int64_t first = 0, last = count;
    while (first < count && end_of(places[first]) <= low) first++;
    while (last > first && start_of(call, places[last - 1]) >= high) last--;
    *from = first;
    *to = last;
}

INLINE const char *key_at(const Call *call, const Group *group, int64_t at, int64_t size) {
    const int64_t slab = group->row * call->key_row + group->kv_head * call->key_head;
    return call->keys + (slab + at * call->key_at) * size;
}

INLINE const char *value_at(const Call *call, const Group *group, int64_t at, int64_t size) {
    const int64_t slab = group->row * call->value_row + group->kv_head * call->value_head;
    return call->values + (slab + at * call->value_at) * size;
}

/* Compute scores of the tokens with the keys of one span. */
INLINE void score_span(const Plan *plan, const Group *group, const Scratch *scratch, int64_t low, int64_t high,
                       const int kind) {
    const Call *call = plan->call;
    const uint64_t *places = plan->order + group->first;
    const int64_t size = kind == FLOATS ? 4 : 2, share = plan->share, start = low / BLOCK * BLOCK;
    for (int64_t block = start; block < high; block += BLOCK) {
        int64_t from, to;
        seers(call, places, group->count, most(block, low), least(block + BLOCK, high), &from, &to);
        if (from == to) continue;
        const int64_t first = most(most(block, low), start_of(call, places[from])) - block;
        const int64_t last = least(least(block + BLOCK, high), end_of(places[to - 1])) - block;
        const int64_t edge = first / LANES * LANES, query = from * share;
        const Ahead ahead = block + BLOCK < high
            ? asking(key_at(call, group, block + BLOCK, size), call->key_at, call->key_size, size)
            : asking(value_at(call, group, start, size), call->value_at, call->value_size, size);
        pack_keys(call, key_at(call, group, block, size), first, last, scratch->keys, kind);
        product(scratch->query + query * plan->units, plan->units, scratch->keys + edge, BLOCK,
                scratch->scores + query * SPAN + block % SPAN + edge, SPAN, (to - from) * share,
                up(last - edge, LANES) / LANES, plan->units, 0, ahead, kind);
    }
}

/* Add the values low..high of one block to the mix of tokens from..to. */
INLINE void mix_values(const Plan *plan, const Group *group, const Scratch *scratch, int64_t from, int64_t to,
                       int64_t low, int64_t high, float *mixed, Ahead ahead, const int kind) {
    const int64_t per_unit = kind == PAIRS ? 2 : 1, block = low / BLOCK * BLOCK, query = from * plan->share;
    const int64_t first = (low - block) / per_unit, last = up(high - block, per_unit) / per_unit;
    const char *values = value_at(plan->call, group, block, kind == FLOATS ? 4 : 2);
    pack_values(plan->call, values, low - block, high - block, scratch->values, plan->width, kind);
    product(scratch->scores + query * SPAN + block % SPAN / per_unit + first, SPAN,
            scratch->values + first * plan->width, plan->width, mixed + query * plan->state, plan->state,
            (to - from) * plan->share, plan->width / LANES, last - first, 1, ahead, kind);
}

/* Mix values of one span: if a token sees part of a block, the block is packed for it alone. */
INLINE void mix_span(const Plan *plan, const Group *group, const Scratch *scratch, int64_t low, int64_t high,
                     float *mixed, const int kind) {
    const Call *call = plan->call;
    const uint64_t *places = plan->order + group->first;
    const int64_t size = kind == FLOATS ? 4 : 2;
    for (int64_t block = low / BLOCK * BLOCK; block < high; block += BLOCK) {
        const Ahead ahead = block + BLOCK < high
            ? asking(value_at(call, group, block + BLOCK, size), call->value_at, call->value_size, size)
            : asking(key_at(call, group, high, size), call->key_at, high < group->high ? call->key_size : 0,
                     size);
        int64_t from, to;
        seers(call, places, group->count, block, block + BLOCK, &from, &to);
        for (int64_t next; from < to; from = next) {
            const int64_t first = most(block, start_of(call, places[from]));
            const int64_t last = least(block + BLOCK, end_of(places[from]));
            next = from + 1;
            if (last - first == BLOCK)
                while (next < to && start_of(call, places[next]) <= block) next++;
            mix_values(plan, group, scratch, from, next, first, last, mixed, ahead, kind);
        }
    }
}

/* Compute one span of a group: top, sum and mix of each (token, head) to mixed[][]. */
INLINE void attend_span(const Plan *plan, const Group *group, const Scratch *scratch, int64_t low,
                        int64_t high, float *mixed, const int kind) {
    const Call *call = plan->call;
    const uint64_t *places = plan->order + group->first;
    const int64_t begin = low / SPAN * SPAN, share = plan->share;
    score_span(plan, group, scratch, low, high, kind);
    for (int64_t at = 0; at < group->count; at++) {
        const int64_t first = most(low, start_of(call, places[at])), last = least(high, end_of(places[at]));
        for (int64_t part = 0; first < last && part < share; part++) {
            const int64_t query = at * share + part, head = group->kv_head * share + part;
            const float *bias = call->bias ? call->bias + head * call->bias_head + begin : 0;
            float *state = mixed + query * plan->state;
            weigh(call, scratch->scores + query * SPAN, bias, first - begin, last - begin,
                  state + plan->width, kind);
            memset(state, 0, (size_t)plan->width * sizeof(float));
        }
    }
    mix_span(plan, group, scratch, low, high, mixed, kind);
}

/* Fold a span's part for the tokens that saw any of it; finish those whose last span it was. */
INLINE void gather(const Plan *plan, const Group *group, int64_t low, int64_t high, float *total,
                   const float *mixed) {
    const Call *call = plan->call;
    const int64_t share = plan->share, size = call->is_half ? 2 : 4;
    for (int64_t at = 0; at < group->count; at++) {
        const uint64_t place = plan->order[group->first + at];
        const int64_t start = start_of(call, place), end = end_of(place);
        for (int64_t part = 0; start < high && end > low && part < share; part++) {
            const int64_t query = at * share + part, head = group->kv_head * share + part;
            float *result = total + query * plan->state;
            const float *more = mixed + query * plan->state;
            if (start >= low / SPAN * SPAN) memcpy(result, more, (size_t)plan->state * sizeof(float));
            else fold(result, more, plan->width);
            char *out = call->out + (token_of(place) * call->heads + head) * call->value_size * size;
            if (end <= high) finish(call, result, plan->width, head, out);
        }
    }
}

/* Pack the group's queries for the arithmetic, each followed by zeros. */
INLINE void pack_queries(const Plan *plan, const Group *group, float *to, const int kind) {
    const Call *call = plan->call;
    const int64_t size = kind == FLOATS ? 4 : 2, full = kind == PAIRS ? 2 * LANES : LANES;
    const int64_t share = plan->share;
    for (int64_t query = 0; query < group->count * share; query++) {
        const int64_t token = token_of(plan->order[group->first + query / share]);
        const int64_t head = group->kv_head * share + query % share;
        const char *from = call->query + (token * call->query_token + head * call->query_head) * size;
        for (int64_t at = 0, unit = 0; at < call->key_size; at += full, unit += LANES)
            store(to + query * plan->units + unit, take(from + at * size, call->key_size - at, kind));
    }
}

INLINE void attend_item(const Plan *plan, const Item *item, const Scratch *scratch, const int kind) {
    Group *group = item->group;
    const int64_t slab = group->count * plan->share * plan->state;
    pack_queries(plan, group, scratch->query, kind);
    for (int64_t low = item->low, high; low < item->high; low = high) {
        high = least(item->high, low / SPAN * SPAN + SPAN);
        float *mixed = scratch->mixed;
        if (group->partials) mixed = group->partials + (low / SPAN - group->low / SPAN) * slab;
        attend_span(plan, group, scratch, low, high, mixed, kind);
        if (!group->partials) gather(plan, group, low, high, scratch->total, mixed);
    }
    if (!group->partials || atomic_fetch_sub(&group->left, 1) > 1) return;
    for (int64_t low = group->low, high, span = 0; low < group->high; low = high, span++) {
        high = least(group->high, low / SPAN * SPAN + SPAN);
        gather(plan, group, low, high, scratch->total, group->partials + span * slab);
    }
}

static void attend_floats(const Plan *plan, const Item *item, const Scratch *scratch) {
    attend_item(plan, item, scratch, FLOATS);
}

static void attend_halves(const Plan *plan, const Item *item, const Scratch *scratch) {
    attend_item(plan, item, scratch, HALF);
}

/* ---- memory and threads ---- */

static pthread_key_t kept;

__attribute__((constructor)) static void begin(void) { pthread_key_create(&kept, free); }

/* This thread's memory, kept from call to call; its first word is its size. */
static float *memory(size_t floats) {
    const size_t bytes = up((int64_t)floats * 4 + 64, 64);
    size_t *mine = pthread_getspecific(kept);
    if (!mine || *mine < bytes) {
        free(mine);
        mine = aligned_alloc(64, bytes);
        pthread_setspecific(kept, mine);
        if (!mine) return 0;
        memset(mine, 0, bytes);
        *mine = bytes;
    }
    return (float *)mine + 16;
}

static void worker(void *context) {
    Plan *plan = context;
    const int64_t per = most(1, GROUP / plan->share) * plan->share;
    const int64_t sizes[] = {per * plan->units, per * SPAN, per * plan->state, per * plan->state,
                             plan->units * BLOCK, plan->width * BLOCK};
    float *parts[6];
    int64_t floats = 0;
    for (int i = 0; i < 6; i++) floats += up(sizes[i], 16);
    float *base = memory((size_t)floats);
    if (!base) return;
    for (int i = 0; i < 6; base += up(sizes[i], 16), i++) parts[i] = base;
    const Scratch scratch = {parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]};
    for (int64_t at; (at = atomic_fetch_add(&plan->next, 1)) < plan->count; atomic_fetch_add(&plan->done, 1))
        (plan->call->is_half ? attend_halves : attend_floats)(plan, plan->items + at, &scratch);
}

/* For threads that are given ranges of items: the first one takes all that is left. */
static void shared_worker(const void *context, int64_t first, int64_t last) {
    (void)first, (void)last;
    worker((void *)context);
}

/* ---- the plan of a call ---- */

static void sort(uint64_t *numbers, int64_t count) {
    int64_t gap = 1;
    while (gap < count / 3) gap = 3 * gap + 1;
    for (; gap; gap /= 3)
        for (int64_t i = gap; i < count; i++) {
            const uint64_t number = numbers[i];
            int64_t at = i;
            for (; at >= gap && numbers[at - gap] > number; at -= gap) numbers[at] = numbers[at - gap];
            numbers[at] = number;
        }
}

/* True if outside the cache. A row below 0 is a slot without a token, whatever its position. */
static int outside(int64_t row, int64_t position, int64_t rows, int64_t context) {
    return row >= rows || (row >= 0 && (position < 0 || position >= context));
}

/* Sort tokens by (row, position), their number to *count; slots without a token get zeros. */
static int put_in_order(const Call *call, uint64_t *order, int64_t *count) {
    const int64_t bytes = call->heads * call->value_size * (call->is_half ? 2 : 4);
    int64_t placed = 0;
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t row = call->row[token], position = call->position[token];
        if (outside(row, position, call->rows, call->context)) return OUT_OF_RANGE;
        if (row < 0) memset(call->out + token * bytes, 0, (size_t)bytes);
        else order[placed++] = (uint64_t)row << 44 | (uint64_t)position << 20 | (uint64_t)token;
    }
    sort(order, placed);
    *count = placed;
    return OK;
}

/* Make groups of a few tokens of one row, one for each KV head; return their number. */
static int64_t make_groups(const Call *call, const uint64_t *order, int64_t count, int64_t per,
                           Group *groups) {
    int64_t made = 0;
    for (int64_t first = 0, last; first < count; first = last) {
        last = first + 1;
        while (last < count && last - first < per && row_of(order[last]) == row_of(order[first])) last++;
        const Group group = {.first = first, .count = last - first, .row = row_of(order[first]),
                             .low = start_of(call, order[first]), .high = end_of(order[last - 1])};
        for (int64_t head = 0; head < call->kv_heads; head++) {
            groups[made] = group;
            groups[made++].kv_head = head;
        }
    }
    return made;
}

static uint64_t cost_of(const Group *group, int64_t share, int64_t low, int64_t high) {
    return (uint64_t)((high - low) * (group->count * share + 6));
}

static int64_t spans_of(const Group *group) { return (group->high - 1) / SPAN - group->low / SPAN + 1; }

/* Floats for splitting a group by spans, if it would delay the others; otherwise 0. */
static int64_t partials_of(const Plan *plan, const Group *group, uint64_t total) {
    const uint64_t cost = cost_of(group, plan->share, group->low, group->high);
    const int dear = cost * 2 * (uint64_t)plan->call->threads > total && plan->call->threads > 1;
    return dear && spans_of(group) > 1 ? spans_of(group) * group->count * plan->share * plan->state : 0;
}

/* Turn groups into items: whole, or, while there is room for their parts, by spans. */
static int64_t make_items(const Plan *plan, Group *groups, int64_t count, uint64_t total, Item *items,
                          float *partials) {
    int64_t made = 0, used = 0;
    for (Group *group = groups; group < groups + count; group++) {
        const int64_t need = partials_of(plan, group, total);
        const int whole = !need || !partials || used + need > PARTIALS;
        if (!whole) {
            group->partials = partials + used;
            atomic_init(&group->left, (int)spans_of(group));
            used += need;
        }
        for (int64_t low = group->low, high; low < group->high; low = high) {
            high = whole ? group->high : least(group->high, low / SPAN * SPAN + SPAN);
            items[made++] = (Item){cost_of(group, plan->share, low, high), group, low, high};
        }
    }
    return made;
}

static int dearer(const void *a, const void *b) {
    const uint64_t left = ((const Item *)a)->cost, right = ((const Item *)b)->cost;
    return (left < right) - (left > right);
}

static int run(Plan *plan, Group *groups, int64_t count) {
    const Call *call = plan->call;
    int64_t spans = 0, floats = 0;
    uint64_t total = 0;
    for (Group *group = groups; group < groups + count; group++)
        total += cost_of(group, plan->share, group->low, group->high);
    for (Group *group = groups; group < groups + count; group++) {
        spans += spans_of(group);
        floats += partials_of(plan, group, total);
    }
    Item *items = malloc((size_t)spans * sizeof *items);
    if (!items) return NO_MEMORY;
    float *partials = floats ? malloc((size_t)least(floats, PARTIALS) * sizeof *partials) : 0;
    plan->items = items;
    plan->count = make_items(plan, groups, count, total, items, partials);
    if (call->threads > 1) qsort(items, (size_t)plan->count, sizeof *items, dearer);
    const int64_t threads = total > SMALL ? least(call->threads, plan->count) : 1;
    if (threads > 1 && call->share) call->share(call->crew, shared_worker, plan, threads, 1);
    else if (threads > 1 && call->parallel) call->parallel(worker, plan, (unsigned)threads, 0);
    else worker(plan);
    free(items);
    free(partials);
    return plan->done == plan->count ? OK : NO_MEMORY;
}

int rowcast_attend(const Call *call) {
    const int64_t share = call->heads / call->kv_heads, unit = call->is_half && HALF == PAIRS ? 2 : 1;
    Plan plan = {.call = call, .share = share, .units = up((call->key_size + unit - 1) / unit, LANES),
                 .width = up(call->value_size, LANES), .state = up(call->value_size, LANES) + LANES};
    uint64_t *order = malloc((size_t)(call->tokens * 8 + 8));
    Group *groups = malloc((size_t)(call->tokens * call->kv_heads + 1) * sizeof *groups);
    int64_t count = 0;
    int fault = order && groups ? put_in_order(call, order, &count) : NO_MEMORY;
    if (!fault && count) {
        plan.order = order;
        fault = run(&plan, groups, make_groups(call, order, count, most(1, GROUP / share), groups));
    }
    free(order);
    free(groups);
    return fault;
}

int rowcast_store(const Stored *call) {
    const int64_t size = call->is_half ? 2 : 4;
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t row = call->row[token], position = call->position[token];
        if (outside(row, position, call->rows, call->context)) return OUT_OF_RANGE;
    }
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t row = call->row[token], position = call->position[token];
        for (int64_t head = 0; row >= 0 && head < call->kv_heads; head++) {
            const int64_t key = row * call->key_row + head * call->key_head + position * call->key_at;
            const int64_t value = row * call->value_row + head * call->value_head + position * call->value_at;
            const char *new_key = call->key + (token * call->key_token + head * call->key_part) * size;
            const char *new_value = call->value + (token * call->value_token + head * call->value_part) * size;
            memcpy(call->keys + key * size, new_key, (size_t)(call->key_size * size));
            memcpy(call->values + value * size, new_value, (size_t)(call->value_size * size));
        }
    }
    return OK;
}

/* Called by another kernel's plan for a layer: store, then attend. */
void rowcast_store_and_attend(void *context, int64_t tokens) {
    Planned *planned = context;
    planned->stored.tokens = planned->call.tokens = tokens;
    if (!*planned->fault) *planned->fault = rowcast_store(&planned->stored);
    if (!*planned->fault) *planned->fault = rowcast_attend(&planned->call);
}

const char *rowcast_isa(void) { return ISA; }
