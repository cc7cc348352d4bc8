/* A linear layer: inputs laid out, panels multiplied block by block, sums finished. */
#pragma once
#include "../threads.h"
#include "finish.h"
#include "inputs.h"
#include "tile.h"
#include "tiled.h"

enum { SLAB = 256 };            /* tokens that pass a block before the next */
enum { NEAR = 64, FAR = 512 };  /* lines of a panel in a block: one tile of tokens; several */

static void begin(const Weight *weight, int64_t panel, int64_t broad, int64_t tokens, vf *sums) {
    for (int64_t each = 0; each < broad; each++) {
        vf start = {};
        if (weight->kind == BYTES) memcpy(&start, weight->start + (panel + each) * LANES, LINE);
        for (int64_t token = 0; token < tokens; token++) sums[token * BROAD + each] = start;
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
    finish(layer, panel, broad, BROAD, token0, tokens, sums);
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

static int enough_room(Crew *crew, int64_t size) {
    if (size <= crew->inputs_size) return 1;
    void *room;
    if (posix_memalign(&room, LINE, size)) return 0;
    free(crew->inputs);
    crew->inputs = room;
    crew->inputs_size = size;
    return 1;
}

/* Lay the inputs out for the tiles if they do not lie as those read them. */
static int arrange(Crew *crew, Layer *layer) {
    const Operation *of = layer->operation;
    const Weight *weight = of->weight;
    const int64_t tokens = layer->tokens, bytes = layer->bytes, grain = 1 + 16384 / of->size;
    const int64_t rows = layer->how == VECTORS ? tokens : up(tokens, tall_for(tokens));
    int whole = of->size * (of->half ? 2 : 4) == bytes && rows == tokens;
    if (weight->kind != BYTES && whole && (tokens <= 2 || layer->step % 1024)) return OK;
    layer->step = bytes + (bytes % 1024 ? 0 : LINE);
    int64_t each = (1 + weight->apart) * sizeof(float);
    int64_t scales = up(tokens * each, LINE);
    if (!enough_room(crew, scales + rows * layer->step)) return NO_MEMORY;
    layer->scales = (float *)crew->inputs;
    layer->parts = layer->scales + tokens;
    layer->inputs = crew->inputs + scales;
    share(crew, lay_out, layer, tokens, grain);
    return OK;
}

static int linear(Crew *crew, const Operation *of, int64_t tokens) {
    const Weight *weight = of->weight;
    const int64_t lines = lines_of(weight);
    const int tiled = is_tiled(crew->tiles, weight, tokens);
    Layer layer = {
        .operation = of,
        .tokens = tokens,
        .lines = lines,
        .bytes = 4 * (tiled ? up(lines, STEP) : lines),
        .step = of->from_step * (of->half ? 2 : 4),
        .how = tiled ? crew->tiles : VECTORS,
        .inputs = (char *)of->from,
    };
    if (arrange(crew, &layer)) return NO_MEMORY;
    if (tiled) share_tiled(crew, &layer);
    else share(crew, multiply, &layer, panels_of(weight), BROAD);
    return OK;
}
