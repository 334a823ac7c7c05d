/* Inference: how many outputs, of which shapes, and the value of a symbolic integer. */
#include <math.h>

#include "core/semantics.h"

/* n_returns: as in qvk__op_arity. */
static qvk_status check_args(qvk__op op, int n_args, int *n_returns, qvk_error *err)
{
    int n_params;

    QVK__CHECK(op > QVK__OP_NONE && op < QVK__OP_COUNT, err, QVK_UNSUPPORTED_OPERATOR, "unknown operator");
    qvk__op_arity(op, &n_params, n_returns);
    QVK__CHECK(n_args == n_params, err, QVK_INVALID_ARGUMENT, "%s: takes %d arguments, got %d",
               qvk__op_name(op), n_params, n_args);
    return QVK_OK;
}

static qvk_status count_outputs(qvk__op op, const qvk__arg *args, int n_returns, int *n_outs, qvk_error *err)
{
    if (n_returns >= 0) {
        *n_outs = n_returns;
        return QVK_OK;
    }
    QVK__CHECK(op == QVK__OP_SPLIT_COPY_TENSOR || op == QVK__OP_SPLIT_WITH_SIZES_COPY ||
                   op == QVK__OP_UNBIND_COPY_INT,
               err, QVK_UNSUPPORTED_OPERATOR, "is not executed as such");
    return qvk__split_count(op, args, n_outs, err);
}

qvk_status qvk__op_count_outputs(qvk__op op, const qvk__arg *args, int n_args, int *n_outs, qvk_error *err)
{
    int n_returns;

    QVK__TRY(check_args(op, n_args, &n_returns, err));
    return qvk__error_context(err, count_outputs(op, args, n_returns, n_outs, err), "%s", qvk__op_name(op));
}

/* Blobs have int32 and float32 where PyTorch has int64 and float64; what the caller set then stays. */
static bool is_narrowed(qvk_dtype preset, qvk_dtype inferred)
{
    return (inferred == QVK_DTYPE_I64 && preset == QVK_DTYPE_I32) ||
           (inferred == QVK_DTYPE_F64 && preset == QVK_DTYPE_F32);
}

qvk_status qvk__op_infer(qvk__op op, const qvk__arg *args, int n_args, qvk_tensor *outs, int n_outs,
                         qvk_error *err)
{
    const qvk__shape_fn shape = qvk__op_info_of(op)->shape;
    int n_returns;
    qvk_status status;
    int wanted;

    QVK__TRY(check_args(op, n_args, &n_returns, err));
    QVK__CHECK(shape, err, QVK_UNSUPPORTED_OPERATOR, "%s: is not executed as such", qvk__op_name(op));
    status = count_outputs(op, args, n_returns, &wanted, err);
    if (status == QVK_OK && n_outs != wanted)
        status = qvk__fail(err, QVK_INVALID_ARGUMENT, "has %d outputs, got room for %d", wanted, n_outs);
    if (status == QVK_OK) {
        qvk_dtype few[16], *preset = n_outs <= 16 ? few : malloc((size_t)n_outs * sizeof *preset);
        QVK__CHECK(preset, err, QVK_OUT_OF_MEMORY, "out of memory");
        for (int i = 0; i < n_outs; i++)
            preset[i] = outs[i].dtype;
        status = shape(op, args, n_args, outs, n_outs, err);
        for (int i = 0; status == QVK_OK && i < n_outs; i++)
            if (is_narrowed(preset[i], outs[i].dtype))
                outs[i].dtype = preset[i];
        if (preset != few)
            free(preset);
    }
    return qvk__error_context(err, status, "%s", qvk__op_name(op));
}

/* ---- symbolic integers --------------------------------------------------------------------------------- */

/* Element `index` of an integer or bool tensor with data. */
static qvk_status read_element(const qvk_tensor *tensor, int64_t index, int64_t *out, qvk_error *err)
{
    const uint8_t *data = tensor->data;
    int32_t i32;

    QVK__CHECK(data && index >= 0 && index < qvk_tensor_numel(tensor), err, QVK_SHAPE,
               "no element to read in a tensor of shape %s", qvk__shape_text(tensor).text);
    switch (tensor->dtype) {
    case QVK_DTYPE_I64: memcpy(out, data + index * 8, 8); return QVK_OK;
    case QVK_DTYPE_I32:
        memcpy(&i32, data + index * 4, 4);
        *out = i32;
        return QVK_OK;
    case QVK_DTYPE_I8: *out = ((const int8_t *)data)[index]; return QVK_OK;
    case QVK_DTYPE_U8:
    case QVK_DTYPE_BOOL: *out = data[index]; return QVK_OK;
    default:
        return qvk__fail(err, QVK_UNSUPPORTED, "a %s tensor read as an integer",
                         qvk_dtype_name(tensor->dtype));
    }
}

