/*
 * ir: an exported program in memory (torch.export.ExportedProgram): a qvk__graph plus its signature and
 * symbolic sizes. Read from a .pt2 (src/pt2), built in C (qvk_builder_*), changed by src/quantize and
 * src/lower.
 */
#ifndef QVK__IR_H
#define QVK__IR_H

#include "core/graph.h"

/* Expression over symbolic sizes. Children are indices into qvk__exported.expressions. */
typedef enum qvk__expression_kind {
    QVK__EXPRESSION_CONSTANT,
    QVK__EXPRESSION_SYMBOL,
    QVK__EXPRESSION_ADD,
    QVK__EXPRESSION_MUL,
    QVK__EXPRESSION_FLOORDIV,
    QVK__EXPRESSION_MOD,
    QVK__EXPRESSION_MAX,
    QVK__EXPRESSION_MIN,
    QVK__EXPRESSION_POW
} qvk__expression_kind;

typedef struct qvk__expression {
    qvk__expression_kind kind;
    int64_t constant;   /* CONSTANT */
    const char *symbol; /* SYMBOL: "s77" */
    int32_t a, b;
    const char *text; /* as written in the file, kept for writing back; may be NULL */
    int64_t hint;     /* value at export, or -1 */
} qvk__expression;

typedef struct qvk__range {
    const char *symbol;
    int64_t min, max; /* max INT64_MAX: unbounded */
} qvk__range;

typedef enum qvk__input_kind {
    QVK__INPUT_USER,
    QVK__INPUT_PARAMETER,
    QVK__INPUT_BUFFER,
    QVK__INPUT_TENSOR_CONSTANT,
    QVK__INPUT_LITERAL /* a Python number or string the caller must repeat */
} qvk__input_kind;

typedef struct qvk__input_spec {
    qvk__input_kind kind;
    int32_t value;      /* -1 for a LITERAL */
    const char *target; /* fully qualified name of a parameter, buffer or constant */
    bool persistent;    /* BUFFER */
    qvk__arg literal;
} qvk__input_spec;

typedef enum qvk__output_kind {
    QVK__OUTPUT_USER,
    QVK__OUTPUT_BUFFER_MUTATION,
    QVK__OUTPUT_INPUT_MUTATION
} qvk__output_kind;

typedef struct qvk__output_spec {
    qvk__output_kind kind;
    qvk__arg arg;       /* VALUE, or a literal */
    const char *target; /* mutated buffer or input */
} qvk__output_spec;

typedef struct qvk__exported {
    qvk__graph
        graph;      /* graph.inputs: user inputs only, in order; parameters and buffers are constant values */
    qvk__file file; /* the mapped archive constants borrow from */
    const char *source;                 /* file name for messages */
    QVK__VEC(qvk__input_spec) inputs;   /* all placeholders in order */
    QVK__VEC(qvk__output_spec) outputs; /* all outputs in order */
    QVK__VEC(qvk__expression) expressions;
    QVK__VEC(qvk__range) ranges;
    const char *in_spec, *out_spec; /* pytree specs as JSON text, NULL: a flat tuple */
    QVK__VEC(qvk_tensor) samples;   /* sample inputs with data in the arena, if the archive has them */
} qvk__exported;

void qvk__exported_init(qvk__exported *program);
void qvk__exported_finish(qvk__exported *program);
/* Graph verify plus the signature. */
qvk_status qvk__exported_verify(const qvk__exported *program, qvk_error *err);
/* Adds a parameter/buffer/constant placeholder; returns its value id, -1 when memory runs out. */
int32_t qvk__exported_add_constant(qvk__exported *program, qvk__input_kind kind, const char *name,
                                   const char *target, const qvk_tensor *desc, const qvk__constant *constant);
/* Drops placeholders of constants that no live node or output uses. */
void qvk__exported_drop_unused_constants(qvk__exported *program);
/* Value of an expression with every symbol at `bind(symbol)`. */
qvk_status qvk__expression_eval(const qvk__exported *program, int32_t expression,
                                int64_t (*bind)(void *user, const char *symbol), void *user, int64_t *out,
                                qvk_error *err);
/* Largest value within the ranges (monotonic expressions); fails when a symbol has no upper bound. */
qvk_status qvk__expression_max(const qvk__exported *program, int32_t expression, int64_t *out,
                               qvk_error *err);

#endif
