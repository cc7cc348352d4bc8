/* From sums to outputs. */
#pragma once
#include <math.h>

#include "../amx.h"
#include "layer.h"

/* Add a token's parts along the directions, times the weight's columns, to a panel's outputs. */
INLINE vf with_parts(const vh *column, int64_t panels, const float *parts, int64_t count, vf value) {
    for (int64_t each = 0; each < count; each++, column += panels)
        value = multiply_add(splat(parts[each]), widen(*column), value);
    return value;
}

/* The tile unit does not document which NaN it gives. */
INLINE vf one_kind_of_nan(vf value) { return choose(value == value, value, splat(NAN)); }

/* Apply scale and bias, round to the output's dtype, and add the residual. A token
 * has `across` vectors of sums. */
static void finish(const Layer *layer, int64_t panel, int64_t broad, int64_t across, int64_t token0,
                   int64_t tokens, const vf *sums) {
    const Operation *of = layer->operation;
    const Weight *weight = of->weight;
    const vh *columns = (const vh *)weight->columns;
    const int64_t panels = panels_of(weight), apart = weight->apart;
    for (int64_t token = 0; token < tokens; token++) {
        const float *parts = layer->parts + (token0 + token) * apart;
        char *to = row_of(of->to, of->out_half, of->to_step, token0 + token);
        for (int64_t each = 0; each < broad; each++) {
            int64_t at = (panel + each) * LANES;
            vf value = sums[token * across + each];
            if (weight->kind == BYTES) {
                value = __builtin_convertvector((vi)value, vf) *
                        get(weight->scale, 0, at, at + LANES) *
                        splat(layer->scales[token0 + token]);
                value = with_parts(columns + panel + each, panels, parts, apart, value);
            } else if (layer->how != VECTORS) value = one_kind_of_nan(value);
            if (weight->bias) value += get(weight->bias, 0, at, at + LANES);
            if (of->with) {
                const char *with = row_of(of->with, of->out_half, of->to_step, token0 + token);
                value = as_kept(value, of->out_half) + get(with, of->out_half, at, weight->outputs);
            }
            put(to, of->out_half, at, weight->outputs, value);
        }
    }
}
