/*
 * ir: an exported program in memory (torch.export.ExportedProgram): a qvk__graph plus its signature and
 * symbolic sizes. Read from a .pt2 (src/pt2), built in C (qvk_builder_*), changed by src/quantize and
 * src/lower.
 */
#ifndef QVK__IR_H
#define QVK__IR_H

#include "core/graph.h"

/*
 * Expressions over symbolic sizes, as sympy writes them. Interned: equal expressions have equal indices, so
 * two dimensions are the same size whenever their indices are the same. Children come before their parents.
 */
typedef enum qvk__expression_kind {
    QVK__EXPRESSION_CONSTANT,
    QVK__EXPRESSION_SYMBOL,
    QVK__EXPRESSION_ADD,
    QVK__EXPRESSION_MUL,
    QVK__EXPRESSION_FLOORDIV,
    QVK__EXPRESSION_MOD,
    QVK__EXPRESSION_MAX,
    QVK__EXPRESSION_MIN,
    QVK__EXPRESSION_POW,
    QVK__EXPRESSION_OPAQUE /* well formed, but nothing qvk can compute (a comparison, an unknown function) */
} qvk__expression_kind;

typedef struct qvk__expression {
    qvk__expression_kind kind;
    int64_t constant;   /* CONSTANT */
    const char *symbol; /* SYMBOL: "s77" */
    int32_t a, b;       /* children, indices into qvk__exported.expressions; -1: none */
    const char *text;   /* as written in the file, kept for writing back; NULL when built here */
    int64_t hint;       /* value at export, or -1 */
    int32_t depth;
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
    const char *target; /* fully qualified name of a parameter, buffer or constant; name of a LITERAL */
    bool persistent;    /* BUFFER: in the state dict */
    bool requires_grad; /* PARAMETER: only kept for writing back */
    qvk__arg literal;
} qvk__input_spec;

typedef enum qvk__output_kind {
    QVK__OUTPUT_USER,
    QVK__OUTPUT_BUFFER_MUTATION,
    QVK__OUTPUT_INPUT_MUTATION
} qvk__output_kind;

typedef struct qvk__output_spec {
    qvk__output_kind kind;
    int32_t output;     /* index into graph.outputs, -1: a literal */
    qvk__arg literal;   /* number, string or None that the program returns as it is */
    const char *target; /* name of the mutated buffer or input */
} qvk__output_spec;

typedef struct qvk__exported {
    /* inputs: user inputs only, in order (parameters and buffers are constant values). outputs: the values
     * among `outputs` below, in order, mutations included. */
    qvk__graph graph;
    qvk__file file;                     /* the mapped archive that constants borrow from */
    const char *source;                 /* file name for messages; NULL: built in C */
    QVK__VEC(qvk__input_spec) inputs;   /* all placeholders in order */
    QVK__VEC(qvk__output_spec) outputs; /* all outputs in order */
    QVK__VEC(qvk__expression) expressions;
    qvk__map expression_index; /* interning */
    QVK__VEC(qvk__range) ranges;
    const char *in_spec, *out_spec; /* pytree specs as JSON text, NULL: a flat tuple */
    QVK__VEC(const char *) forward_arg_names;
    QVK__VEC(qvk_tensor) samples; /* sample inputs with data in the arena, if the archive has them */
    qvk__map names;               /* value names taken, of programs built in C */
} qvk__exported;

void qvk__exported_init(qvk__exported *program);
void qvk__exported_finish(qvk__exported *program);
/* Graph verify plus signature, constants and expressions. */
qvk_status qvk__exported_verify(const qvk__exported *program, qvk_error *err);

/* Adds a parameter/buffer/constant placeholder after those of its kind; returns its value id, -1 when memory
 * runs out. Names are copied; `constant` is not: it lives in the arena or outlives the program. */
int32_t qvk__exported_add_constant(qvk__exported *program, qvk__input_kind kind, const char *name,
                                   const char *target, const qvk_tensor *desc, const qvk__constant *constant);
