/* Linear layers on a CPU, and the small operations between them.
 *
 *     panel     16 outputs: lines of 64 bytes, one for every 4 bytes of a token's input
 *               (1 fp32, 2 bf16 or 4 int8 values), in the order of the input
 *     block     the lines of a few panels that stay in cache while all tokens pass
 *     tile      a few tokens by a few panels, summed in registers
 *     plan      operations run one after another in one call, all threads on each
 *
 * An output is one chain of sums over the input in ascending order, begun and ended in the same
 * way whatever the number of tokens, their places, the blocks and the threads: where a chain is
 * split, its exact state is stored in memory. So its bits depend on its token and its weights
 * alone. Every other operation treats each token independently, in one order. Knows no tensors
 * and checks no shapes: linear_kernel.py does.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
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

enum { LANES = 16, LINE = 64, CHUNK = 8, TALL = 8, THREADS = 64, MIXED = 64 };
#if WIDE
enum { BROAD = 3, HEIGHT = 8 };  /* of the largest tile whose sums registers hold */
#elif defined __AVX2__ || defined __aarch64__
enum { BROAD = 1, HEIGHT = 6 };
#else
enum { BROAD = 1, HEIGHT = 3 };
#endif
enum { FLOATS, HALVES, BYTES };                            /* the format of a weight */
/* The kinds of operations. */
enum { LINEAR, NORM, SWIGLU, SUM, ROTATE, FOREIGN, PICK, CLAMPED };
enum { OK = 0, NO_MEMORY = 1 };
enum { SPINS = 2000 };          /* polls of the other threads before sleeping: 20-50 microseconds */
enum { SLAB = 256 };            /* tokens that pass a block before the next */
enum { NEAR = 64, FAR = 512 };  /* lines of a panel in a block: one tile of tokens; several */

typedef float vf __attribute__((vector_size(LINE)));
typedef int32_t vi __attribute__((vector_size(LINE)));
typedef uint32_t vu __attribute__((vector_size(LINE)));
typedef uint16_t vh __attribute__((vector_size(LINE / 2)));

/* A weight, as linear_kernel.py keeps it. */
typedef struct {
    char *lines;          /* panels, one after another */
    const float *bias;    /* by output, or null */
    float *scale;         /* by output; bytes only */
    int32_t *start;       /* by output: compensates the inputs' offset of 128; bytes only */
    const float *directions; /* of inputs, each of length 1, that are not rounded; bytes only */
    const uint16_t *columns; /* by direction and output, bf16: the weight times the direction */
    int64_t outputs, inputs, kind, apart; /* apart: how many directions */
} Weight;

typedef struct {
    int64_t what, half, out_half;  /* half: inputs are bf16; out_half: outputs too */
    const void *from, *with, *also;
    void *to;
    const Weight *weight;
    void (*foreign)(void *, int64_t);
    int64_t from_step, to_step;  /* elements from one token to the next */
    int64_t size, heads;         /* elements of a token that are read; heads to rotate or norm */
    int64_t mixed;               /* vectors of SwiGLU's results that are mixed; 1: none */
    double epsilon;
} Operation;

/* ---- threads: a job is cut into ranges of items, each thread's own first, then the others' ---- */

typedef void (*Job)(const void *, int64_t first, int64_t last);

typedef struct {
    _Alignas(LINE) _Atomic uint64_t range; /* first << 32 | last: items that no thread has taken */
} Share;

typedef struct Crew Crew;

typedef struct {
    Crew *crew;
    int64_t number;
    pthread_t thread;
} Member;

struct Crew {
    Share shares[THREADS];
    _Alignas(LINE) _Atomic uint32_t round; /* jobs so far */
    _Atomic int32_t asleep, leaving;
    _Alignas(LINE) _Atomic int64_t left; /* items of the job that are not done */
    _Atomic(Job) job;
    _Atomic(const void *) context;
    _Atomic int64_t grain;
    int64_t threads;
    pthread_mutex_t turn, sleeping; /* one caller at a time; for sleeping until the next round */
    pthread_cond_t called;
    Member members[THREADS];
    char *inputs; /* a linear layer's, laid out for its tiles */
    int64_t inputs_size;
};

