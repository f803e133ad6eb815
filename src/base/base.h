// base: what every other room stands on. It depends on nothing of hone's. This header is the umbrella; each part
// has its own file: err, mem (checked sizes, malloc hook, arena), str, hash, sign, rng, io, json helpers, proc, stats, clock.
#ifndef HONE_BASE_H
#define HONE_BASE_H
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sign.h"
#include "base/stats.h"
#include "base/str.h"
#define HONE_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#endif