static qvk_status eval_tensor(qvk__op op, const qvk__arg *args, int64_t *out, qvk_error *err)
{
    const qvk_tensor *tensor;
    int64_t index = 0, stride = 1;
    int dim;

    QVK__TRY(qvk__arg_tensor(&args[0], "self", &tensor, err));
    if (op == QVK__OP_SYM_SIZE_INT || op == QVK__OP_ET_SELECT_AS_SYMINT) {
        QVK__CHECK(tensor->rank > 0, err, QVK_SHAPE, "the tensor is a scalar");
        QVK__TRY(qvk__arg_dim(&args[1], "dim", tensor->rank, &dim, err));
        if (op == QVK__OP_SYM_SIZE_INT) {
            *out = tensor->sizes[dim];
            return QVK_OK;
        }
        QVK__TRY(qvk__arg_int(&args[2], "index", &index, err));
        index += index < 0 ? tensor->sizes[dim] : 0;
        for (int i = dim + 1; i < tensor->rank; i++)
            stride *= tensor->sizes[i];
        index *= stride;
    } else {
        QVK__CHECK(qvk_tensor_numel(tensor) == 1, err, QVK_SHAPE, "wanted one element, got shape %s",
                   qvk__shape_text(tensor).text);
    }
    return read_element(tensor, index, out, err);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    const int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

static qvk_status eval_numbers(qvk__op op, int64_t a, int64_t b, int64_t *out, qvk_error *err)
{
    const uint64_t ua = (uint64_t)a, ub = (uint64_t)b;

    switch (op) {
    case QVK__OP_SYM_ADD: *out = (int64_t)(ua + ub); break;
    case QVK__OP_SYM_SUB: *out = (int64_t)(ua - ub); break;
    case QVK__OP_SYM_MUL: *out = (int64_t)(ua * ub); break;
    case QVK__OP_SYM_FLOORDIV:
    case QVK__OP_SYM_MOD:
        QVK__CHECK(b != 0 && !(a == INT64_MIN && b == -1), err, QVK_INVALID_ARGUMENT, "%lld divided by %lld",
                   (long long)a, (long long)b);
        *out = op == QVK__OP_SYM_MOD ? a - floor_div(a, b) * b : floor_div(a, b);
        break;
    case QVK__OP_SYM_EQ: *out = a == b; break;
    case QVK__OP_SYM_LT: *out = a < b; break;
    case QVK__OP_SYM_LE: *out = a <= b; break;
    case QVK__OP_SYM_GT: *out = a > b; break;
    case QVK__OP_SYM_GE: *out = a >= b; break;
    case QVK__OP_SYM_NEG: *out = (int64_t)(0 - ua); break;
    case QVK__OP_SYM_MAX: *out = QVK__MAX(a, b); break;
    case QVK__OP_SYM_MIN: *out = QVK__MIN(a, b); break;
    default: return qvk__fail(err, QVK_UNSUPPORTED_OPERATOR, "yields no integer");
    }
    return QVK_OK;
}

static qvk_status eval_symbol(qvk__op op, const qvk__arg *args, int n_args, int64_t *out, qvk_error *err)
{
    int64_t numbers[2] = {0, 0};

    if (op == QVK__OP_SYM_SIZE_INT || op == QVK__OP_PRIV_LOCAL_SCALAR_DENSE || op == QVK__OP_ITEM ||
        op == QVK__OP_ET_SELECT_AS_SYMINT)
        return eval_tensor(op, args, out, err);
    for (int i = 0; i < n_args && i < 2; i++)
        QVK__TRY(qvk__arg_int(&args[i], i ? "b" : "a", &numbers[i], err));
    return eval_numbers(op, numbers[0], numbers[1], out, err);
}

qvk_status qvk__op_eval_symbol(qvk__op op, const qvk__arg *args, int n_args, int64_t *out, qvk_error *err)
{
    int n_returns;
    int64_t value = 0;
    qvk_status status;

    QVK__TRY(check_args(op, n_args, &n_returns, err));
    status = eval_symbol(op, args, n_args, &value, err);
    if (status == QVK_OK)
        *out = value;
    return qvk__error_context(err, status, "%s", qvk__op_name(op));
}