INLINE void pause_briefly(void) {
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* A thread that takes items of a range works for the present job, which cannot end before them. */
static int take(Crew *crew, int64_t whose, int from_front, int64_t *first, int64_t *last) {
    _Atomic uint64_t *range = &crew->shares[whose].range;
    uint64_t seen = atomic_load(range);
    for (;;) {
        int64_t low = seen >> 32, high = seen & UINT32_MAX;
        if (low >= high) return 0;
        int64_t grain = atomic_load_explicit(&crew->grain, memory_order_relaxed);
        int64_t size = high - low < grain ? high - low : grain;
        *first = from_front ? low : high - size;
        *last = *first + size;
        uint64_t rest = from_front ? (uint64_t)(low + size) << 32 | high
                                   : (uint64_t)low << 32 | (high - size);
        if (atomic_compare_exchange_weak(range, &seen, rest)) return 1;
    }
}

static void work(Crew *crew, int64_t self) {
    int64_t first, last;
    for (int64_t next = 0; next < crew->threads; next++) {
        int64_t whose = (self + next) % crew->threads;
        while (take(crew, whose, next == 0, &first, &last)) {
            Job job = atomic_load_explicit(&crew->job, memory_order_relaxed);
            job(atomic_load_explicit(&crew->context, memory_order_relaxed), first, last);
            atomic_fetch_sub(&crew->left, last - first);
        }
    }
}

static void sleep_until_called(Crew *crew, uint32_t round) {
    pthread_mutex_lock(&crew->sleeping);
    atomic_fetch_add(&crew->asleep, 1);
    while (atomic_load(&crew->round) == round) pthread_cond_wait(&crew->called, &crew->sleeping);
    atomic_fetch_sub(&crew->asleep, 1);
    pthread_mutex_unlock(&crew->sleeping);
}

static void call(Crew *crew) {
    atomic_fetch_add(&crew->round, 1);
    if (!atomic_load(&crew->asleep)) return;
    pthread_mutex_lock(&crew->sleeping);
    pthread_cond_broadcast(&crew->called);
    pthread_mutex_unlock(&crew->sleeping);
}

static void *attend(void *argument) {
    Member *member = argument;
    Crew *crew = member->crew;
    uint32_t round = 0;
    for (;;) {
        for (int spins = 0; atomic_load(&crew->round) == round && spins < SPINS; spins++)
            pause_briefly();
        if (atomic_load(&crew->round) == round) sleep_until_called(crew, round);
        round = atomic_load(&crew->round);
        if (atomic_load(&crew->leaving)) return NULL;
        work(crew, member->number);
    }
}

/* The caller works too, and waits only for items that other threads are processing. */
static void share(Crew *crew, Job job, const void *context, int64_t items, int64_t grain) {
    if (crew->threads == 1 || items <= grain) {
        if (items > 0) job(context, 0, items);
        return;
    }
    atomic_store(&crew->job, job);
    atomic_store(&crew->context, context);
    atomic_store(&crew->grain, grain);
    atomic_store(&crew->left, items);
    for (int64_t each = 0; each < crew->threads; each++) {
        uint64_t low = items * each / crew->threads, high = items * (each + 1) / crew->threads;
        atomic_store(&crew->shares[each].range, low << 32 | high);
    }
    call(crew);
    work(crew, 0);
    for (int spins = 0; atomic_load(&crew->left) > 0; spins++)
        if (spins < SPINS) pause_briefly();
        else sched_yield();
}

/* ---- vectors ---- */

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

/* ---- linear layers ---- */

/* Add one line of weights, times 4 bytes of a token's input, to 16 sums. */
INLINE vf product(const int kind, vf sum, vi line, int32_t input) {
    if (kind == FLOATS) {
        float value;
        memcpy(&value, &input, sizeof value);
        return multiply_add(splat(value), (vf)line, sum);
    }
    vi all = (vi){} + input;
    if (kind == HALVES) {
#if PAIRED
        return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)all, (__m512bh)line);
#else
        vu high = (vu){} + 0xFFFF0000u;
        sum = multiply_add((vf)((vu)all & high), (vf)((vu)line & high), sum);
        return multiply_add((vf)((vu)all << 16), (vf)((vu)line << 16), sum);
#endif
    }
#if QUADS
    return (vf)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)all, (__m512i)line);
#else
    vi whole = (vi)sum;
    for (int byte = 0; byte < 4; byte++)
        whole += (vi)((vu)all >> 8 * byte & 255) * ((vi)((vu)line << (24 - 8 * byte)) >> 24);
    return (vf)whole;
#endif
}

typedef void Tile(const char *input, int64_t step, const char *lines, int64_t panel, int64_t count,
                  vf *sums, const char *ahead, int64_t ahead_by);

