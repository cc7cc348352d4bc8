/* A layer by the processor's tile unit: two panels and up to 32 tokens at a time, all their inputs.
 *
 *     C0 C1    sums of the first tokens, by panel       A4    their inputs, 64 bytes of each
 *     C2 C3    sums of the next ones                    A5
 *                                                       B6 B7    16 lines of each panel
 *
 * bf16: the unit's sums have bits of their own, so every number of tokens goes this way or none. int8:
 * sums are exact, so a few tokens take the vectors, which are faster for them. Inputs count as
 * followed by zeros to a multiple of 64 bytes.
 */
#pragma once
#include "../amx.h"
#include "../threads.h"
#include "finish.h"
#include "inputs.h"

enum { STEP = 16 };           /* lines that an instruction multiplies by */
enum { FEW = 4 };             /* tokens that int8 multiplies by vectors */
enum { AHEAD = 128 };         /* lines: panels are prefetched this far ahead */
enum { RESIDENT = 1 << 20 };  /* bytes of panels that stay in L2 while all tokens pass */
enum { PIECES = 4 };          /* of a layer, at least, for each thread */

static int is_tiled(int64_t how, const Weight *weight, int64_t tokens) {
    return how != VECTORS && (weight->kind == HALVES || (weight->kind == BYTES && tokens > FEW));
}

/* Rows of a tile: fewer take the unit less time. */
static int64_t tall_for(int64_t tokens) { return tokens <= 4 ? 4 : tokens <= 8 ? 8 : 16; }

#define SHAPES(rows)                                      \
    {                                                     \
        .palette = 1,                                     \
        .wide = {64, 64, 64, 64, 64, 64, 64, 64},         \
        .tall = {rows, rows, rows, rows, rows, rows, STEP, STEP}, \
    }
static const TileShapes tile_shapes[3] = {SHAPES(4), SHAPES(8), SHAPES(16)}; /* by tall / 8 */

static void enter_hardware(const void *shapes) {
    (void)shapes;
    tile_configure(HARDWARE, (const TileShapes *)shapes);
}

static void leave_hardware(void) { tile_release(HARDWARE); }

static void enter_emulated(const void *shapes) {
    tile_configure(EMULATED, (const TileShapes *)shapes);
}

static void leave_emulated(void) { tile_release(EMULATED); }

static const Frame tiled_frames[2][3] = {
    {{enter_hardware, leave_hardware, &tile_shapes[0]},
     {enter_hardware, leave_hardware, &tile_shapes[1]},
     {enter_hardware, leave_hardware, &tile_shapes[2]}},
    {{enter_emulated, leave_emulated, &tile_shapes[0]},
     {enter_emulated, leave_emulated, &tile_shapes[1]},
     {enter_emulated, leave_emulated, &tile_shapes[2]}},
};

INLINE int64_t resident_pairs(const Layer *layer) {
    return 1 + RESIDENT / (2 * layer->lines * LINE);
}

/* Lines to load as a tile: those of a panel, or a copy followed by zeros where it ends. */
INLINE const char *whole_step(const char *lines, int64_t count, char *room) {
    if (count >= STEP) return lines;
    memset(room, 0, STEP * LINE);
    return memcpy(room, lines, count * LINE);
}

/* Some of a layer: up to two panels, up to two tiles of tokens. */
typedef struct {
    const char *left, *right;  /* panels; the same if there is one */
    const char *upper, *lower; /* inputs; the same if there is one tile of them */
    const int32_t *starts;     /* of both panels' sums in int8 */
    int64_t step, lines;
    int fetch; /* what is multiplied next: the first tokens of a panel do it */
} Spot;

/* From where a panel's lines end, on to the next two panels. */
INLINE void fetch_ahead(const Spot *spot, int64_t line) {
    const int64_t skipped = line + AHEAD < spot->lines ? 0 : spot->lines;
    for (int64_t next = line; next < line + STEP; next++) {
        __builtin_prefetch(spot->left + (next + AHEAD + skipped) * LINE, 0, 2);
        __builtin_prefetch(spot->right + (next + AHEAD + skipped) * LINE, 0, 2);
    }
}

#define ADD_TILES(how, bytes, c, a, b)             \
    do {                                           \
        if (bytes) tile_add_bytes(how, c, a, b);   \
        else tile_add_halves(how, c, a, b);        \
    } while (0)