/* Drops placeholders of constants that no live node or output uses (mutated buffers stay). */
void qvk__exported_drop_unused_constants(qvk__exported *program);
/* Placeholder of a value, NULL when it is none. */
const qvk__input_spec *qvk__exported_input_of(const qvk__exported *program, int32_t value);
/* Value id of an output, -1 for a literal. */
int32_t qvk__exported_output_value(const qvk__exported *program, size_t index);

/* Sets is_mutable of the buffers that the program writes, by its signature or in place. false: out of memory.
 */
bool qvk__exported_mark_mutable(qvk__exported *program);

/* ---- building ------------------------------------------------------------------------------------------ */

/* A user input; bit i of `dynamic` gives dimension i a symbol of its own, from 1 to desc->sizes[i]. Returns
 * its value id, -1 when memory runs out. */
int32_t qvk__exported_add_input(qvk__exported *program, const char *name, const qvk_tensor *desc,
                                uint32_t dynamic);
/* Marks a value as the next output that the caller gets. */
bool qvk__exported_add_output(qvk__exported *program, int32_t value);
/*
 * Appends a call of a known operator to normalised arguments: infers how many outputs there are, their
 * dtypes, shapes and symbolic sizes, and makes them, named the way torch would. *node: index of the node.
 * Errors: QVK_SHAPE and QVK_INVALID_ARGUMENT from the operator's shape rule; QVK_UNSUPPORTED_OPERATOR where
 * there is none; QVK_UNSUPPORTED where a symbolic size cannot be expressed.
 */
qvk_status qvk__exported_call(qvk__exported *program, qvk__op op, const qvk__arg *args, int n_args,
                              int32_t *node, qvk_error *err);

/* ---- inspection ---------------------------------------------------------------------------------------- */

/* What is in a program: inputs, outputs, weights with scheme and bytes, operators; every node with `graph`.
 */
void qvk__exported_print(const qvk__exported *program, bool graph, qvk__string *out);
/* The same as one JSON object. */
void qvk__exported_print_json(const qvk__exported *program, bool graph, qvk__string *out);

/* ---- expressions --------------------------------------------------------------------------------------- */

/*
 * Reads sympy's srepr ("Mul(Integer(2), Symbol('s0', positive=True, integer=True))") or plain text ("2*s0").
 * What qvk cannot compute becomes OPAQUE. Errors: QVK_BAD_FORMAT (syntax, nesting beyond a fixed limit),
 * QVK_OUT_OF_MEMORY. hint: value at export, -1 unknown.
 */
qvk_status qvk__expression_parse(qvk__exported *program, const char *text, int64_t hint, int32_t *out,
                                 qvk_error *err);
/* Interns an expression; constants are folded. -1 when memory runs out, -2 when it would nest too deep or
 * there are too many. */
int32_t qvk__expression_add(qvk__exported *program, qvk__expression_kind kind, int32_t a, int32_t b);
int32_t qvk__expression_constant(qvk__exported *program, int64_t value);
int32_t qvk__expression_symbol(qvk__exported *program, const char *name);
/* Records the range of a symbol in place of an earlier one; false when memory runs out. */
bool qvk__exported_set_range(qvk__exported *program, const char *symbol, int64_t min, int64_t max);

/* Value of an expression with every symbol at `bind(user, symbol)`. */
qvk_status qvk__expression_eval(const qvk__exported *program, int32_t expression,
                                int64_t (*bind)(void *user, const char *symbol), void *user, int64_t *out,
                                qvk_error *err);
/* An upper bound within the ranges, the largest value itself where the expression is monotonic. Fails with
 * QVK_UNSUPPORTED when there is none (a symbol without upper bound). */
qvk_status qvk__expression_max(const qvk__exported *program, int32_t expression, int64_t *out,
                               qvk_error *err);
/* "2*s0 + 1", for people; and sympy's srepr, for files. */
void qvk__expression_print(const qvk__exported *program, int32_t expression, qvk__string *out);
void qvk__expression_srepr(const qvk__exported *program, int32_t expression, qvk__string *out);

#endif