/* `ahead`: lines of each panel prefetched to L2 meanwhile, `ahead_by` of them per chunk. */
INLINE void tile(const int kind, const int tall, const int broad, const char *input, int64_t step,
                 const char *lines, int64_t panel, int64_t count, vf *sums, const char *ahead,
                 int64_t ahead_by) {
    vf sum[TALL][BROAD];
#pragma GCC unroll 8
    for (int row = 0; row < tall; row++)
#pragma GCC unroll 3
        for (int each = 0; each < broad; each++) sum[row][each] = sums[row * BROAD + each];
    for (int64_t at = 0; at < count; at += CHUNK) {
        for (int64_t next = 0; next < ahead_by; next++, ahead += LINE)
            for (int each = 0; each < broad; each++)
                __builtin_prefetch(ahead + each * panel, 0, 2);
        for (int64_t one = 0; one < CHUNK; one++, input += 4, lines += LINE) {
            vi line[BROAD];
#pragma GCC unroll 3
            for (int each = 0; each < broad; each++) {
                __builtin_prefetch(lines + each * panel + CHUNK * LINE, 0, 3);
                memcpy(&line[each], lines + each * panel, LINE);
            }
#pragma GCC unroll 8
            for (int row = 0; row < tall; row++) {
                int32_t quad;
                memcpy(&quad, input + row * step, sizeof quad);
#pragma GCC unroll 3
                for (int each = 0; each < broad; each++)
                    sum[row][each] = product(kind, sum[row][each], line[each], quad);
            }
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < tall; row++)
#pragma GCC unroll 3
        for (int each = 0; each < broad; each++) sums[row * BROAD + each] = sum[row][each];
}

#define TILE(kind, tall, broad)                                                                 \
    static void tile_##kind##_##tall##_##broad(                                                 \
        const char *input, int64_t step, const char *lines, int64_t panel, int64_t count,       \
        vf *sums, const char *ahead, int64_t ahead_by) {                                        \
        tile(kind, tall, broad, input, step, lines, panel, count, sums, ahead, ahead_by);       \
    }
#define TILES_OF(kind, broad)                                                                   \
    TILE(kind, 1, broad) TILE(kind, 2, broad) TILE(kind, 3, broad) TILE(kind, 4, broad)         \
    TILE(kind, 5, broad) TILE(kind, 6, broad) TILE(kind, 7, broad) TILE(kind, 8, broad)
