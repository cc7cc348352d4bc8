/* The processor's tile unit (AMX): seven instructions, and the same in plain C.
 *
 *     tile          up to 16 rows of 64 bytes; there are eight, numbered
 *     configure     give each its size; before it, and after `release`, no other instruction works
 *     load, store   rows that lie `step` bytes apart
 *     add_halves    C += A B: 2 bf16 in each 4 bytes of a row of A and B, fp32 in C
 *     add_bytes     C += A B: 4 bytes in each, without sign in A and with sign in B, int32 in C
 *
 * Row r, lane n of C gets the sum over k of A's row r, group k, times B's row k, lane n. Each use
 * names HARDWARE or EMULATED, a constant: one source, two roads. Needs no other header.
 */
#pragma once
#include "amx_emulated.h"

enum { VECTORS, HARDWARE, EMULATED }; /* what multiplies; the first: no tiles */

#if defined __AMX_TILE__ && defined __AMX_INT8__ && defined __AMX_BF16__
#include <immintrin.h>
#define HAS_AMX 1
/* Compilers do not know what these instructions read: all memory is written before. */
#define TILE_OPERATION(how, real, emulated)      \
    do {                                         \
        if ((how) == HARDWARE) {                 \
            __asm__ volatile("" ::: "memory");   \
            real;                                \
        } else emulated;                         \
    } while (0)
#else
#define HAS_AMX 0
#define TILE_OPERATION(how, real, emulated) \
    do {                                    \
        (void)(how);                        \
        emulated;                           \
    } while (0)
#endif

#define tile_configure(how, shapes) \
    TILE_OPERATION(how, _tile_loadconfig(shapes), emulated_configure(shapes))
#define tile_release(how) TILE_OPERATION(how, _tile_release(), emulated_release())
#define tile_zero(how, tile) TILE_OPERATION(how, _tile_zero(tile), emulated_zero(tile))
#define tile_load(how, tile, from, step) \
    TILE_OPERATION(how, _tile_loadd(tile, from, step), emulated_load(tile, from, step))
#define tile_store(how, tile, to, step) \
    TILE_OPERATION(how, _tile_stored(tile, to, step), emulated_store(tile, to, step))
#define tile_add_halves(how, c, a, b) \
    TILE_OPERATION(how, _tile_dpbf16ps(c, a, b), emulated_add_halves(c, a, b))
#define tile_add_bytes(how, c, a, b) \
    TILE_OPERATION(how, _tile_dpbusd(c, a, b), emulated_add_bytes(c, a, b))