#define START_TILE(how, bytes, c, start)           \
    do {                                           \
        if (bytes) tile_load(how, c, start, 0);    \
        else tile_zero(how, c);                    \
    } while (0)

/* Sums of a spot: two vectors for each token, in tiles' whole heights. */
INLINE void add_up(const int how, const int bytes, const Spot *spot, vf *sums, int64_t tall) {
    const int broad = spot->left != spot->right, high = spot->upper != spot->lower;
    _Alignas(LINE) char rooms[2][STEP * LINE];
    START_TILE(how, bytes, 0, spot->starts);
    if (broad) START_TILE(how, bytes, 1, spot->starts + LANES);
    if (high) START_TILE(how, bytes, 2, spot->starts);
    if (broad && high) START_TILE(how, bytes, 3, spot->starts + LANES);
    for (int64_t line = 0; line < spot->lines; line += STEP) {
        const int64_t count = spot->lines - line;
        if (spot->fetch) fetch_ahead(spot, line);
        tile_load(how, 4, spot->upper + line * 4, spot->step);
        tile_load(how, 6, whole_step(spot->left + line * LINE, count, rooms[0]), LINE);
        ADD_TILES(how, bytes, 0, 4, 6);
        if (broad) {
            tile_load(how, 7, whole_step(spot->right + line * LINE, count, rooms[1]), LINE);
            ADD_TILES(how, bytes, 1, 4, 7);
        }
        if (high) {
            tile_load(how, 5, spot->lower + line * 4, spot->step);
            ADD_TILES(how, bytes, 2, 5, 6);
            if (broad) ADD_TILES(how, bytes, 3, 5, 7);
        }
    }
    tile_store(how, 0, sums, 2 * LINE);
    if (broad) tile_store(how, 1, sums + 1, 2 * LINE);
    if (high) tile_store(how, 2, sums + 2 * tall, 2 * LINE);
    if (broad && high) tile_store(how, 3, sums + 2 * tall + 1, 2 * LINE);
}

/* Pairs of panels that stay in cache while all tokens pass. */
INLINE void some_pairs(const int how, const int bytes, const Layer *layer, int64_t first,
                       int64_t last) {
    const Weight *weight = layer->operation->weight;
    const int64_t stride = layer->lines * LINE, tall = tall_for(layer->tokens);
    vf sums[2 * 2 * TILE_ROWS];
    for (int64_t token = 0; token < layer->tokens; token += 2 * tall)
        for (int64_t panel = 2 * first; panel < 2 * last && panel < panels_of(weight); panel += 2) {
            const int64_t broad = panels_of(weight) - panel < 2 ? 1 : 2;
            const int64_t rest = layer->tokens - token, tokens = rest < 2 * tall ? rest : 2 * tall;
            const char *left = weight->lines + panel * stride;
            const char *upper = layer->inputs + token * layer->step;
            const Spot spot = {
                .left = left,
                .right = left + (broad - 1) * stride,
                .upper = upper,
                .lower = tokens > tall ? upper + tall * layer->step : upper,
                .starts = bytes ? weight->start + panel * LANES : NULL,
                .step = layer->step,
                .lines = layer->lines,
                .fetch = !token,
            };
            add_up(how, bytes, &spot, sums, tall);
            finish(layer, panel, broad, 2, token, tokens, sums);
        }
}

static void multiply_tiled(const void *context, int64_t first, int64_t last) {
    const Layer *layer = context;
    const int bytes = layer->operation->weight->kind == BYTES;
    for (int64_t next; first < last; first = next) {
        next = first + resident_pairs(layer) < last ? first + resident_pairs(layer) : last;
        if (layer->how == HARDWARE)
            if (bytes) some_pairs(HARDWARE, 1, layer, first, next);
            else some_pairs(HARDWARE, 0, layer, first, next);
        else if (bytes) some_pairs(EMULATED, 1, layer, first, next);
        else some_pairs(EMULATED, 0, layer, first, next);
    }
}

/* Multiply a layer whose inputs are laid out. */
static void share_tiled(Crew *crew, const Layer *layer) {
    const int64_t pairs = (panels_of(layer->operation->weight) + 1) / 2;
    const int64_t small = pairs / (PIECES * crew->threads) + 1, most = resident_pairs(layer);
    const Frame *frame = &tiled_frames[layer->how - 1][tall_for(layer->tokens) / 8];
    share_within(crew, frame, multiply_tiled, layer, pairs, small < most ? small : most);
}
