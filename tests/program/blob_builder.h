/* Vulkan blobs made by hand, value by value, as odd as a test wants them. */
#ifndef TEST_BLOB_BUILDER_H
#define TEST_BLOB_BUILDER_H

#include "program/flatbuffer_writer.h"
#include "program/schemas.h"
#include "support/support.h"

/* Zero-initialise to start; each add_ returns the id of its value. */
typedef struct blob_builder {
    qvk__fb_writer fb;
    QVK__VEC(qvk__fb_offset) values, calls, constants;
    QVK__VEC(uint32_t) inputs, outputs;
    QVK__VEC(uint8_t) bytes; /* constants in the blob itself */
} blob_builder;

int32_t blob_add_null(blob_builder *builder);
int32_t blob_add_int(blob_builder *builder, int64_t value);
int32_t blob_add_double(blob_builder *builder, double value);
int32_t blob_add_bool(blob_builder *builder, bool value);
int32_t blob_add_string(blob_builder *builder, const char *text);
int32_t blob_add_symbol(blob_builder *builder, int32_t value);
int32_t blob_add_ints(blob_builder *builder, const int64_t *items, size_t count);
int32_t blob_add_doubles(blob_builder *builder, const double *items, size_t count);
int32_t blob_add_bools(blob_builder *builder, const uint8_t *items, size_t count);
int32_t blob_add_list(blob_builder *builder, const int32_t *ids, size_t count);
/* A float32 tensor; `constant` is -1 or what blob_add_constant returned. */
int32_t blob_add_tensor(blob_builder *builder, const uint32_t *dims, size_t rank, int32_t constant);
/* A constant of the blob. `key` NULL: at `offset` of the stored bytes; else among the named data. */
int32_t blob_add_constant(blob_builder *builder, uint64_t offset, uint64_t length, const char *key);
/* ids: the arguments and, last, the result. */
void blob_add_call(blob_builder *builder, const char *name, const int32_t *ids, size_t count);
/* Ends the blob; the caller frees it, the builder is empty again. */
uint8_t *blob_finish(blob_builder *builder, uint64_t *bytes);

#endif
