/* Whether this build, this processor and this system have the tile unit, and whether it computes what
 * is documented. Asked before threads start. */
#pragma once
#include "amx.h"

/* Why there is none; linear_kernel.py has a sentence for each. */
enum { AMX_HERE, NOT_BUILT, NOT_IN_PROCESSOR, NOT_SAVED, NOT_PERMITTED, SMALL_STACK,
       NOT_AS_DOCUMENTED };

#if HAS_AMX
#include <cpuid.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int in_processor(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (d >> 22 & 1) && (d >> 24 & 1) && (d >> 25 & 1); /* bf16, tiles, int8 */
}

/* True if the system saves tiles when it switches between threads. */
static int saved_by_system(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low >> 17 & 3) == 3;
}

/* Since Linux 5.16 a process requests tiles before it uses them; forks inherit the permission. A
 * stack for signals must have room for eight tiles. */
static int permission(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    if (!syscall(SYS_arch_prctl, REQUEST, TILE_DATA)) return AMX_HERE;
    return errno == ENOSPC ? SMALL_STACK : NOT_PERMITTED;
}

static const TileShapes whole_tiles = { /* a constant: gcc 12 loses one on the stack */
    .palette = 1,
    .wide = {64, 64, 64, 64, 64, 64, 64, 64},
    .tall = {16, 16, 16, 16, 16, 16, 16, 16},
};

/* Two products, one added to the other, in bf16 and in bytes. */
static inline __attribute__((always_inline)) void try_out(const int how, const char *a, const char *b,
                                                          char *halves, char *bytes) {
    tile_configure(how, &whole_tiles);
    tile_zero(how, 0);
    tile_zero(how, 1);
    for (int part = 0; part < 2; part++, a += 1024, b += 1024) {
        tile_load(how, 4, a, 64);
        tile_load(how, 6, b, 64);
        tile_add_halves(how, 0, 4, 6);
        tile_add_bytes(how, 1, 4, 6);
    }
    tile_store(how, 0, halves, 64);
    tile_store(how, 1, bytes, 64);
    tile_release(how);
}

/* Fill with bf16 from 2^-7 to 2 of both signs. */
static void fill_randomly(char *to, int64_t size, uint32_t state) {
    for (int64_t at = 0; at < size; at += 2) {
        state = state * 1664525u + 1013904223u;
        const uint16_t half = (state >> 16 & 0x83FF) | 0x3C00;
        memcpy(to + at, &half, sizeof half);
    }
}

static int as_documented(void) {
    _Alignas(64) char a[2048], b[2048], results[4][1024];
    fill_randomly(a, sizeof a, 1);
    fill_randomly(b, sizeof b, 2);
    try_out(HARDWARE, a, b, results[0], results[1]);
    try_out(EMULATED, a, b, results[2], results[3]);
    return !memcmp(results[0], results[2], 2 * sizeof results[0]);
}
#endif

static int amx_here(void) {
#if HAS_AMX
    if (!in_processor()) return NOT_IN_PROCESSOR;
    if (!saved_by_system()) return NOT_SAVED;
    const int refused = permission();
    return refused ? refused : as_documented() ? AMX_HERE : NOT_AS_DOCUMENTED;
#else
    return NOT_BUILT;
#endif
}
