/*
 * Exported programs (.pt2): the compile half's starting point. Load one, or build one in C.
 * Only in builds with the compile half (meson -Dcompiler=true, the default).
 *
 * Threads: a program or builder belongs to one thread at a time; different ones are independent.
 */
#ifndef QVK_PROGRAM_H
#define QVK_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "qvk/status.h"
#include "qvk/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qvk_program qvk_program;

/* torch.export.load. The file stays mapped while the program lives; weights are not copied.
 * Errors: QVK_NOT_FOUND, QVK_IO, QVK_BAD_FORMAT, QVK_BAD_VERSION, QVK_OUT_OF_MEMORY. */
QVK_API qvk_status qvk_program_load(const char *path, qvk_program **out, qvk_error *err);
/* torch.export.save: a .pt2 that torch.export.load reads. Weights that are still to be quantized are made as
 * they are written. */
QVK_API qvk_status qvk_program_save(const qvk_program *program, const char *path, qvk_error *err);
QVK_API void qvk_program_destroy(qvk_program **program);

QVK_API int32_t qvk_program_input_count(const qvk_program *program);
QVK_API int32_t qvk_program_output_count(const qvk_program *program);
/* dtype, rank, sizes (upper bounds where symbolic); data NULL. */
QVK_API qvk_status qvk_program_input(const qvk_program *program, int32_t index, qvk_tensor *out,
                                     qvk_error *err);
/* Operator calls in the order they run; and the name torch.export gave the tensor that a call makes
 * ("linear_1"). NULL: it makes none, several, or none that is used. The name belongs to the program. */
QVK_API int32_t qvk_program_node_count(const qvk_program *program);
QVK_API const char *qvk_program_node_name(const qvk_program *program, int32_t index);
/* Sample inputs stored in the archive: count (0: none), and one of them (data borrowed from the program). */
QVK_API int32_t qvk_program_sample_count(const qvk_program *program);
QVK_API qvk_status qvk_program_sample(const qvk_program *program, int32_t index, qvk_tensor *out,
                                      qvk_error *err);

/* ---- building a program in C --------------------------------------------------------------------------- */

typedef struct qvk_builder qvk_builder;
typedef struct qvk_node qvk_node; /* a value of the program being built; owned by the builder */

QVK_API qvk_status qvk_builder_create(qvk_builder **out, qvk_error *err);
QVK_API void qvk_builder_destroy(qvk_builder **builder);
/*
 * Errors are kept: after the first failing call every further one returns NULL, and qvk_builder_finish
 * reports it. So a model reads like the Python it mirrors, without a check on every line.
 */
/* A user input. dynamic: bit i set = dimension i may be anything from 1 to sizes[i]. */
QVK_API qvk_node *qvk_builder_input(qvk_builder *builder, const char *name, qvk_dtype dtype, int32_t rank,
                                    const int64_t *sizes, uint32_t dynamic);
/* A parameter; its data is copied. `name` is its fully qualified name ("linear1.weight"). */
QVK_API qvk_node *qvk_builder_parameter(qvk_builder *builder, const char *name, const qvk_tensor *tensor);
/* torch.nn.Linear: x [..., K], weight [N, K], bias [N] or NULL. */
QVK_API qvk_node *qvk_builder_linear(qvk_builder *builder, qvk_node *x, qvk_node *weight, qvk_node *bias);

typedef enum qvk_argument_kind {
    QVK_ARGUMENT_NODE,
    QVK_ARGUMENT_INT,
    QVK_ARGUMENT_FLOAT,
    QVK_ARGUMENT_BOOL,
    QVK_ARGUMENT_STRING,
    QVK_ARGUMENT_INTS,
    QVK_ARGUMENT_NODES,
    QVK_ARGUMENT_NONE
} qvk_argument_kind;
typedef struct qvk_argument {
    const char *name; /* parameter name of the schema; NULL: by position */
    qvk_argument_kind kind;
    qvk_node *node;
    int64_t i; /* INT, BOOL */
    double f;
    const char *s;
    const int64_t *ints;
    qvk_node *const *nodes;
    size_t count; /* of ints or nodes */
} qvk_argument;
/* Any operator by name ("aten.relu.default"). Returns the first output; further ones by
 * qvk_builder_output_of. */
QVK_API qvk_node *qvk_builder_call(qvk_builder *builder, const char *op, const qvk_argument *args,
                                   size_t n_args);
QVK_API qvk_node *qvk_builder_output_of(qvk_builder *builder, qvk_node *node, int32_t index);
QVK_API void qvk_builder_output(qvk_builder *builder, qvk_node *node);
/* Ends building: the program is the caller's; the builder is destroyed and cleared, also on failure. */
QVK_API qvk_status qvk_builder_finish(qvk_builder **builder, qvk_program **out, qvk_error *err);

#ifdef __cplusplus
}
#endif

#endif
