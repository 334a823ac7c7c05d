/*
 * What a fuzz target is: one function fed with bytes nobody vouches for. It must return, whatever they are,
 * with nothing leaked; wrong results are found by assert. The same function runs in two ways: under libFuzzer
 * (tools/fuzz.sh), and in the ordinary tests, where fuzz_replay.c feeds it the stored corpus and mutations of
 * it.
 */
#ifndef QVK_FUZZ_H
#define QVK_FUZZ_H

#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
