/* A token's input as the tiles read it: its bytes followed by zeros, or rounded to int8. */
#pragma once
#include "layer.h"

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
        memset(to + bytes, 0, layer->bytes - bytes);
        if (of->weight->kind == BYTES) quantise(layer, token);
        else memcpy(to, row_of(of->from, of->half, of->from_step, token), bytes);
    }
}
