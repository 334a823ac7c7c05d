/*
 * Operators: the one table (ops.def), arguments, and shape inference. Shared by both halves: a node of an
 * exported program, a call in a delegate blob and a KernelCall of a .pte all come down to (operator,
 * arguments, outputs).
 */
#ifndef QVK__OP_H
#define QVK__OP_H

#include "base/base.h"
#include "qvk/tensor.h"

typedef enum qvk__op {
    QVK__OP_NONE = 0, /* an operator qvk does not know */
#define OP(id, name, out, shape, reference, plan, schema) QVK__OP_##id,
#include "core/ops.def"
#undef OP
    QVK__OP_COUNT
} qvk__op;

/*
 * Conventions of normalised arguments: ScalarType, Layout, MemoryFormat and Device parameters are INTs in
 * torch's own numbering (ScalarType: the .pte codes, 6 = float) or None; the .pt2 reader and writer translate
 * their file's codes. An operator's output dtype is carried by its output value, so executing code never
 * needs them.
 */

/* ---- arguments ----------------------------------------------------------------------------------------- */

typedef enum qvk__arg_kind {
    QVK__ARG_NULL = 0, /* None */
    QVK__ARG_INT,
    QVK__ARG_FLOAT,
    QVK__ARG_BOOL,
    QVK__ARG_STRING,
    QVK__ARG_VALUE,  /* a value of the graph, by id: tensor or symbolic integer */
    QVK__ARG_TENSOR, /* the same, resolved: what shape rules and reference functions see */
    QVK__ARG_INTS,
    QVK__ARG_FLOATS,
    QVK__ARG_BOOLS,
    QVK__ARG_LIST /* of any of the above: tensor lists, optional tensor lists, sizes with symbols */
} qvk__arg_kind;

typedef struct qvk__arg qvk__arg;
struct qvk__arg {
    qvk__arg_kind kind;
    uint32_t count; /* elements of the list kinds */
    union {
        int64_t i;
        double f;
        bool b;
        const char *s;
        int32_t value;
        const qvk_tensor *tensor;
        const int64_t *ints;
        const double *floats;
        const bool *bools;
        const qvk__arg *list;
    } u;
};

/*
 * Typed access that converts the way PyTorch and the blob format do: an Int where a float is wanted, a whole
 * Double where an int is wanted, a Bool as 0/1. Each fails with QVK_INVALID_ARGUMENT and `what` (the
 * parameter's name) on a misfit.
 */
qvk_status qvk__arg_int(const qvk__arg *arg, const char *what, int64_t *out, qvk_error *err);
qvk_status qvk__arg_float(const qvk__arg *arg, const char *what, double *out, qvk_error *err);
qvk_status qvk__arg_bool(const qvk__arg *arg, const char *what, bool *out, qvk_error *err);
qvk_status qvk__arg_string(const qvk__arg *arg, const char *what, const char **out, qvk_error *err);
qvk_status qvk__arg_tensor(const qvk__arg *arg, const char *what, const qvk_tensor **out, qvk_error *err);
/* None gives NULL. */
qvk_status qvk__arg_tensor_or_null(const qvk__arg *arg, const char *what, const qvk_tensor **out,
                                   qvk_error *err);
/* INTS, an INT (a list of one), or a LIST of INTs; at most `max` of them. None gives *n = -1. */
qvk_status qvk__arg_ints(const qvk__arg *arg, const char *what, int64_t *out, int max, int *n,
                         qvk_error *err);
bool qvk__arg_is_null(const qvk__arg *arg);

qvk__arg qvk__arg_from_int(int64_t value);
qvk__arg qvk__arg_from_float(double value);
qvk__arg qvk__arg_from_bool(bool value);
qvk__arg qvk__arg_from_value(int32_t value);

/* ---- the table ----------------------------------------------------------------------------------------- */

/* Outputs as an array of tensors to be filled in: dtype, rank, sizes; data is not touched. */
typedef qvk_status (*qvk__shape_fn)(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs,
                                    int n_outs, qvk_error *err);

typedef struct qvk__op_info {
    const char *name;    /* "aten.add.Tensor" */
    const char *out;     /* overload of the out-variant, or NULL */
    const char *schema;  /* "Tensor self, Tensor other, *, Scalar alpha=1 -> Tensor" */
    qvk__shape_fn shape; /* NULL: not executed as such */
} qvk__op_info;

/* Never NULL; op must be in range. */
const qvk__op_info *qvk__op_info_of(qvk__op op);
const char *qvk__op_name(qvk__op op);
/* By full name ("aten.add.Tensor"); QVK__OP_NONE when unknown. */
qvk__op qvk__op_find(const char *name);
/* By a .pte Operator: name "aten::add", overload "out" (or a functional overload); QVK__OP_NONE when unknown.
 */
qvk__op qvk__op_find_kernel(const char *name, const char *overload);

/* Arguments that executing the operator writes, as bits: the cache of update_cache, self of copy_. */
uint32_t qvk__op_written_args(qvk__op op);

/* ---- schemas ------------------------------------------------------------------------------------------- */

#define QVK__MAX_PARAMS 32

typedef struct qvk__param {
    char name[32];
    char type[24]; /* "Tensor", "Tensor?", "Tensor[]", "int", "int[]", "Scalar", "float?", "bool", "str",
                      "ScalarType?" ... */
    bool keyword_only;
    bool has_default;
    qvk__arg fallback; /* the default; list defaults of one number stand for every dimension and are INTs of
                          count 1 */
    int64_t fallback_int;   /* storage of a one-element list default */
    char fallback_text[16]; /* storage of a string default */
} qvk__param;

typedef struct qvk__signature {
    qvk__param params[QVK__MAX_PARAMS];
    int n_params;
    int n_returns;       /* -1: a tensor list, whose length depends on the arguments */
    bool returns_symbol; /* the one return is an int or bool, not a tensor */
} qvk__signature;

/* Parses the row's schema. Cheap; the table itself is immutable, so any thread may call it. `out` must not be
 * copied or moved afterwards (fallback lists point into it). */
void qvk__op_signature(qvk__op op, qvk__signature *out);
/* Its numbers of parameters and returns alone, for who asks at every call. */
void qvk__op_arity(qvk__op op, int *n_params, int *n_returns);

/* ---- inference ----------------------------------------------------------------------------------------- */

/* Number of outputs for these (resolved) arguments: the schema's, or computed for split-like operators. */
qvk_status qvk__op_count_outputs(qvk__op op, const qvk__arg *args, int n_args, int *n_outs, qvk_error *err);
/* Output dtypes and shapes for resolved arguments (tensor data is not read). dtype of outs may be preset:
 * operators whose output dtype is carried by the output alone (casts, full, quantize) keep it; others
 * overwrite it. */
qvk_status qvk__op_infer(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                         qvk_error *err);
/* Symbolic integer operators (sym_size, add, mul, floordiv ...): value for resolved arguments. */
qvk_status qvk__op_eval_symbol(qvk__op op, const qvk__arg *args, int n_args, int64_t *out, qvk_error *err);

#endif