#define NAMES_OF(kind, broad)                                                                   \
    {tile_##kind##_1_##broad, tile_##kind##_2_##broad, tile_##kind##_3_##broad,                 \
     tile_##kind##_4_##broad, tile_##kind##_5_##broad, tile_##kind##_6_##broad,                 \
     tile_##kind##_7_##broad, tile_##kind##_8_##broad}
#if WIDE
#define TILES(kind) TILES_OF(kind, 1) TILES_OF(kind, 2) TILES_OF(kind, 3)
#define NAMES(kind) {NAMES_OF(kind, 1), NAMES_OF(kind, 2), NAMES_OF(kind, 3)}
#else
#define TILES(kind) TILES_OF(kind, 1)
#define NAMES(kind) {NAMES_OF(kind, 1)}
#endif
TILES(FLOATS)
TILES(HALVES)
TILES(BYTES)
static Tile *const tiles[3][BROAD][TALL] = {NAMES(FLOATS), NAMES(HALVES), NAMES(BYTES)};

typedef struct {
    const Operation *operation;
    int64_t tokens, lines, step; /* lines per panel; bytes from one token's input to the next */
    char *inputs;
    float *scales; /* by token; bytes only */
    float *parts;  /* by token: how much of its input is along each of the weight's directions */
} Layer;

/* Vectors of a stored direction: whole groups of four, zeros past the last input. */
INLINE int64_t grouped(int64_t size) { return (size + 4 * LANES - 1) / (4 * LANES) * 4; }

/* Remove the parts of a token's input along the weight's directions, and store them in `parts`. */
static void leave_out(const Layer *layer, int64_t token, vf *row) {
    const Operation *of = layer->operation;
    const int64_t vectors = grouped(of->size), count = of->weight->apart;
    const char *from = row_of(of->from, of->half, of->from_step, token);
    memset(row + vectors - 4, 0, 4 * LINE);
    for (int64_t at = 0; at < of->size; at += LANES)
        row[at / LANES] = get(from, of->half, at, of->size);
    for (int64_t part = 0; part < count; part++) {
        const vf *direction = (const vf *)of->weight->directions + part * vectors;
        vf sums[4] = {};
        for (int64_t each = 0; each < vectors; each += 4)
#pragma GCC unroll 4
            for (int64_t next = 0; next < 4; next++)
                sums[next] = multiply_add(row[each + next], direction[each + next], sums[next]);
        float along = total(sums[0] + sums[1] + (sums[2] + sums[3]));
        layer->parts[token * count + part] = along;
        for (int64_t each = 0; each < vectors; each++)
            row[each] = multiply_add(splat(-along), direction[each], row[each]);
    }
}

/* A token's input in bytes: q = x * 127 / max|x|, half to even, offset by 128. */
static void quantise_row(const Layer *layer, int64_t token, const char *from, int half) {
    const Operation *of = layer->operation;
    vu most = {};
    for (int64_t at = 0; at < of->size; at += LANES) {
        vu bits = (vu)get(from, half, at, of->size) & 0x7FFFFFFF;
        most = (vu)choose(bits > most, (vf)bits, (vf)most);
    }
    uint32_t largest = 0;
    for (int lane = 0; lane < LANES; lane++) largest = most[lane] > largest ? most[lane] : largest;
    float peak;
    memcpy(&peak, &largest, sizeof peak);
    int usable = largest < 0x7F800000 && peak > 0;
    layer->scales[token] = usable || peak == 0 ? peak / 127 : NAN;
    vf by = splat(usable ? 127 / peak : 0), magic = splat(0x1.8p23f);
    uint8_t *to = (uint8_t *)layer->inputs + token * layer->step;
    for (int64_t at = 0; at < of->size; at += LANES) {
        vf scaled = get(from, half, at, of->size) * by;
        vi whole = usable ? (vi)(scaled + magic) - (vi)magic : (vi){};
        typedef uint8_t vb __attribute__((vector_size(LANES)));
        vb bytes = __builtin_convertvector(whole + 128, vb);
        memcpy(to + at, &bytes, of->size - at < LANES ? of->size - at : LANES);
    }
}

static void quantise(const Layer *layer, int64_t token) {
    const Operation *of = layer->operation;
    if (of->weight->apart) {
        vf row[grouped(of->size)];
        leave_out(layer, token, row);
        quantise_row(layer, token, (const char *)row, 0);
    } else quantise_row(layer, token, row_of(of->from, of->half, of->from_step, token), of->half);
}

static void lay_out(const void *context, int64_t first, int64_t last) {
    const Layer *layer = context;
    const Operation *of = layer->operation;
    int64_t bytes = of->weight->kind == BYTES ? of->size : of->size * (of->half ? 2 : 4);
    for (int64_t token = first; token < last; token++) {
        char *to = layer->inputs + token * layer->step;
        memset(to + bytes, 0, layer->lines * 4 - bytes);
        if (of->weight->kind == BYTES) quantise(layer, token);
        else memcpy(to, row_of(of->from, of->half, of->from_step, token), bytes);
    }
}

static void begin(const Weight *weight, int64_t panel, int64_t broad, int64_t tokens, vf *sums) {
    for (int64_t each = 0; each < broad; each++) {
        vf start = {};
        if (weight->kind == BYTES) memcpy(&start, weight->start + (panel + each) * LANES, LINE);
        for (int64_t token = 0; token < tokens; token++) sums[token * BROAD + each] = start;
    }
}

/* Add a token's parts along the directions, times the weight's columns, to a panel's outputs. */
INLINE vf with_parts(const vh *column, int64_t panels, const float *parts, int64_t count, vf value) {
    for (int64_t each = 0; each < count; each++, column += panels)
        value = multiply_add(splat(parts[each]), widen(*column), value);
    return value;
}

/* Apply scale and bias, round to the output's dtype, and add the residual. */
static void finish(const Layer *layer, int64_t panel, int64_t broad, int64_t token0,
                   int64_t tokens, const vf *sums) {
    const Operation *of = layer->operation;
    const Weight *weight = of->weight;
    const vh *columns = (const vh *)weight->columns;
    const int64_t panels = (weight->outputs + LANES - 1) / LANES, apart = weight->apart;
    for (int64_t token = 0; token < tokens; token++) {
        const float *parts = layer->parts + (token0 + token) * apart;
        char *to = row_of(of->to, of->out_half, of->to_step, token0 + token);
        for (int64_t each = 0; each < broad; each++) {
            int64_t at = (panel + each) * LANES;
            vf value = sums[token * BROAD + each];
            if (weight->kind == BYTES) {
                value = __builtin_convertvector((vi)value, vf) *
                        get(weight->scale, 0, at, at + LANES) *
                        splat(layer->scales[token0 + token]);
                value = with_parts(columns + panel + each, panels, parts, apart, value);
            }
            if (weight->bias) value += get(weight->bias, 0, at, at + LANES);
            if (of->with) {
                const char *with = row_of(of->with, of->out_half, of->to_step, token0 + token);
                value = as_kept(value, of->out_half) + get(with, of->out_half, at, weight->outputs);
            }
            put(to, of->out_half, at, weight->outputs, value);
        }
    }
}

static void some_panels(const Layer *layer, int64_t panel, int64_t broad, int64_t token0,
                        int64_t tokens) {
    const Weight *weight = layer->operation->weight;
    const int64_t stride = layer->lines * LINE, parts = (tokens + HEIGHT - 1) / HEIGHT;
    const int64_t block = parts == 1 ? NEAR : FAR, ahead_by = (CHUNK + parts - 1) / parts;
    const char *lines = weight->lines + panel * stride;
    Tile *const *tile_of = tiles[weight->kind][broad - 1];
    vf sums[SLAB * BROAD];
    begin(weight, panel, broad, tokens, sums);
    for (int64_t line = 0; line < layer->lines; line += block) {
        int64_t count = layer->lines - line < block ? layer->lines - line : block;
        const char *next = line + count < layer->lines ? lines + (line + count) * LINE
                                                       : lines + broad * stride;
        for (int64_t part = 0; part < parts; part++) {
            int64_t low = tokens * part / parts, high = tokens * (part + 1) / parts;
            int64_t fetched = part * ahead_by * (count / CHUNK);
            tile_of[high - low - 1](
                layer->inputs + (token0 + low) * layer->step + line * 4, layer->step,
                lines + line * LINE, stride, count, sums + low * BROAD, next + fetched * LINE,
                fetched < count ? ahead_by : 0);
        }
    }
    finish(layer, panel, broad, token0, tokens, sums);
}

static void multiply(const void *context, int64_t first, int64_t last) {
    const Layer *layer = context;
    for (int64_t panel = first; panel < last; panel += BROAD) {
        int64_t broad = last - panel < BROAD ? last - panel : BROAD;
        for (int64_t token = 0; token < layer->tokens; token += SLAB) {
            int64_t rest = layer->tokens - token;
            some_panels(layer, panel, broad, token, rest < SLAB ? rest : SLAB);
        }
    }
}

static int64_t lines_of(const Weight *weight) {
    int64_t bytes = weight->inputs * (weight->kind == FLOATS ? 4 : weight->kind == HALVES ? 2 : 1);
    return (bytes + 4 * CHUNK - 1) / (4 * CHUNK) * CHUNK;
}

static int enough_room(Crew *crew, int64_t size) {
    if (size <= crew->inputs_size) return 1;
    void *room;
    if (posix_memalign(&room, LINE, size)) return 0;
    free(crew->inputs);
    crew->inputs = room;
    crew->inputs_size = size;
    return 1;
}

static int linear(Crew *crew, const Operation *of, int64_t tokens) {
    const Weight *weight = of->weight;
    Layer layer = {of, tokens, lines_of(weight), of->from_step * (of->half ? 2 : 4),
                   (char *)of->from, NULL, NULL};
    int64_t bytes = layer.lines * 4, grain = 1 + 16384 / of->size;
    int whole = of->size * (of->half ? 2 : 4) == bytes;
    if (weight->kind == BYTES || !whole || (tokens > 2 && layer.step % 1024 == 0)) {
        layer.step = bytes + (bytes % 1024 ? 0 : LINE);
        int64_t each = (1 + weight->apart) * sizeof(float);
        int64_t scales = (tokens * each + LINE - 1) / LINE * LINE;
        if (!enough_room(crew, scales + tokens * layer.step)) return NO_MEMORY;
        layer.scales = (float *)crew->inputs;
        layer.parts = layer.scales + tokens;
        layer.inputs = crew->inputs + scales;
        share(crew, lay_out, &layer, tokens, grain);
    }
    share(crew, multiply, &layer, (weight->outputs + LANES - 1) / LANES, BROAD);
    return OK;
}

/* ---- operations between linear layers, each token independently ---- */

static void norm_one(const Operation *of, const char *from, char *to) {
    vf squares[4] = {};
    for (int64_t at = 0; at < of->size; at += LANES) {
        vf value = get(from, of->half, at, of->size);
        vf *sum = &squares[at / LANES % 4];
        *sum = multiply_add(value, value, *sum);
    }
    float sum = total(squares[0] + squares[1] + (squares[2] + squares[3]));
    vf by = splat(1 / sqrtf(sum / of->size + (float)of->epsilon));
    for (int64_t at = 0; at < of->size; at += LANES) {
        vf value = as_kept(get(from, of->half, at, of->size) * by, of->half);
        put(to, of->half, at, of->size, value * get(of->with, of->half, at, of->size));
    }
}

/* Normalize the whole row of each token, or each of its heads. */
static void norm(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    for (int64_t token = first; token < last; token++) {
        const char *from = row_of(of->from, of->half, of->from_step, token);
        char *to = row_of(of->to, of->half, of->to_step, token);
        norm_one(of, from, to);
        for (int64_t head = 1; head < of->heads; head++)
            norm_one(of, row_of(from, of->half, of->size, head), row_of(to, of->half, of->size, head));
    }
}

/* e to the power of x, to about one unit in the last place; infinite above 88. */
INLINE vf exponential(vf x) {
    const vf magic = splat(0x1.8p23f);
    const vi over = x > 88;
    x = choose(x < -87, splat(-87), choose(over, splat(0), x));
    vf power = multiply_add(x, splat(0x1.715476p0f), magic);
    vi whole = (vi)power - (vi)magic;
    power -= magic;
    x = multiply_add(power, splat(-0x1.62e4p-1f), x);
    x = multiply_add(power, splat(-0x1.7f7d1cp-20f), x);
    vf sum = splat(1.f / 5040);
    sum = multiply_add(sum, x, splat(1.f / 720));
    sum = multiply_add(sum, x, splat(1.f / 120));
    sum = multiply_add(sum, x, splat(1.f / 24));
    sum = multiply_add(sum, x, splat(1.f / 6));
    sum = multiply_add(sum, x, splat(.5f));
    sum = multiply_add(sum, x, splat(1));
    sum = multiply_add(sum, x, splat(1));
    return choose(over, splat(INFINITY), (vf)((vi)sum + (whole << 23)));
}

/* Sums and differences of `count` vectors, a power of two: each gets a part of every vector. */
INLINE void mix(vf *values, int64_t count) {
    for (int64_t apart = 1; apart < count; apart *= 2)
        for (int64_t low = 0; low < count; low = (low + 1 + apart) & ~apart) {
            vf one = values[low], other = values[low + apart];
            values[low] = one + other;
            values[low + apart] = one - other;
        }
}

INLINE vf gated(const char *gate, const char *up, int half, int64_t at, int64_t size) {
    vf value = get(gate, half, at, size);
    return as_kept(value / (1 + exponential(-value)), half) * get(up, half, at, size);
}

static void swiglu(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const int64_t size = of->size, mixed = of->mixed;
    const int half = of->half;
    for (int64_t token = first; token < last; token++) {
        const char *gate = row_of(of->from, half, of->from_step, token);
        const char *up = row_of(gate, half, size, 1);
        char *to = row_of(of->to, half, of->to_step, token);
        if (mixed == 1)
            for (int64_t at = 0; at < size; at += LANES)
                put(to, half, at, size, gated(gate, up, half, at, size));
        else
            for (int64_t at = 0; at < size; at += mixed * LANES) {
                vf values[MIXED];
                for (int64_t each = 0; each < mixed; each++)
                    values[each] = gated(gate, up, half, at + each * LANES, size);
                mix(values, mixed);
                for (int64_t each = 0; each < mixed; each++)
                    put(to, half, at + each * LANES, size, values[each]);
            }
    }
}

/* As SwiGLU, but gate and up are clamped, the sigmoid is steeper, and 1 is added to up. */
static void clamped(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const float *steep_and_limit = of->with;
    const vf steep = splat(steep_and_limit[0]), limit = splat(steep_and_limit[1]);
    for (int64_t token = first; token < last; token++) {
        const char *gates = row_of(of->from, of->half, of->from_step, token);
        const char *ups = row_of(gates, of->half, of->size, 1);
        char *to = row_of(of->to, of->half, of->to_step, token);
        for (int64_t at = 0; at < of->size; at += LANES) {
            vf gate = get(gates, of->half, at, of->size), up = get(ups, of->half, at, of->size);
            gate = choose(gate > limit, limit, gate);
            up = choose(up > limit, limit, choose(up < -limit, -limit, up));
            vf steeper = as_kept(gate * steep, of->half);
            vf open = as_kept(1 / (1 + exponential(-steeper)), of->half);
            put(to, of->half, at, of->size,
                as_kept(up + 1, of->half) * as_kept(gate * open, of->half));
        }
    }
}

static void sum(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    for (int64_t token = first; token < last; token++) {
        const char *from = row_of(of->from, of->half, of->from_step, token);
        const char *with = row_of(of->with, of->half, of->to_step, token);
        char *to = row_of(of->to, of->half, of->to_step, token);
        for (int64_t at = 0; at < of->size; at += LANES)
            put(to, of->half, at, of->size,
                get(from, of->half, at, of->size) + get(with, of->half, at, of->size));
    }
}

/* x cos + half-turned x sin, each product rounded to the dtype. */
static void rotate(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const int half = of->half;
    const int64_t middle = of->size / 2;
    for (int64_t token = first; token < last; token++) {
        const char *cos = row_of(of->with, half, of->size, token);
        const char *sin = row_of(of->also, half, of->size, token);
        const char *cos2 = row_of(cos, half, middle, 1), *sin2 = row_of(sin, half, middle, 1);
        for (int64_t head = 0; head < of->heads; head++) {
            char *low = row_of(row_of(of->to, half, of->to_step, token), half, of->size, head);
            char *high = row_of(low, half, middle, 1);
            for (int64_t at = 0; at < middle; at += LANES) {
                vf a = get(low, half, at, middle), b = get(high, half, at, middle);
                put(low, half, at, middle,
                    as_kept(a * get(cos, half, at, middle), half) -
                        as_kept(b * get(sin, half, at, middle), half));
                put(high, half, at, middle,
                    as_kept(b * get(cos2, half, at, middle), half) +
                        as_kept(a * get(sin2, half, at, middle), half));
            }
        }
    }
}

/* Copy each token's row of a table. */
static void pick(const void *context, int64_t first, int64_t last) {
    const Operation *of = context;
    const int32_t *index = of->with;
    for (int64_t token = first; token < last; token++)
        memcpy(row_of(of->to, of->half, of->to_step, token),
               row_of(of->from, of->half, of->from_step, index[token]),
               of->size * (of->half ? 2 : 4));
}

/* ---- what linear_kernel.py calls ---- */

static int operate(Crew *crew, const Operation *of, int64_t tokens) {
    static const Job jobs[] = {[NORM] = norm, [SWIGLU] = swiglu, [SUM] = sum, [ROTATE] = rotate,
                               [PICK] = pick, [CLAMPED] = clamped};
    if (of->what == LINEAR) return linear(crew, of, tokens);
    if (of->what == FOREIGN) of->foreign((void *)of->from, tokens);
    else share(crew, jobs[of->what], of, tokens, 1 + 2048 / (of->size * (of->heads + 1)));
    return OK;
}

/* Run every operation over this many tokens. */
int rowcast_run(Crew *crew, const Operation *operations, int64_t count, int64_t tokens) {
    int state = OK;
    pthread_mutex_lock(&crew->turn);
    for (int64_t each = 0; each < count && state == OK; each++)
        state = operate(crew, &operations[each], tokens);
    pthread_mutex_unlock(&crew->turn);
    return state;
}

/* Run one linear layer, whose operation is filled in here. */
int rowcast_linear(Crew *crew, const Operation *as, const void *from, void *to, const void *with,
                   int64_t tokens) {
    Operation operation = *as;
    operation.from = from;
    operation.to = to;
    operation.with = with;
    return rowcast_run(crew, &operation, 1, tokens);
}

/* For other kernels: run `job` over ranges of `items`, `grain` at a time, on any threads. */
void rowcast_share(Crew *crew, Job job, const void *context, int64_t items, int64_t grain) {
    pthread_mutex_lock(&crew->turn);
    share(crew, job, context, items, grain);
    pthread_mutex_unlock(&crew->turn);
}

int64_t rowcast_lines(const Weight *weight) { return lines_of(weight); }

/* Quantize row `output` of a weight to bytes; set its scale and start. */
static void keep_bytes(const Weight *weight, const void *row, int half, int64_t output,
                       int8_t *kept) {
    float most = 0;
    for (int64_t at = 0; at < weight->inputs; at++)
        most = fmaxf(most, fabsf(get(row, half, at, weight->inputs)[0]));
    float by = most > 0 ? 127 / most : 0;
    int32_t whole = 0;
    for (int64_t at = 0; at < weight->inputs; at++)
        whole += kept[at] = (int8_t)rintf(get(row, half, at, weight->inputs)[0] * by);
    weight->scale[output] = most / 127;
    weight->start[output] = -128 * whole;
}

/* Pack `rows` rows of a weight as outputs first..first+rows; the lines must be zeros before. */
int rowcast_pack(const Weight *weight, const void *source, int64_t half, int64_t first,
                 int64_t rows) {
    int64_t lines = lines_of(weight);
    char *kept = malloc(lines * 4);
    if (!kept) return NO_MEMORY;
    memset(kept, 0, lines * 4);
    for (int64_t row = 0; row < rows; row++) {
        const char *from = row_of(source, half, weight->inputs, row);
        if (weight->kind == BYTES) keep_bytes(weight, from, half, first + row, (int8_t *)kept);
        else
            for (int64_t at = 0; at < weight->inputs; at += LANES)
                put(kept, weight->kind == HALVES, at, weight->inputs,
                    get(from, half, at, weight->inputs));
        int64_t output = first + row;
        char *to = weight->lines + output / LANES * lines * LINE + output % LANES * 4;
        for (int64_t line = 0; line < lines; line++) memcpy(to + line * LINE, kept + line * 4, 4);
    }
    free(kept);
    return OK;
}

/* Multiply rows of `odd` times `even` numbers, in place, by an orthogonal matrix: signs; the
 * Hadamard matrix of `even`, a power of two, on each part of a row; factors [odd, odd] between
 * parts. */
int rowcast_turn(float *rows, int64_t count, const float *signs, const float *factors, int64_t even,
                 int64_t odd) {
    const int64_t size = even * odd;
    float *room = malloc(size * sizeof(float));
    if (!room) return NO_MEMORY;
    for (float *row = rows; row < rows + count * size; row += size) {
        for (int64_t at = 0; at < size; at++) row[at] *= signs[at];
        for (int64_t apart = 1; apart < even; apart *= 2)
            for (int64_t pair = 0; pair < size; pair += 2 * apart)
                for (int64_t at = pair; at < pair + apart; at++) {
                    float one = row[at], other = row[at + apart];
                    row[at] = one + other;
                    row[at + apart] = one - other;
                }
        memset(room, 0, size * sizeof(float));
        for (int64_t part = 0; part < odd * odd; part++) {
            const float *from = row + part % odd * even, factor = factors[part];
            float *to = room + part / odd * even;
            for (int64_t at = 0; at < even; at++) to[at] += factor * from[at];
        }
        memcpy(row, room, size * sizeof(float));
    }
    free(room);
    return OK;
}

void rowcast_leave(Crew *crew) {
    atomic_store(&crew->leaving, 1);
    call(crew);
    for (int64_t each = 1; each < crew->threads; each++)
        pthread_join(crew->members[each].thread, NULL);
    pthread_mutex_destroy(&crew->turn);
    pthread_mutex_destroy(&crew->sleeping);
    pthread_cond_destroy(&crew->called);
    free(crew->inputs);
    free(crew);
}

/* Start as many threads as possible, including the caller's; null if memory runs out. */
Crew *rowcast_gather(int64_t threads) {
    void *room;
    if (posix_memalign(&room, LINE, sizeof(Crew))) return NULL;
    Crew *crew = memset(room, 0, sizeof(Crew));
    pthread_mutexattr_t again; /* a foreign operation may share its own work */
    pthread_mutexattr_init(&again);
    pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&crew->turn, &again);
    pthread_mutexattr_destroy(&again);
    pthread_mutex_init(&crew->sleeping, NULL);
    pthread_cond_init(&crew->called, NULL);
    crew->threads = threads < 1 ? 1 : threads > THREADS ? THREADS : threads;
    for (int64_t each = 1; each < crew->threads; each++) {
        Member *member = &crew->members[each];
        member->crew = crew;
        member->number = each;
        if (pthread_create(&member->thread, NULL, attend, member)) {
            crew->threads = each; /* seen by those already there before the first job */
            break;
        }
    }
    return crew;
}

int rowcast_is_fast(void) { return WIDE; }

const char *rowcast_arithmetic(void) {
#if PAIRED && QUADS
    return "avx512bf16";
#elif WIDE
    return QUADS ? "avx512vnni" : "avx512";
#else
    return "plain";
#endif
}
