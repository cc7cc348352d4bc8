/* The tile unit in plain C, to the bit as Intel documents it; slow, for tests and as a check.
 *
 * A product of bf16 starts two chains of fused sums at zero, over the even and the odd inputs of its
 * 32; their sum is added to C. Every step rounds to nearest, reads denormal numbers as zeros and
 * flushes tiny results to zeros, with their signs. As on the processor, an instruction without a
 * fitting configuration ends the process.
 */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { TILE_COUNT = 8, TILE_ROWS = 16, TILE_BYTES = 64, TILE_LANES = 16 };

/* What `configure` reads: 64 bytes, as the instruction wants them. */
typedef struct {
    uint8_t palette, start, unused[14];
    uint16_t wide[16]; /* by tile: bytes of a row */
    uint8_t tall[16];  /* by tile: rows */
} TileShapes;

typedef struct {
    TileShapes shapes;
    char rows[TILE_COUNT][TILE_ROWS][TILE_BYTES];
} TileUnit;

static _Thread_local TileUnit tile_unit;

/* Unused functions are no fault: a kernel may need fewer than all. */
#define EMULATED_OPERATION __attribute__((unused)) static void

EMULATED_OPERATION emulated_demand(int holds) {
    if (!holds) __builtin_trap();
}

EMULATED_OPERATION emulated_release(void) { memset(&tile_unit, 0, sizeof tile_unit); }

EMULATED_OPERATION emulated_configure(const TileShapes *shapes) {
    emulated_demand(shapes->palette == 1 && !shapes->start);
    for (int tile = 0; tile < TILE_COUNT; tile++)
        emulated_demand(shapes->wide[tile] <= TILE_BYTES && shapes->tall[tile] <= TILE_ROWS);
    emulated_release();
    tile_unit.shapes = *shapes;
}

EMULATED_OPERATION emulated_zero(int tile) {
    emulated_demand(tile_unit.shapes.palette == 1);
    memset(tile_unit.rows[tile], 0, sizeof tile_unit.rows[tile]);
}

EMULATED_OPERATION emulated_load(int tile, const void *from, int64_t step) {
    emulated_zero(tile);
    for (int64_t row = 0; row < tile_unit.shapes.tall[tile]; row++)
        memcpy(tile_unit.rows[tile][row], (const char *)from + row * step,
               tile_unit.shapes.wide[tile]);
}

EMULATED_OPERATION emulated_store(int tile, void *to, int64_t step) {
    emulated_demand(tile_unit.shapes.palette == 1);
    for (int64_t row = 0; row < tile_unit.shapes.tall[tile]; row++)
        memcpy((char *)to + row * step, tile_unit.rows[tile][row], tile_unit.shapes.wide[tile]);
}

EMULATED_OPERATION emulated_demand_fitting(int c, int a, int b) {
    const TileShapes *of = &tile_unit.shapes;
    emulated_demand(of->palette == 1 && of->tall[c] == of->tall[a] && of->wide[c] == of->wide[b]);
    emulated_demand(of->wide[a] == 4 * of->tall[b]);
}

/* Below the least normal number there are zeros alone, with their signs. */
static inline uint32_t tile_flushed_bits(uint32_t bits) {
    return bits & ((bits & 0x7F800000) ? UINT32_MAX : 0x80000000);
}

static inline float tile_number(uint32_t bits) {
    float value;
    bits = tile_flushed_bits(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t tile_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Zero if a b + c is below the least normal number, to which it was rounded only because denormal
 * numbers are coarse. */
static inline float tile_least(float a, float b, float c, float value) {
    const float least = 0x1p-126f, more = 0x1p30f;
    const int first = fabsf(a) < fabsf(b);
    const float finer = fmaf(first ? a * more : a, first ? b : b * more, c * more);
    return fabsf(finer) < least * more ? copysignf(0, value) : value;
}

/* Add a b to sums, each rounded once. */
static inline void tile_fuse(float a, const float *b, float *sums) {
    float values[TILE_LANES];
    int least = 0;
    for (int lane = 0; lane < TILE_LANES; lane++) values[lane] = fmaf(a, b[lane], sums[lane]);
    for (int lane = 0; lane < TILE_LANES; lane++)
        least |= (tile_bits(values[lane]) & 0x7FFFFFFF) == 0x00800000;
    for (int lane = 0; least && lane < TILE_LANES; lane++)
        if (fabsf(values[lane]) == 0x1p-126f)
            values[lane] = tile_least(a, b[lane], sums[lane], values[lane]);
    for (int lane = 0; lane < TILE_LANES; lane++) sums[lane] = tile_number(tile_bits(values[lane]));
}

EMULATED_OPERATION emulated_add_halves(int c, int a, int b) {
    emulated_demand_fitting(c, a, b);
    for (int row = 0; row < tile_unit.shapes.tall[c]; row++) {
        float even[TILE_LANES] = {0}, odd[TILE_LANES] = {0}, sums[TILE_LANES];
        for (int group = 0; group < tile_unit.shapes.tall[b]; group++) {
            uint32_t pair, pairs[TILE_LANES];
            float low[TILE_LANES], high[TILE_LANES];
            memcpy(&pair, tile_unit.rows[a][row] + 4 * group, sizeof pair);
            memcpy(pairs, tile_unit.rows[b][group], sizeof pairs);
            for (int lane = 0; lane < TILE_LANES; lane++) low[lane] = tile_number(pairs[lane] << 16);
            for (int lane = 0; lane < TILE_LANES; lane++)
                high[lane] = tile_number(pairs[lane] & 0xFFFF0000u);
            tile_fuse(tile_number(pair << 16), low, even);
            tile_fuse(tile_number(pair & 0xFFFF0000u), high, odd);
        }
        memcpy(sums, tile_unit.rows[c][row], sizeof sums);
        for (int lane = 0; lane < TILE_LANES; lane++) {
            const float both = tile_number(tile_bits(even[lane] + odd[lane]));
            sums[lane] = tile_number(tile_bits(tile_number(tile_bits(sums[lane])) + both));
        }
        memcpy(tile_unit.rows[c][row], sums, sizeof sums);
    }
}

EMULATED_OPERATION emulated_add_bytes(int c, int a, int b) {
    emulated_demand_fitting(c, a, b);
    for (int row = 0; row < tile_unit.shapes.tall[c]; row++) {
        uint32_t sums[TILE_LANES];
        memcpy(sums, tile_unit.rows[c][row], sizeof sums);
        for (int group = 0; group < tile_unit.shapes.tall[b]; group++) {
            uint8_t quad[4];
            int8_t quads[TILE_LANES][4];
            memcpy(quad, tile_unit.rows[a][row] + 4 * group, sizeof quad);
            memcpy(quads, tile_unit.rows[b][group], sizeof quads);
            for (int lane = 0; lane < TILE_LANES; lane++)
                for (int byte = 0; byte < 4; byte++)
                    sums[lane] += (uint32_t)(quad[byte] * quads[lane][byte]);
        }
        memcpy(tile_unit.rows[c][row], sums, sizeof sums);
    }
}
