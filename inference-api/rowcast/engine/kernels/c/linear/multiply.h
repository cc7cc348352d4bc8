/* A linear layer: inputs laid out, panels multiplied block by block, sums finished. */
#pragma once
#include <math.h>

#include "../threads.h"
#include "inputs.h"
#include "tile.h"

enum { SLAB = 256 };            /* tokens that pass a block before the next */
enum { NEAR = 64, FAR = 512 };  /* lines of a panel in a block: one tile of tokens; several */

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
    const int64_t height = height_of(weight->kind), parts = (tokens + height - 1) / height;
    const int64_t stride = layer->lines * LINE;
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
                layer->inputs + (token0 + low) * layer->step + line * layer->quad, layer->step,
                lines + line * LINE, stride, count, sums + low * BROAD, next + fetched * LINE,
                fetched < count ? ahead_by : 0);
        }
    }
    finish(layer, panel, broad, token0, tokens, sums);
}

static void multiply(const void *context, int64_t first, int64_t last) {
    const Layer *layer = context;
    for (int64_t panel = first; panel < last; panel += layer->broad) {
        int64_t broad = last - panel < layer->broad ? last - panel : layer->broad;
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

static int linear(Crew *crew, const Operation *of, int64_t tokens) {
    const Weight *weight = of->weight;
    Layer layer = {of, tokens, lines_of(weight), of->from_step * (of->half ? 2 : 4),
                   quad_of(weight), broad_of(tokens), (char *)of->from, NULL, NULL};
    int64_t bytes = layer.lines * layer.quad, grain = 1 + 16384 / of->size;
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
    share(crew, multiply, &layer, (weight->outputs + LANES - 1) / LANES, layer.broad);
    return OK;
}
